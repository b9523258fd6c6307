"""The native module as Python sees it, and the plane that hands its batches to legs. Streams are the native tests'."""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pjsua2
import pytest
import structlog

from media import _engine, plane
from media.leg import Pcm, PlayoutFullError, Position

RECORDS = list[tuple[int, int, int, int]]


@pytest.fixture(scope="module", autouse=True)
def pjlib() -> Iterator[None]:
    endpoint = pjsua2.Endpoint()
    endpoint.libCreate()  # pjlib, which the clock threads need; no SIP
    yield
    endpoint.libDestroy()


def pcm(*samples: int) -> Pcm:
    return np.array(samples, np.int16)


class TestModule:
    @pytest.fixture
    def engine(self) -> _engine.Engine:
        return _engine.Engine(_engine.Tuning(playout_limit_ms=1000), clock_threads=2)

    def test_reading_an_idle_engine_gives_nothing(self, engine: _engine.Engine) -> None:
        records, samples = engine.read()
        assert records == []
        assert samples.dtype == np.int16
        assert samples.shape == (0,)
        assert select.select([engine.fileno()], [], [], 0)[0] == []

    def test_slots_are_numbered_and_never_again(self, engine: _engine.Engine) -> None:
        ids = [engine.open().id for _ in range(3)]
        assert ids == sorted(set(ids))

    def test_a_slot_without_a_stream_takes_no_audio(self, engine: _engine.Engine) -> None:
        slot = engine.open()
        assert slot.rate_hz == 0
        assert not slot.play(pcm(1, 2, 3))
        assert (slot.position().played_samples, slot.position().queued_samples) == (0, 0)

    def test_a_slot_without_a_stream_answers_everything(self, engine: _engine.Engine) -> None:
        slot = engine.open()
        slot.pause()
        slot.resume()
        slot.detach()
        slot.detach()
        assert slot.flush().dropped_marks == []
        assert slot.counters().frames_in == 0

    def test_a_flush_gives_back_marks_in_order(self, engine: _engine.Engine) -> None:
        slot = engine.open()
        nothing = pcm()
        assert all(slot.play(nothing, mark) for mark in (3, 1, 2))
        assert slot.flush().dropped_marks == [3, 1, 2]

    @pytest.mark.parametrize("wrong", [np.zeros(3, np.float32), np.zeros((2, 2), np.int16), np.zeros(8, np.int16)[::2]])
    def test_only_flat_int16_is_played(self, engine: _engine.Engine, wrong: Pcm) -> None:
        with pytest.raises(TypeError):
            engine.open().play(wrong)

    def test_a_slot_keeps_its_engine(self) -> None:
        slot = _engine.Engine(_engine.Tuning(), clock_threads=1).open()
        assert slot.flush().played_samples == 0

    def test_the_log_of_pjlib_is_taken_from_any_thread(self) -> None:
        _engine.capture_pjlog()
        _engine.take_pjlog()
        pjsua2.Endpoint.instance().utilLogWrite(1, "test", "a line")
        assert select.select([_engine.pjlog_fileno()], [], [], 1)[0] != []
        lines, dropped = _engine.take_pjlog()
        assert [level for level, text in lines if b"a line" in text] == [1]
        assert dropped == 0
        assert _engine.take_pjlog() == ([], 0)


@dataclass
class FakeSlot:
    id: int
    rate_hz: int = 8000
    full: bool = False
    played: list[tuple[list[int], int | None]] = field(default_factory=list)

    def play(self, samples: Pcm, mark: int | None = None) -> bool:
        self.played.append((samples.tolist(), mark))
        return not self.full

    def position(self) -> Position:
        return Position(80, 4000, 500.0)


class FakeEngine:
    """Says what it was told to, once it is asked."""

    def __init__(self, tuning: object, *, clock_threads: int) -> None:
        self._fd = os.eventfd(0, os.EFD_NONBLOCK)
        self._slots = 0
        self._records: RECORDS = []
        self._samples: list[int] = []
        self.reads = 0
        self.was_read = asyncio.Event()

    def open(self) -> FakeSlot:
        self._slots += 1
        return FakeSlot(self._slots)

    def fileno(self) -> int:
        return self._fd

    def frame(self, slot: int, *samples: int) -> None:
        begin = len(self._samples)
        self._samples += samples
        self._records.append((slot, _engine.FRAME, begin, len(self._samples)))

    def event(self, slot: int, kind: int, begin: int = 0, end: int = 0) -> None:
        self._records.append((slot, kind, begin, end))

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


class TestPlane:
    @pytest.fixture
    def media(self, monkeypatch: pytest.MonkeyPatch) -> plane.MediaPlane:
        monkeypatch.setattr(_engine, "Engine", FakeEngine)
        return plane.MediaPlane(_engine.Tuning(), clock_threads=1)

    @pytest.fixture
    def engine(self, media: plane.MediaPlane) -> Iterator[FakeEngine]:
        engine = media.engine
        assert isinstance(engine, FakeEngine)
        yield engine
        engine.close()

    @pytest.fixture
    def deliver(self, media: plane.MediaPlane, engine: FakeEngine) -> Callable[[], None]:
        async def one_wakeup() -> None:
            media.start()
            engine.signal()
            engine.was_read = asyncio.Event()
            await engine.was_read.wait()
            media.stop()

        return lambda: asyncio.run(asyncio.wait_for(one_wakeup(), 5))

    def test_one_wakeup_tells_every_leg_its_own_in_order(
        self, media: plane.MediaPlane, engine: FakeEngine, deliver: Callable[[], None]
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

    def test_a_leg_that_closed_is_told_nothing_more(
        self, media: plane.MediaPlane, engine: FakeEngine, deliver: Callable[[], None]
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
        self, media: plane.MediaPlane, engine: FakeEngine, deliver: Callable[[], None]
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
        self, media: plane.MediaPlane, engine: FakeEngine, deliver: Callable[[], None]
    ) -> None:
        leg, diary = media.open(), Diary()
        leg.listener = diary
        leg.on_silent = lambda _: leg.close()
        engine.event(1, _engine.SILENT, 5000)
        engine.frame(1, 1)
        deliver()
        assert diary.entries == []

    def test_a_listener_that_fails_is_the_only_one_to_fall_silent(
        self, media: plane.MediaPlane, engine: FakeEngine, deliver: Callable[[], None]
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

    def test_a_full_queue_says_how_much_waits(self, media: plane.MediaPlane, engine: FakeEngine) -> None:
        leg = media.open()
        leg.play(pcm(1, 2), 5)
        slot = leg.slot
        assert isinstance(slot, FakeSlot)
        assert slot.played == [([1, 2], 5)]
        slot.full = True
        with pytest.raises(PlayoutFullError, match="500 ms"):
            leg.play(pcm(1))
