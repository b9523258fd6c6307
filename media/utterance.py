"""One answer of the agent, that an interruption silences for good."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from media.leg import Pcm
from media.playout import Playout, Stretch


@dataclass(frozen=True, slots=True)
class Spoken:
    """How an utterance ended."""

    heard_ms: int
    interrupted: bool


class Utterance:
    """One answer of the agent. Once interrupted it stays silent for good, whoever still holds audio for it.

    Gaps in which synthesis is slower than speech do not end it. One utterance is spoken at a time.
    """

    __slots__ = ("_playout", "_stretch")

    def __init__(self, playout: Playout, stretch: Stretch) -> None:
        self._playout = playout
        self._stretch = stretch

    @property
    def interrupted(self) -> bool:
        """Whether an interruption or `stop` came after this utterance was made."""
        return self._playout.is_cut(self._stretch)

    @property
    def heard_ms(self) -> int:
        """How much of it was heard."""
        return self._playout.heard_ms_of(self._stretch)

    def play(self, pcm: Pcm, mark: str | None = None) -> bool:
        """As `Conversation.play`; False for good once interrupted."""
        return self._playout.play(pcm, mark, self._stretch)

    async def say(self, pcm: Pcm, mark: str | None = None) -> bool:
        """As `Conversation.say`; False for good once interrupted."""
        return await self._playout.say(pcm, mark, self._stretch)

    def try_say(self, pcm: Pcm, mark: str | None = None) -> bool | None:
        """As `say` if that need not wait; None, and nothing queued, if it must."""
        return self._playout.try_say(pcm, mark, self._stretch)

    async def said(self) -> int:
        """Wait until all of it was heard or dropped; returns `heard_ms`."""
        await self._playout.said()
        return self.heard_ms


class Speakable(Protocol):
    """What `speak` needs of an utterance."""

    @property
    def interrupted(self) -> bool:
        """Whether an interruption came after it was made."""

    async def say(self, pcm: Pcm) -> bool:
        """Queue audio; False once interrupted."""

    async def said(self) -> int:
        """Wait until all of it was heard or dropped."""


async def speak(utterance: Speakable, speech: Pcm | Iterable[Pcm] | AsyncIterable[Pcm]) -> Spoken:
    """Say all of it and wait until it was heard or interrupted; a generator is closed then."""
    interrupted = False
    if isinstance(speech, np.ndarray):
        interrupted = not await utterance.say(speech)
    elif isinstance(speech, AsyncIterable):
        try:
            async for piece in speech:
                if not await utterance.say(piece):
                    interrupted = True
                    break
        finally:
            if isinstance(speech, AsyncGenerator):
                await speech.aclose()
    else:
        for piece in speech:
            if not await utterance.say(piece):
                interrupted = True
                break
    heard_ms = await utterance.said()
    return Spoken(heard_ms, interrupted or utterance.interrupted)
