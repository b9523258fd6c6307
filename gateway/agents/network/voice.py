"""What a backend says, on its way to the caller: in order, in bounded memory, with marks that come back."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from gateway.agents.agent import Call, Speech
from media.conversation.events import CallEndedError
from media.leg import Pcm, PlayoutFullError
from media.resample import Resampler

E = TypeVar("E", bound=Exception)

AHEAD_MS = 10_000
"""So much is handed to the call at once; what a backend sends further ahead waits here."""
PIECES_MAX = 6_000
"""So many pieces of audio, and marks, may wait, however short."""
_NOTHING = np.zeros(0, np.int16)


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    pcm: Pcm
    mark: str | None
    answer: Speech | None
    """What it belongs to; None for the first answer, before there was a call."""


class Voice:
    """The voice of one backend in one call.

    Audio that comes before `begin` is kept, so that no first words are lost. What exceeds `limit_ms` of waiting audio
    is dropped and counted. After an interruption by the gateway what comes is refused until `reopen` or `clear`.
    """

    def __init__(self, rate_hz: int, limit_ms: int) -> None:
        self.dropped_ms = 0
        """Audio for which there was no room."""
        self._rate_hz = rate_hz
        self._limit_samples = rate_hz * limit_ms // 1_000
        self._waiting: deque[_Piece] = deque()
        self._waiting_samples = 0
        self._more = asyncio.Event()
        self._emptied = asyncio.Event()
        self._emptied.set()
        self._unchecked = 0
        """Samples that were handed to the call since it was asked how much it has."""
        self._call: Call | None = None
        self._answer: Speech | None = None
        self._resampler: Resampler | None = None
        self._numbers = itertools.count(1)
        self._marks: dict[str, str] = {}
        """Marks on their way, theirs by ours: they may give two the same name."""

    def begin(self, call: Call) -> None:
        """The call is there: what waits is said."""
        self._call = call
        self._answer = call.utterance(call.epoch)
        self.use_rate(self._rate_hz)
        self._more.set()

    def use_rate(self, rate_hz: int) -> None:
        """The rate of what comes from now on, before anything has come."""
        self._rate_hz = rate_hz
        if self._call is not None:
            line_hz = self._call.rate_hz
            self._resampler = Resampler(rate_hz, line_hz) if line_hz != rate_hz else None

    async def pump(self) -> None:
        """Say what waits, as there is room; for a task that lasts as long as the call."""
        while True:
            await self._more.wait()
            self._more.clear()
            while self._waiting and self._answer is not None:
                piece = self._waiting.popleft()
                self._waiting_samples -= len(piece.pcm)
                try:
                    await (piece.answer or self._answer).say(self._at_line(piece.pcm), piece.mark)
                except CallEndedError:
                    self._drop_waiting()
            self._emptied.set()

    async def until_empty(self) -> None:
        """Wait until nothing waits here any more: all was handed to the call."""
        await self._emptied.wait()

    def play(self, pcm: Pcm, answer: Speech | None = None) -> None:
        """Say this behind all else, as a part of the newest answer unless it is one of another.

        Args:
            pcm: int16 at the backend's rate, shape (samples,), of any length.
            answer: what `new_answer` gave.
        """
        call, answer = self._call, answer or self._answer
        if call is None or answer is None or not self._emptied.is_set():
            self._wait(pcm, None, answer)
            return
        self._unchecked += len(pcm)
        if self._unchecked > self._rate_hz:  # a second has come: is it too much? To ask for each frame would cost more
            self._unchecked = 0
            if call.queued_ms + len(pcm) * 1_000 // self._rate_hz > AHEAD_MS:
                self._wait(pcm, None, answer)
                return
        try:
            answer.play(self._at_line(pcm))
        except PlayoutFullError:
            self._drop(len(pcm))
        except CallEndedError:
            pass

    def mark(self, name: str) -> list[str]:
        """Mark the end of what was said so far. Returns the marks to report at once: this one if interrupted."""
        number = str(next(self._numbers))
        self._marks[number] = name
        if self._answer is None or not self._emptied.is_set():
            accepted = self._wait(_NOTHING, number, self._answer)
        else:
            try:
                accepted = self._answer.play(_NOTHING, number)
            except PlayoutFullError:
                accepted = self._wait(_NOTHING, number, self._answer)
            except CallEndedError:
                accepted = False
        return [] if accepted else [self._marks.pop(number)]

    def reached(self, number: str) -> str | None:
        """The name of a mark that the call has reported; None if it was told before."""
        return self._marks.pop(number, None)

    def clear(self) -> list[str]:
        """Be silent, at once; what comes next is heard. Returns the marks that were dropped, in order."""
        if self._call is not None:
            self._call.stop()
            self.new_answer()
        return self.interrupted()

    def interrupted(self) -> list[str]:
        """The gateway has silenced it. Returns the marks that were dropped, in order."""
        self._drop_waiting()
        names = list(self._marks.values())
        self._marks.clear()
        return names

    def new_answer(self) -> Speech:
        """What comes from now on is one answer, and heard; only once the call has begun."""
        if self._call is None:
            raise RuntimeError("there is no call yet: begin() comes first")
        self._answer = self._call.utterance(self._call.epoch)
        return self._answer

    def reopen(self) -> None:
        """What comes from now on is heard, if an interruption has silenced it."""
        if self._answer is not None and self._answer.interrupted:
            self.new_answer()

    def _wait(self, pcm: Pcm, mark: str | None, answer: Speech | None) -> bool:
        """Keep it, or as much of it as there is room for; False if it had to be dropped."""
        room = self._limit_samples - self._waiting_samples if len(self._waiting) < PIECES_MAX else 0
        if len(pcm) > room:
            self._drop(len(pcm) - room)
            pcm = pcm[:room]
        if len(pcm) == 0 and (mark is None or len(self._waiting) >= PIECES_MAX):
            return False
        for start in range(0, max(len(pcm), 1), self._rate_hz):  # a second at a time, so that the count stays true
            self._waiting.append(_Piece(pcm[start : start + self._rate_hz], mark, answer))
        self._waiting_samples += len(pcm)
        self._emptied.clear()
        if self._call is not None:
            self._more.set()
        return True

    def _drop(self, samples: int) -> None:
        self.dropped_ms += samples * 1_000 // self._rate_hz

    def _drop_waiting(self) -> None:
        self._waiting.clear()
        self._waiting_samples = 0

    def _at_line(self, pcm: Pcm) -> Pcm:
        return self._resampler.process(pcm) if self._resampler is not None else pcm


async def carry(
    call: Call, voice: Voice, listening: Coroutine[Any, Any, None], over: asyncio.Future[E | None]
) -> E | None:
    """Let the backend speak, and listen to the call's events, until the connection is over; returns its error.

    What the backend has sent before it closed the connection is handed to the call first.
    """
    async with asyncio.TaskGroup() as tasks:
        events = tasks.create_task(listening, name="backend:events")
        speaking = tasks.create_task(voice.pump(), name="backend:voice")
        error = await over
        if error is None and not call.over:
            await voice.until_empty()
        events.cancel()
        speaking.cancel()
    return error
