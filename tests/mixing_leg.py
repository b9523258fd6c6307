"""A leg made of two: both parties hear each other and whoever speaks on it, who hears them both.

It needs nothing of the two legs but what `Leg` promises, and shows that an agent can stand beside two bridged parties.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

from media.leg import Flushed, Leg, LegListener, LegTap, Pcm, PlayoutFullError, Position
from tests.fake_leg import FRAME_MS

AHEAD_MS = 60
"""More than this waits on the leg of a party only if that hears nothing, as on hold: then nothing is added."""


class Side(LegListener, LegTap):
    """One party of the two: the listener of its leg, and a tap, since a frame that was sent is a clock."""

    def __init__(self, leg: Leg, on_mark: Callable[[int], None], on_sent: Callable[[int], None]) -> None:
        self.leg = leg
        self._mark = on_mark
        self._sent = on_sent
        self._heard: deque[Pcm] = deque(maxlen=3)
        leg.listener = self
        leg.add_tap(self)

    def say(self, pcm: Pcm, mark: int | None = None) -> None:
        if mark is not None or self.leg.position().queued_samples <= self.leg.rate_hz * AHEAD_MS // 1_000:
            self.leg.play(pcm, mark)

    def next_frame(self, samples: int) -> Pcm:
        return self._heard.popleft() if self._heard else np.zeros(samples, np.int16)

    def on_frame(self, pcm: Pcm) -> None:
        self._heard.append(pcm)

    def on_mark(self, mark: int) -> None:
        self._mark(mark)

    def on_drained(self) -> None:
        pass

    def on_media_silent(self, silent_ms: int) -> None:
        pass

    def on_dtmf(self, digit: str, duration_ms: int) -> None:
        pass

    def on_heard_frame(self, pcm: Pcm, time_ns: int) -> None:
        pass

    def on_sent_frame(self, pcm: Pcm, time_ns: int) -> None:
        self._sent(time_ns)

    def on_closed(self, error: Exception | None) -> None:
        pass


class MixingLeg(Leg):
    """The first of the two has the clock: what is said here is played when it was handed to that one's leg."""

    def __init__(self, first: Leg, second: Leg) -> None:
        assert first.rate_hz == second.rate_hz
        self._frame = first.rate_hz * FRAME_MS // 1_000
        self._queue = np.zeros(0, np.int16)
        self._played = 0
        self._marks: deque[tuple[int, int]] = deque()
        self._paused = False
        self._drain_untold = False
        self._taps: list[LegTap] = []
        self._kept = np.zeros(3 * first.rate_hz, np.int16)
        self.listener: LegListener | None = None
        self._first = Side(first, self._on_mark, self._on_sent)
        self._second = Side(second, lambda _: None, lambda _: None)
        for side in (self._first, self._second):
            side.say(np.zeros(self._frame, np.int16))

    @property
    def rate_hz(self) -> int:
        return self._first.leg.rate_hz

    def play(self, pcm: Pcm, mark: int | None = None) -> None:
        if len(self._queue) + len(pcm) > 60 * self.rate_hz:
            raise PlayoutFullError(f"{len(self._queue)} samples wait already")
        self._queue = np.concatenate((self._queue, pcm))
        if mark is not None:
            self._marks.append((self._played + len(self._queue), mark))

    def flush(self) -> Flushed:
        flushed = Flushed(self._played, len(self._queue), tuple(mark for _, mark in self._marks))
        self._queue = self._queue[:0]
        self._marks.clear()
        self._drain_untold = False
        return flushed

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False

    def position(self) -> Position:
        queued = len(self._queue)
        return Position(self._played, queued, self._first.leg.position().wait_ms + queued * 1_000 / self.rate_hz)

    def add_tap(self, tap: LegTap) -> None:
        self._taps.append(tap)

    def remove_tap(self, tap: LegTap) -> None:
        self._taps = [one for one in self._taps if one is not tap]

    def sent(self, samples: int) -> Pcm:
        return self._kept[-samples:].copy()

    def _on_mark(self, mark: int) -> None:
        if self.listener is not None:
            self.listener.on_mark(mark)

    def _on_sent(self, time_ns: int) -> None:
        """The first party was sent a frame: the next one is due."""
        said = self._next_said()
        by_first, by_second = (side.next_frame(self._frame) for side in (self._first, self._second))
        self._first.say(_mixed(said, by_second))
        self._second.say(_mixed(said, by_first))
        while self._marks and self._marks[0][0] <= self._played and not self._paused:
            self._first.say(said[:0], self._marks.popleft()[1])
        heard = _mixed(by_first, by_second)
        self._tell_taps(lambda tap: tap.on_sent_frame(said, time_ns))
        self._tell_taps(lambda tap: tap.on_heard_frame(heard, time_ns))
        if self.listener is not None:
            self.listener.on_frame(heard)

    def _next_said(self) -> Pcm:
        taken = self._queue[: 0 if self._paused else self._frame]
        self._queue = self._queue[len(taken) :]
        self._played += len(taken)
        if len(taken):
            self._drain_untold = True
        elif self._drain_untold and not len(self._queue):
            self._drain_untold = False
            if self.listener is not None:
                self.listener.on_drained()
        said = np.concatenate((taken, np.zeros(self._frame - len(taken), np.int16)))
        said.flags.writeable = False
        self._kept = np.concatenate((self._kept[len(said) :], said))
        return said

    def _tell_taps(self, news: Callable[[LegTap], None]) -> None:
        for tap in self._taps:
            try:
                news(tap)
            except Exception as error:  # noqa: BLE001 - as the contract has it
                self.remove_tap(tap)
                tap.on_closed(error)


def _mixed(one: Pcm, other: Pcm) -> Pcm:
    mixed: Pcm = np.clip(one.astype(np.int32) + other, -32_768, 32_767).astype(np.int16)
    mixed.flags.writeable = False
    return mixed
