"""A backend's audio on its way to the caller: in order, in bounded memory, with marks that are reported."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from gateway.agents.agent import Call, Speech
from media.conversation.events import CallEndedError, Event, Interrupted, OffHold, OnHold, SpeechEnded
from media.leg import Pcm, PlayoutFullError
from media.resample import Resampler

E = TypeVar("E", bound=Exception)

AHEAD_MS = 10_000
"""How much audio is queued in the call; what a backend sends further ahead waits here."""
CHECK_MS = 1_000
"""The length of the call's queue is checked after this much audio: checking it for each frame would cost more."""
PIECES_MAX = 6_000
"""How many pieces of audio and marks may wait, however short they are."""
STREAMED = 0.8
"""A backend that sent audio for at least this share of a hold sends without a pause."""
STREAM_MS = 1_000
"""A hold that is shorter than this causes no noticeable delay."""
_NOTHING = np.zeros(0, np.int16)


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    pcm: Pcm
    rate_hz: int
    mark: str | None
    answer: Speech | None
    """The answer that it belongs to; None before the call has begun."""


class Voice:
    """Plays the audio of one backend in one call.

    Audio that comes before `begin` is kept, so that the first words are not lost. At most `limit_ms` of audio wait
    here; more is dropped and counted. After an interruption by the gateway, all audio is refused until `reopen` or
    `clear`.
    """

    def __init__(self, rate_hz: int, limit_ms: int) -> None:
        self.dropped_ms = 0
        """How much audio was dropped because there was no room."""
        self._rate_hz = rate_hz
        self._limit_ms = limit_ms
        self._waiting: deque[_Piece] = deque()
        self._waiting_ms = 0.0
        self._more = asyncio.Event()
        self._emptied = asyncio.Event()
        self._emptied.set()
        self._unchecked_ms = 0.0
        """How much audio was queued in the call since the last check of its queue."""
        self._call: Call | None = None
        self._answer: Speech | None = None
        self._resampler: Resampler | None = None
        self._resampled_hz = 0
        """The input rate of the resampler."""
        self._numbers = itertools.count(1)
        self._marks: dict[str, str] = {}
        """The backend's names of waiting marks, by our own names: a backend may use the same name twice."""
        self._held_at_s: float | None = None
        """When the caller put the call on hold; None if it is not on hold."""
        self._said_on_hold_ms = 0.0

    def begin(self, call: Call) -> None:
        """The call has begun: play what waits."""
        self._call = call
        self._answer = call.utterance(call.epoch)
        self._more.set()

    def use_rate(self, rate_hz: int) -> None:
        """Set the rate of the audio that comes from now on."""
        self._rate_hz = rate_hz

    async def pump(self) -> None:
        """Queue waiting audio in the call whenever there is room; for a task that lasts as long as the call."""
        while True:
            await self._more.wait()
            self._more.clear()
            while self._waiting and self._answer is not None:
                piece = self._waiting.popleft()
                self._waiting_ms -= len(piece.pcm) * 1_000 / piece.rate_hz
                try:
                    await (piece.answer or self._answer).say(self._at_line(piece.pcm, piece.rate_hz), piece.mark)
                except CallEndedError:
                    self._drop_waiting()
            self._waiting_ms = 0.0
            self._emptied.set()

    @property
    def queued_ms(self) -> int:
        """How much audio was sent and not yet heard: what waits here and in the call."""
        return round(self._waiting_ms) + (self._call.queued_ms if self._call is not None else 0)

    async def until_empty(self) -> None:
        """Wait until all audio is queued in the call, and none waits here."""
        await self._emptied.wait()

    def play(self, pcm: Pcm, answer: Speech | None = None) -> float:
        """Play this after everything else, as part of `answer`, or of the newest answer.

        Args:
            pcm: int16 at the backend's rate, shape (samples,), of any length.
            answer: a result of `new_answer`.

        Returns:
            How many ms were accepted: less than given if there is no room, 0 if the answer was interrupted.
        """
        call, answer = self._call, answer or self._answer
        if self._held_at_s is not None:
            self._said_on_hold_ms += len(pcm) * 1_000 / self._rate_hz
        if call is None or answer is None:
            return self._wait(pcm, None, answer)
        if not self._emptied.is_set() and not answer.interrupted:
            return self._wait(pcm, None, answer)
        length_ms = len(pcm) * 1_000 / self._rate_hz
        self._unchecked_ms += length_ms
        if self._unchecked_ms > CHECK_MS:
            self._unchecked_ms = 0.0
            if call.queued_ms + length_ms > AHEAD_MS:
                return self._wait(pcm, None, answer)
        try:
            return length_ms if answer.play(self._at_line(pcm, self._rate_hz)) else 0.0
        except PlayoutFullError:
            self.dropped_ms += round(length_ms)
        except CallEndedError:
            pass
        return 0.0

    def mark(self, name: str) -> list[str]:
        """Mark the end of the audio so far. Returns the marks to report now: this one, if it was interrupted."""
        number = str(next(self._numbers))
        self._marks[number] = name
        return [] if self._take_mark(number) else [self._marks.pop(number)]

    def _take_mark(self, number: str) -> bool:
        answer = self._answer
        if answer is not None and answer.interrupted:
            return False
        if answer is not None and self._emptied.is_set():
            try:
                return answer.play(_NOTHING, number)
            except CallEndedError:
                return False
            except PlayoutFullError:
                pass
        if len(self._waiting) >= PIECES_MAX:
            return False
        self._wait(_NOTHING, number, answer)
        return True

    def reached(self, number: str) -> str | None:
        """Return the backend's name of a mark that the call reports; None if that was reported before."""
        return self._marks.pop(number, None)

    def clear(self) -> list[str]:
        """Drop all audio at once; what comes next is played. Returns the dropped marks, in order."""
        if self._call is not None:
            self._call.stop()
            self.new_answer()
        return self.interrupted()

    def on_event(self, event: Event, now_s: float) -> list[str]:
        """Handle an event of the call, for a bot that itself decides when it is interrupted.

        Returns the dropped marks, in order.
        """
        match event:
            case Interrupted(by=by):
                dropped = self.interrupted()
                if by == "key":  # no SpeechEnded follows
                    self.reopen()
                return dropped
            case SpeechEnded():
                self.reopen()  # the caller has finished, even if the bot has not noticed
            case OnHold():
                self._held_at_s, self._said_on_hold_ms = now_s, 0.0
            case OffHold():
                return self._off_hold(now_s)
            case _:
                pass
        return []

    def _off_hold(self, now_s: float) -> list[str]:
        """The hold has ended: an answer that came during the hold is heard now.

        But if the backend sends without a pause, even silence or music, its audio from the hold is dropped; otherwise
        all that follows would be late by the length of the hold.
        """
        held_at_s, self._held_at_s = self._held_at_s, None
        held_ms = 0.0 if held_at_s is None else (now_s - held_at_s) * 1_000
        streams = held_ms >= STREAM_MS and self._said_on_hold_ms >= STREAMED * held_ms
        is_burst = self._said_on_hold_ms > held_ms + STREAM_MS
        return self.clear() if streams and not is_burst else []

    def interrupted(self) -> list[str]:
        """The gateway has interrupted the backend: drop what waits. Returns the dropped marks, in order."""
        self._drop_waiting()
        names = list(self._marks.values())
        self._marks.clear()
        return names

    def new_answer(self) -> Speech:
        """Begin a new answer: what comes from now on is played. Only after `begin`."""
        if self._call is None:
            raise RuntimeError("there is no call yet: begin() comes first")
        self._answer = self._call.utterance(self._call.epoch)
        return self._answer

    def reopen(self) -> None:
        """Play what comes from now on, if an interruption has stopped that."""
        if self._answer is not None and self._answer.interrupted:
            self.new_answer()

    def _wait(self, pcm: Pcm, mark: str | None, answer: Speech | None) -> float:
        """Keep the audio, or as much of it as there is room for; returns how many ms were kept."""
        rate_hz = self._rate_hz
        room_ms = self._limit_ms - self._waiting_ms if len(self._waiting) < PIECES_MAX else 0.0
        room = max(0, int(room_ms * rate_hz / 1_000))
        if len(pcm) > room:
            self.dropped_ms += (len(pcm) - room) * 1_000 // rate_hz
            pcm = pcm[:room]
        if len(pcm) == 0 and mark is None:
            return 0.0
        for start in range(0, max(len(pcm), 1), rate_hz):  # in seconds, so that `_waiting_ms` stays exact
            self._waiting.append(_Piece(pcm[start : start + rate_hz], rate_hz, mark, answer))
        kept_ms = len(pcm) * 1_000 / rate_hz
        self._waiting_ms += kept_ms
        self._emptied.clear()
        if self._call is not None:
            self._more.set()
        return kept_ms

    def _drop_waiting(self) -> None:
        self._waiting.clear()
        self._waiting_ms = 0.0

    def _at_line(self, pcm: Pcm, rate_hz: int) -> Pcm:
        assert self._call is not None  # noqa: S101 - before the call begins, audio only waits
        if rate_hz == self._call.rate_hz:
            return pcm
        if self._resampler is None or self._resampled_hz != rate_hz:
            self._resampler, self._resampled_hz = Resampler(rate_hz, self._call.rate_hz), rate_hz
        return self._resampler.process(pcm)


async def carry(
    call: Call, voice: Voice, listening: Coroutine[Any, Any, None], over: asyncio.Future[E | None]
) -> E | None:
    """Play the backend's audio and run `listening` until the connection is over; returns the connection's error.

    If there is no error, all audio that the backend sent before is first queued in the call.
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
