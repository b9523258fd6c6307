"""A leg without a wire: playout as the engine does it, on the loop's clock, with the wire kept for inspection."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import numpy as np

from media.leg import Flushed, Leg, LegListener, LegTap, Pcm, PlayoutFullError, Position

FRAME_MS = 20


class FakeLeg(Leg):
    """Plays 20 ms at a time on a fixed grid; tells marks and drains `event_delay_ms` after they are due.

    `wire` is what the party hears, frame by frame, silence included, from the first `play` on.
    """

    def __init__(self, rate_hz: int = 8_000, *, queue_max_ms: int = 60_000, event_delay_ms: float = 0.0) -> None:
        self._loop = asyncio.get_running_loop()
        self._rate_hz = rate_hz
        self._frame = rate_hz * FRAME_MS // 1_000
        self._queue_max = rate_hz * queue_max_ms // 1_000
        self._event_delay_s = event_delay_ms / 1_000
        self._queue: deque[Pcm] = deque()
        self._queued = 0
        self._played = 0
        self._marks: deque[tuple[int, int]] = deque()
        self._news: deque[Callable[[LegListener], None]] = deque()
        self._paused = False
        self._drain_untold = False
        self._tick: asyncio.TimerHandle | None = None
        self.listener: LegListener | None = None
        self._taps: list[LegTap] = []
        self.wire: list[Pcm] = []
        self.calls: list[str] = []
        self.marks_taken = 0

    @property
    def rate_hz(self) -> int:
        return self._rate_hz

    def play(self, pcm: Pcm, mark: int | None = None) -> None:
        if not pcm.flags.c_contiguous:
            raise TypeError("incompatible function arguments")  # as the engine says it
        if self._queued + len(pcm) > self._queue_max:
            raise PlayoutFullError(f"{self._queued} samples wait already")
        if len(pcm):
            self._queue.append(pcm.copy())
            self._queued += len(pcm)
        if mark is not None:
            self.marks_taken += 1
            if self._queued:
                self._marks.append((self._played + self._queued, mark))
            else:
                self._tell(lambda listener: listener.on_mark(mark))
        if self._tick is None:
            self._schedule()

    def flush(self) -> Flushed:
        self.calls.append("flush")
        dropped = self._queued
        marks = tuple(mark for _, mark in self._marks)
        self._queue.clear()
        self._marks.clear()
        self._queued = 0
        self._drain_untold = False
        return Flushed(self._played, dropped, marks)

    def pause(self) -> None:
        self.calls.append("pause")
        self._paused = True

    def resume(self) -> None:
        self.calls.append("resume")
        self._paused = False

    def position(self) -> Position:
        due_s = self._tick.when() - self._loop.time() if self._tick is not None else 0.0
        return Position(self._played, self._queued, due_s * 1_000 + self._queued // self._frame * FRAME_MS)

    def sent(self, samples: int) -> Pcm:
        frames = self.wire[-(samples // self._frame + 1) :]
        return np.concatenate((np.zeros(samples, np.int16), *frames))[-samples:]

    def add_tap(self, tap: LegTap) -> None:
        self._taps.append(tap)

    def remove_tap(self, tap: LegTap) -> None:
        self._taps = [one for one in self._taps if one is not tap]

    def hear(self, pcm: Pcm) -> None:
        """A frame has come from the party."""
        self._tell_taps(lambda tap: tap.on_heard_frame(pcm, self._now_ns()))
        if self.listener is not None:
            self.listener.on_frame(pcm)

    def _tell_taps(self, news: Callable[[LegTap], None]) -> None:
        for tap in self._taps:
            try:
                news(tap)
            except Exception as error:  # noqa: BLE001 - as the contract has it
                self.remove_tap(tap)
                tap.on_closed(error)

    def _now_ns(self) -> int:
        return round(self._loop.time() * 1e9)

    def stop_clock(self) -> None:
        """No more ticks: the stream is gone."""
        if self._tick is not None:
            self._tick.cancel()

    def close_taps(self) -> None:
        """The leg is closed: its taps are told."""
        taps, self._taps = self._taps, []
        for tap in taps:
            tap.on_closed(None)

    def _schedule(self) -> None:
        period_s = FRAME_MS / 1_000
        slot = int(self._loop.time() / period_s + 1e-6) + 1
        self._tick = self._loop.call_at(slot * period_s, self._on_tick)

    def _on_tick(self) -> None:
        frame = np.zeros(self._frame, np.int16)
        filled = 0
        while not self._paused and filled < self._frame and self._queue:
            piece = self._queue.popleft()
            taken = piece[: self._frame - filled]
            frame[filled : filled + len(taken)] = taken
            filled += len(taken)
            if len(taken) < len(piece):
                self._queue.appendleft(piece[len(taken) :])
        self.wire.append(frame)
        self._tell_taps(lambda tap: tap.on_sent_frame(frame, self._now_ns()))
        self._played += filled
        self._queued -= filled
        while self._marks and self._marks[0][0] <= self._played and not self._paused:
            _, mark = self._marks.popleft()
            self._tell(lambda listener, mark=mark: listener.on_mark(mark))  # type: ignore[misc]
        if filled:
            self._drain_untold = True
        elif self._drain_untold and not self._queued:
            self._drain_untold = False
            self._tell(lambda listener: listener.on_drained())
        self._schedule()

    def _tell(self, news: Callable[[LegListener], None]) -> None:
        self._news.append(news)  # timers that are due at the same time fire in any order, news must not
        if self._event_delay_s:
            self._loop.call_later(self._event_delay_s, self._deliver)
        else:
            self._loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        news = self._news.popleft()
        if self.listener is not None:
            news(self.listener)

    def heard(self) -> Pcm:
        """All the wire carried so far, silence included."""
        return np.concatenate(self.wire) if self.wire else np.zeros(0, np.int16)


def voice(rate_hz: int, duration_ms: int, seed: int = 1, level: float = 0.3, pitch_hz: int = 140) -> Pcm:
    """Something that webrtcvad takes for a voice: a buzz through two formants.

    Two of the same pitch are the same voice, and one of them, heard while the other sounds, is its echo.
    """
    rng = np.random.default_rng(seed)
    count = rate_hz * duration_ms // 1_000
    t = np.arange(count) / rate_hz
    pitch = pitch_hz + 20 * np.sin(2 * np.pi * 2.1 * t)
    phase = 2 * np.pi * np.cumsum(pitch) / rate_hz
    sound = np.zeros(count)
    for harmonic in range(1, 20):
        hz = pitch_hz * harmonic
        gain = np.exp(-(((hz - 600) / 350) ** 2)) + 0.6 * np.exp(-(((hz - 1_500) / 500) ** 2)) + 0.02
        sound += gain * np.sin(harmonic * phase + rng.uniform(0, 6))
    sound += 0.01 * rng.normal(size=count)
    return (sound / np.abs(sound).max() * level * 32_767).astype(np.int16) if count else np.zeros(0, np.int16)


def talk(rate_hz: int, duration_ms: int) -> Pcm:
    """Voice with the short pauses that a person makes, 100 ms in every second."""
    phrases = [
        np.concatenate((voice(rate_hz, 900, seed), silence(rate_hz, 100))) for seed in range(duration_ms // 1_000)
    ]
    return np.concatenate((*phrases, voice(rate_hz, duration_ms % 1_000)))


def silence(rate_hz: int, duration_ms: int, noise: float = 3.0, seed: int = 2) -> Pcm:
    """A quiet line: a little noise, about -80 dBFS."""
    rng = np.random.default_rng(seed)
    return rng.normal(0, noise, rate_hz * duration_ms // 1_000).astype(np.int16)


async def caller_sends(leg: FakeLeg, pcm: Pcm) -> None:
    """Send audio to whoever listens on the leg, 20 ms at a time in real (virtual) time."""
    frame = leg.rate_hz * FRAME_MS // 1_000
    pcm.flags.writeable = False
    for start in range(0, len(pcm), frame):
        await asyncio.sleep(FRAME_MS / 1_000)
        leg.hear(pcm[start : start + frame])
