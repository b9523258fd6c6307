"""One answer of the agent, that an interruption silences for good."""

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
    """Whether the caller, or `stop`, ended it; also when that was before it began."""


class Utterance:
    """One answer of the agent. Once interrupted it stays silent for good, whichever code still has audio for it.

    Give it to the code that says it: another task, a queue, the reader of a socket. Gaps in which
    synthesis is slower than speech do not end it. One utterance is spoken at a time.
    """

    __slots__ = ("_playout", "_stretch")

    def __init__(self, playout: Playout, stretch: Stretch) -> None:
        self._playout = playout
        self._stretch = stretch

    @property
    def interrupted(self) -> bool:
        """Whether an interruption or `stop` came after that to which it answers."""
        return self._playout.is_cut(self._stretch)

    @property
    def heard_ms(self) -> int:
        """How much of it was heard."""
        return self._playout.heard_ms_of(self._stretch)

    def play(self, pcm: Pcm, mark: str | None = None) -> bool:
        """As `Conversation.play`; False for good once interrupted."""
        return self._playout.play(pcm, mark, self._stretch)

    async def speak(self, speech: Pcm | Iterable[Pcm] | AsyncIterable[Pcm], *, keys: bool = False) -> Spoken:
        """As `Conversation.speak`, as a further part of this answer; `heard_ms` is of all its parts."""
        return await speak(self, speech, keys=keys)

    async def say(self, pcm: Pcm, mark: str | None = None) -> bool:
        """As `Conversation.say`; False for good once interrupted."""
        return await self._playout.say(pcm, mark, self._stretch)

    def try_say(self, pcm: Pcm, mark: str | None = None) -> bool | None:
        """As `say` if that need not wait; None, and nothing queued, if it must."""
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
        """So many more (or fewer, if negative) answers are being spoken that a key shall end."""
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
        """So many more (or fewer, if negative) answers are being spoken that a key shall end."""


async def speak(
    utterance: Speakable, speech: Pcm | Iterable[Pcm] | AsyncIterable[Pcm], *, keys: bool = False
) -> Spoken:
    """Say all of it and wait until it was heard or interrupted, by a key as well if `keys`.

    However that ends, a generator is closed before the return, whoever else knows it; an asynchronous one as soon as it
    is interrupted, whatever it waits for.
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
    # One task for the whole synthesis: what it opened in one task (a timeout, a connection) must be closed in the same.
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
            task.exception()  # retrieved, so that asyncio does not log it: the other one came first
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
