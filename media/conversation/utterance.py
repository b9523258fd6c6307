"""One answer of the agent. An interruption ends it finally."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Generator, Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from media.conversation.playout import Playout, Stretch
from media.leg import Pcm


@dataclass(frozen=True, slots=True)
class Spoken:
    """How an utterance ended."""

    heard_ms: int
    """How much of it was heard."""
    interrupted: bool
    """Whether the caller, or `stop`, ended it; also if that happened before it began."""


class Utterance:
    """One answer of the agent. After an interruption it stays silent, even if some code still has audio for it.

    Give it to the code that says it: another task, a queue, the reader of a socket. A gap because synthesis is slower
    than speech does not end it. Only one utterance is spoken at a time.
    """

    __slots__ = ("_playout", "_stretch")

    def __init__(self, playout: Playout, stretch: Stretch) -> None:
        self._playout = playout
        self._stretch = stretch

    @property
    def interrupted(self) -> bool:
        """Whether an interruption or `stop` came after the event that it answers."""
        return self._playout.is_cut(self._stretch)

    @property
    def heard_ms(self) -> int:
        """How much of it was heard."""
        return self._playout.heard_ms_of(self._stretch)

    def play(self, pcm: Pcm, mark: str | None = None) -> bool:
        """Like `Conversation.play`; after an interruption it always returns False."""
        return self._playout.play(pcm, mark, self._stretch)

    async def speak(self, speech: Pcm | Iterable[Pcm] | AsyncIterable[Pcm], *, keys: bool = False) -> Spoken:
        """Like `Conversation.speak`, as a further part of this answer; `heard_ms` counts all its parts."""
        return await speak(self, speech, keys=keys)

    async def say(self, pcm: Pcm, mark: str | None = None) -> bool:
        """Like `Conversation.say`; after an interruption it always returns False."""
        return await self._playout.say(pcm, mark, self._stretch)

    def try_say(self, pcm: Pcm, mark: str | None = None) -> bool | None:
        """Like `say` if it need not wait; if it must wait, returns None and queues nothing."""
        return self._playout.try_say(pcm, mark, self._stretch)

    async def until_cut(self) -> None:
        """Wait until it is interrupted.

        Raises:
            CallEndedError: the call ended first.
        """
        await self._playout.until_cut(self._stretch)

    async def said(self) -> int:
        """Wait until all of it was heard or dropped; returns `heard_ms`."""
        if not self.interrupted:
            await self._playout.said()
        return self.heard_ms

    def count_keyed(self, change: int) -> None:
        """Change the number of answers being spoken that a key must end."""
        self._playout.keyed += change


class Speakable(Protocol):
    """What `speak` needs of an utterance."""

    @property
    def interrupted(self) -> bool:
        """Whether an interruption came after it was made."""

    async def say(self, pcm: Pcm) -> bool:
        """Queue audio; False once interrupted."""

    async def until_cut(self) -> None:
        """Wait until it is interrupted, or the call is over."""

    async def said(self) -> int:
        """Wait until all of it was heard or dropped."""

    def count_keyed(self, change: int) -> None:
        """Change the number of answers being spoken that a key must end."""


async def speak(
    utterance: Speakable, speech: Pcm | Iterable[Pcm] | AsyncIterable[Pcm], *, keys: bool = False
) -> Spoken:
    """Say all of it and wait until it was heard or interrupted; with `keys`, a key interrupts as well.

    A generator is always closed before the return, even if other code still refers to it. An asynchronous generator
    is closed as soon as it is interrupted, even while it waits.
    """
    if keys:
        utterance.count_keyed(1)
    try:
        if isinstance(speech, np.ndarray):
            await utterance.say(speech)
        elif isinstance(speech, AsyncIterable):
            await _say_until_cut(utterance, speech)
        else:
            await _say_pieces(utterance, speech)
        heard_ms = await utterance.said()
    finally:
        if keys:
            utterance.count_keyed(-1)
    return Spoken(heard_ms, utterance.interrupted)


async def _say_pieces(utterance: Speakable, speech: Iterable[Pcm]) -> None:
    pieces = iter(speech)
    try:
        for piece in pieces:
            if not await utterance.say(piece):
                break
    finally:
        if isinstance(pieces, Generator):
            pieces.close()


async def _say_until_cut(utterance: Speakable, speech: AsyncIterable[Pcm]) -> None:
    # One task for the whole synthesis: what it opens (a timeout, a connection) must be closed in the same task.
    saying = asyncio.create_task(_say_all(utterance, speech), name="speech")
    cut = asyncio.create_task(utterance.until_cut(), name="speech-cut")
    try:
        await asyncio.wait({saying, cut}, return_when=asyncio.FIRST_COMPLETED)
        deciding = saying if saying.done() else cut
    finally:
        saying.cancel()
        cut.cancel()
        await asyncio.wait({saying, cut})
    for task in (saying, cut):
        if not task.cancelled() and task is not deciding:
            task.exception()  # retrieved, so that asyncio does not log it: the other task ended first
    deciding.result()


async def _say_all(utterance: Speakable, speech: AsyncIterable[Pcm]) -> None:
    pieces = aiter(speech)
    try:
        async for piece in pieces:
            if not await utterance.say(piece):
                break
    finally:
        if isinstance(pieces, AsyncGenerator):
            await pieces.aclose()
