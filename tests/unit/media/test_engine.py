"""The native module as Python sees it. Streams are the native tests'."""

from __future__ import annotations

import select
from collections.abc import Iterator

import numpy as np
import pjsua2
import pytest

from media import _engine
from media.leg import Pcm


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
