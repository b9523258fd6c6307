"""The plane hands the engine's batches to legs, their listeners and their taps. The engine is played here."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest
import structlog

from media import _engine, plane
from media.leg import Counters, LegTap, Pcm, PlayoutFullError, Position

RECORDS = list[tuple[int, int, int, int, int]]


def pcm(*samples: int) -> Pcm:
    return np.array(samples, np.int16)


@dataclass
class FakeSlot:
    id: int
    rate_hz: int = 8000
    full: bool = False
    played: list[tuple[list[int], int | None]] = field(default_factory=list)
    tapped: bool = False
    frames_in: int = 0

    def tap_sent(self, tapped: bool) -> None:
        self.tapped = tapped

    def play(self, samples: Pcm, mark: int | None = None) -> bool:
        self.played.append((samples.tolist(), mark))
        return not self.full

    def counters(self) -> Counters:
        return Counters(frames_in=self.frames_in)

    def position(self) -> Position:
        return Position(80, 4000, 500.0)


class FakeEngine:
    """Says what it was told to, once it is asked."""

    def __init__(self, tuning: object, *, clock_threads: int) -> None:
        self._fd = os.eventfd(0, os.EFD_NONBLOCK)
        self._slots = 0
        self._records: RECORDS = []
        self._samples: list[int] = []
        self._times = itertools.count(10)
        self.reads = 0
        self.was_read = asyncio.Event()

    def open(self) -> FakeSlot:
        self._slots += 1
        return FakeSlot(self._slots)

    def fileno(self) -> int:
        return self._fd

    def frame(self, slot: int, *samples: int, kind: int = _engine.FRAME) -> None:
        begin = len(self._samples)
        self._samples += samples
        self._records.append((slot, kind, begin, len(self._samples), next(self._times)))

    def event(self, slot: int, kind: int, begin: int = 0, end: int = 0) -> None:
        self._records.append((slot, kind, begin, end, next(self._times)))

    def signal(self) -> None:
        os.eventfd_write(self._fd, 1)

    def read(self) -> tuple[RECORDS, Pcm]:
        os.eventfd_read(self._fd)
        self.reads += 1
        self.was_read.set()
        records, self._records = self._records, []
        samples, self._samples = np.array(self._samples, np.int16), []
        return records, samples

    def close(self) -> None:
        os.close(self._fd)


class Diary:
    """A listener that writes down what it is told."""

    def __init__(self, error_at: str = "") -> None:
        self.entries: list[object] = []
        self._error_at = error_at

    def _note(self, *entry: object) -> None:
        self.entries.append(entry)
        if entry[0] == self._error_at:
            raise ValueError(self._error_at)

    def on_frame(self, pcm: Pcm) -> None:
        self._note("frame", pcm.tolist())

    def on_dtmf(self, digit: str, duration_ms: int) -> None:
        self._note("dtmf", digit, duration_ms)

    def on_mark(self, mark: int) -> None:
        self._note("mark", mark)

    def on_drained(self) -> None:
        self._note("drained")

    def on_media_silent(self, silent_ms: int) -> None:
        self._note("silent", silent_ms)


@pytest.fixture
def media(monkeypatch: pytest.MonkeyPatch) -> plane.MediaPlane:
    monkeypatch.setattr(_engine, "Engine", FakeEngine)
    monkeypatch.setattr(plane, "monotonic_ns", lambda: 0)
    return plane.MediaPlane(_engine.Tuning(), clock_threads=1)


@pytest.fixture
def engine(media: plane.MediaPlane) -> Iterator[FakeEngine]:
    engine = media.engine
    assert isinstance(engine, FakeEngine)
    yield engine
    engine.close()


@pytest.fixture
def deliver(media: plane.MediaPlane, engine: FakeEngine) -> Callable[[], None]:
    async def one_wakeup() -> None:
        media.start()
        engine.signal()
        engine.was_read = asyncio.Event()
        await engine.was_read.wait()
        media.stop()

    return lambda: asyncio.run(asyncio.wait_for(one_wakeup(), 5))


def test_one_wakeup_tells_every_leg_its_own_in_order(
    media: plane.MediaPlane, engine: FakeEngine, deliver: Callable[[], None]
) -> None:
    first, second = media.open(), media.open()
    first.listener, second.listener = Diary(), Diary()
    engine.frame(1, 1, 2)
    engine.event(1, _engine.MARK, 7)
    engine.frame(2, 3)
    engine.event(1, _engine.DRAINED)
    engine.event(2, _engine.DTMF, ord("#"), 120)
    engine.event(2, _engine.SILENT, 5000)
    engine.frame(1, 4)
    deliver()
    assert engine.reads == 1
    assert first.listener.entries == [("frame", [1, 2]), ("mark", 7), ("drained",), ("frame", [4])]
    assert second.listener.entries == [("frame", [3]), ("dtmf", "#", 120), ("silent", 5000)]


def test_frames_that_waited_too_long_are_dropped_and_counted_but_not_for_taps(
    media: plane.MediaPlane, engine: FakeEngine, deliver: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    leg, diary, tap = media.open(), Diary(), Overheard()
    leg.listener = diary
    leg.add_tap(tap)
    slot = leg.slot
    assert isinstance(slot, FakeSlot)
    slot.frames_in = 3
    for sample in (1, 2, 3):
        engine.frame(1, sample)  # at 10, 12 and 14 ns
        engine.event(1, _engine.MARK, sample)
    monkeypatch.setattr(plane, "monotonic_ns", lambda: 14 + 150_000_000)
    deliver()
    assert diary.entries == [("mark", 1), ("mark", 2), ("frame", [3]), ("mark", 3)]
    assert tap.news == [("heard", [1], 10), ("heard", [2], 12), ("heard", [3], 14)]
    assert leg.counters() == Counters(frames_in=1, frames_overrun=2)


def test_a_leg_that_closed_is_told_nothing_more(
    media: plane.MediaPlane, engine: FakeEngine, deliver: Callable[[], None]
) -> None:
    leg, diary = media.open(), Diary()
    leg.listener = diary
    engine.frame(1, 1)
    engine.frame(99, 1)
    leg.close()
    leg.close()
    deliver()
    assert diary.entries == []
    assert media.legs == 0


def test_a_leg_without_a_listener_still_tells_its_owner_of_silence(
    media: plane.MediaPlane, engine: FakeEngine, deliver: Callable[[], None]
) -> None:
    leg = media.open()
    silences: list[int] = []
    leg.on_silent = silences.append
    engine.frame(1, 1)
    engine.event(1, _engine.DRAINED)
    engine.event(1, _engine.SILENT, 6000)
    deliver()
    assert silences == [6000]


def test_a_leg_that_closes_in_the_middle_of_a_batch_is_done(
    media: plane.MediaPlane, engine: FakeEngine, deliver: Callable[[], None]
) -> None:
    leg, diary = media.open(), Diary()
    leg.listener = diary
    leg.on_silent = lambda _: leg.close()
    engine.event(1, _engine.SILENT, 5000)
    engine.frame(1, 1)
    deliver()
    assert diary.entries == []


def test_a_listener_that_fails_is_the_only_one_to_fall_silent(
    media: plane.MediaPlane, engine: FakeEngine, deliver: Callable[[], None]
) -> None:
    bad, good = media.open(), media.open()
    diary = Diary(error_at="mark")
    bad.listener, good.listener = diary, Diary()
    failures: list[Exception] = []
    bad.on_failure = failures.append
    engine.event(1, _engine.MARK, 1)
    engine.frame(1, 1)
    engine.frame(2, 2)
    with structlog.testing.capture_logs() as logs:
        deliver()
    assert diary.entries == [("mark", 1)]
    assert good.listener.entries == [("frame", [2])]
    assert [type(failure) for failure in failures] == [ValueError]
    assert [(line["event"], line["slot"]) for line in logs] == [("leg.failed", 1)]


def test_a_full_queue_says_how_much_waits(media: plane.MediaPlane, engine: FakeEngine) -> None:
    leg = media.open()
    leg.play(pcm(1, 2), 5)
    slot = leg.slot
    assert isinstance(slot, FakeSlot)
    assert slot.played == [([1, 2], 5)]
    slot.full = True
    with pytest.raises(PlayoutFullError, match="500 ms"):
        leg.play(pcm(1))


class Overheard(LegTap):
    """A tap that writes everything down, and can fail."""

    def __init__(self, *, fails: bool = False) -> None:
        self.news: list[object] = []
        self._fails = fails

    def on_heard_frame(self, pcm: Pcm, time_ns: int) -> None:
        if self._fails:
            raise RuntimeError("a tap's own fault")
        self.news.append(("heard", pcm.tolist(), time_ns))

    def on_sent_frame(self, pcm: Pcm, time_ns: int) -> None:
        self.news.append(("sent", pcm.tolist(), time_ns))

    def on_dtmf(self, digit: str, duration_ms: int) -> None:
        self.news.append((digit, duration_ms))

    def on_closed(self, error: Exception | None) -> None:
        self.news.append(("closed", repr(error)))
        if self._fails:
            raise RuntimeError("and once more")


def test_a_tap_gets_both_directions_and_keys_of_its_leg_alone(
    media: plane.MediaPlane, engine: FakeEngine, deliver: Callable[[], None]
) -> None:
    leg, _other = media.open(), media.open()
    tap = Overheard()
    leg.add_tap(tap)
    engine.frame(1, 1, 2)
    engine.frame(2, 3, 4)
    engine.frame(1, 5, 6, kind=_engine.SENT)
    engine.event(1, _engine.DTMF, ord("5"), 120)
    engine.event(1, _engine.MARK, 7)
    deliver()
    assert tap.news == [("heard", [1, 2], 10), ("sent", [5, 6], 12), ("5", 120)]


def test_the_engine_copies_what_is_sent_only_while_somebody_taps(media: plane.MediaPlane) -> None:
    leg = media.open()
    slot = leg.slot
    assert isinstance(slot, FakeSlot)
    first, second = Overheard(), Overheard()
    told = [slot.tapped]
    for change in (leg.add_tap, leg.remove_tap):
        for tap in (first, second):
            change(tap)
            told.append(slot.tapped)
    assert told == [False, True, True, True, False]
    leg.add_tap(first)
    leg.close()
    assert not slot.tapped


def test_a_tap_is_told_once_that_nothing_more_comes_unless_it_was_taken_off(media: plane.MediaPlane) -> None:
    leg = media.open()
    taken_off, broken, last = Overheard(), Overheard(fails=True), Overheard()
    for tap in (taken_off, broken, last):
        leg.add_tap(tap)
    leg.remove_tap(taken_off)
    leg.close()
    leg.close()
    assert [tap.news for tap in (taken_off, broken, last)] == [[], [("closed", "None")], [("closed", "None")]]


def test_a_tap_that_fails_is_taken_off_and_nobody_else_misses_anything(
    media: plane.MediaPlane, engine: FakeEngine, deliver: Callable[[], None]
) -> None:
    leg, other = media.open(), media.open()
    after, others = Overheard(), Overheard()
    leg.listener = diary = Diary()
    broken = Overheard(fails=True)
    leg.add_tap(broken)
    leg.add_tap(after)
    other.add_tap(others)
    for slot in (1, 2, 1, 2):
        engine.frame(slot, 1)
    deliver()
    assert len(after.news) == len(others.news) == len(diary.entries) == 2
    assert leg.taps == (after,)
    assert broken.news == [("closed", repr(RuntimeError("a tap's own fault")))]


def test_a_tap_may_take_others_off_while_it_is_told(
    media: plane.MediaPlane, engine: FakeEngine, deliver: Callable[[], None]
) -> None:
    leg, last = media.open(), Overheard()

    class Jealous(Overheard):
        def on_heard_frame(self, pcm: Pcm, time_ns: int) -> None:
            leg.remove_tap(last)

    leg.add_tap(Jealous())
    leg.add_tap(last)
    engine.frame(1, 1)
    deliver()
    assert last.news == []
