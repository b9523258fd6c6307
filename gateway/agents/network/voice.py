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
from media.conversation.events import CallEndedError, Event, Interrupted, OffHold, OnHold, SpeechEnded
from media.leg import Pcm, PlayoutFullError
from media.resample import Resampler

E = TypeVar("E", bound=Exception)

AHEAD_MS = 10_000
"""So much is handed to the call at once; what a backend sends further ahead waits here."""
CHECK_MS = 1_000
"""After so much audio the call is asked how much it has queued: to ask for each frame would cost more."""
PIECES_MAX = 6_000
"""So many pieces of audio, and marks, may wait, however short."""
STREAMED = 0.8
"""A backend that has said this share of a hold's time, or more, speaks without a pause."""
STREAM_MS = 1_000
"""A shorter hold delays nothing that matters."""
_NOTHING = np.zeros(0, np.int16)


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    pcm: Pcm
    rate_hz: int
    mark: str | None
    answer: Speech | None
    """What it belongs to; None for the first answer, before there was a call."""


class Voice:
    """The voice of one backend in one call.

    Audio that comes before `begin` is kept, so that no first words are lost. At most `limit_ms` of audio wait here;
    more is dropped and counted. After an interruption by the gateway all audio is refused until `reopen` or `clear`.
    """

    def __init__(self, rate_hz: int, limit_ms: int) -> None:
        self.dropped_ms = 0
        """Audio for which there was no room."""
        self._rate_hz = rate_hz
        self._limit_ms = limit_ms
        self._waiting: deque[_Piece] = deque()
        self._waiting_ms = 0.0
        self._more = asyncio.Event()
        self._emptied = asyncio.Event()
        self._emptied.set()
        self._unchecked_ms = 0.0
        """How much was handed to the call since it was asked how much it has."""
        self._call: Call | None = None
        self._answer: Speech | None = None
        self._resampler: Resampler | None = None
        self._resampled_hz = 0
        """What the resampler takes."""
        self._numbers = itertools.count(1)
        self._marks: dict[str, str] = {}
        """Marks on their way, theirs by ours: they may give two the same name."""
        self._held_at_s: float | None = None
        """When the caller has put the call on hold."""
        self._said_on_hold_ms = 0.0

    def begin(self, call: Call) -> None:
        """The call is there: what waits is said."""
        self._call = call
        self._answer = call.utterance(call.epoch)
        self._more.set()

    def use_rate(self, rate_hz: int) -> None:
        """The rate of the audio that comes from now on."""
        self._rate_hz = rate_hz

    async def pump(self) -> None:
        """Say what waits, as there is room; for a task that lasts as long as the call."""
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
        """What was said and not yet heard: what waits here, and in the call."""
        return round(self._waiting_ms) + (self._call.queued_ms if self._call is not None else 0)

    async def until_empty(self) -> None:
        """Wait until nothing waits here any more: all was handed to the call."""
        await self._emptied.wait()

    def play(self, pcm: Pcm, answer: Speech | None = None) -> float:
        """Say this after everything else, as a part of the newest answer, or of `answer`.

        Args:
            pcm: int16 at the backend's rate, shape (samples,), of any length.
            answer: what `new_answer` gave.

        Returns:
            How many ms of it were accepted: less when there is no room, 0 when its answer was interrupted.
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
        """Mark the end of what was said so far. Returns the marks to report at once: this one if interrupted."""
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
        """The name of a mark that the call has reported; None if it was told before."""
        return self._marks.pop(number, None)

    def clear(self) -> list[str]:
        """Be silent, at once; what comes next is heard. Returns the marks that were dropped, in order."""
        if self._call is not None:
            self._call.stop()
            self.new_answer()
        return self.interrupted()

    def on_event(self, event: Event, now_s: float) -> list[str]:
        """What has happened in the call, as far as it concerns the voice of a bot that decides for itself.

        Returns the marks that were dropped, in order.
        """
        match event:
            case Interrupted(by=by):
                dropped = self.interrupted()
                if by == "key":  # no SpeechEnded follows
                    self.reopen()
                return dropped
            case SpeechEnded():
                self.reopen()  # the caller has finished, whether the bot has noticed or not
            case OnHold():
                self._held_at_s, self._said_on_hold_ms = now_s, 0.0
            case OffHold():
                return self._off_hold(now_s)
            case _:
                pass
        return []

    def _off_hold(self, now_s: float) -> list[str]:
        """The caller is back, and an answer that came meanwhile is heard now.

        But a backend that speaks without a pause, be it silence or music, has said as much as the hold was long: that
        is dropped, or all that follows would be late for the rest of the call.
        """
        held_at_s, self._held_at_s = self._held_at_s, None
        held_ms = 0.0 if held_at_s is None else (now_s - held_at_s) * 1_000
        streams = held_ms >= STREAM_MS and self._said_on_hold_ms >= STREAMED * held_ms
        is_burst = self._said_on_hold_ms > held_ms + STREAM_MS
        return self.clear() if streams and not is_burst else []

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

    def _wait(self, pcm: Pcm, mark: str | None, answer: Speech | None) -> float:
        """Keep it, or as much of it as there is room for; returns how many ms were kept."""
        rate_hz = self._rate_hz
        room_ms = self._limit_ms - self._waiting_ms if len(self._waiting) < PIECES_MAX else 0.0
        room = max(0, int(room_ms * rate_hz / 1_000))
        if len(pcm) > room:
            self.dropped_ms += (len(pcm) - room) * 1_000 // rate_hz
            pcm = pcm[:room]
        if len(pcm) == 0 and mark is None:
            return 0.0
        for start in range(0, max(len(pcm), 1), rate_hz):  # a second at a time, so that the count stays true
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
        assert self._call is not None  # noqa: S101 - only what waits comes before the call
        if rate_hz == self._call.rate_hz:
            return pcm
        if self._resampler is None or self._resampled_hz != rate_hz:
            self._resampler, self._resampled_hz = Resampler(rate_hz, self._call.rate_hz), rate_hz
        return self._resampler.process(pcm)


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
