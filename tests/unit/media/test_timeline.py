"""Two tracks of a leg lie beside each other to the sample, for an hour."""

from __future__ import annotations

import numpy as np
import pytest

from media.timeline import TOLERANCE_MS, Timeline, Track

RATE_HZ, FRAME_MS = 8_000, 20
FRAME = np.zeros(RATE_HZ * FRAME_MS // 1_000, np.int16)
BEGIN_NS = 123_456_789_000_000_000
FRAMES_IN_AN_HOUR = 3_600 * 1_000 // FRAME_MS


def ns(frames: float) -> int:
    return BEGIN_NS + round(frames * FRAME_MS * 1e6)


def tracks() -> tuple[Track, Track]:
    timeline = Timeline(RATE_HZ, BEGIN_NS)
    return Track(timeline), Track(timeline)


def test_an_hour_of_jitter_moves_nothing() -> None:
    heard, sent = tracks()
    jitter_ms = np.random.default_rng(1).exponential(6, FRAMES_IN_AN_HOUR).clip(0, 50)
    offsets = {
        heard.place(FRAME, ns(index + jitter_ms[index] / FRAME_MS)) - sent.place(FRAME, ns(index))
        for index in range(FRAMES_IN_AN_HOUR)
    }
    assert len(offsets) == 1, "to the sample"
    assert (heard.jumps, sent.jumps) == (0, 0)


@pytest.mark.parametrize("ppm", [-100, -20, 20, 100])
def test_a_clock_that_runs_otherwise_never_drifts_away(ppm: int) -> None:
    heard, sent = tracks()
    worst = 0
    for index in range(FRAMES_IN_AN_HOUR):
        offset = heard.place(FRAME, ns(index * (1 + ppm * 1e-6)))
        by_time = Timeline(RATE_HZ, BEGIN_NS).position(ns(index * (1 + ppm * 1e-6)))
        worst = max(worst, abs(offset - by_time))
        sent.place(FRAME, ns(index))
    assert worst <= RATE_HZ * TOLERANCE_MS // 1_000
    assert heard.jumps == int(abs(ppm) * 1e-6 * 3_600_000 / TOLERANCE_MS)
    assert sent.jumps == 0


def test_what_was_never_sent_is_silence() -> None:
    heard, _ = tracks()
    assert [heard.place(FRAME, ns(index)) for index in (0, 1, 2, 100, 101)] == [0, 160, 320, 16_000, 16_160]
    assert heard.jumps == 1


def test_what_the_network_held_up_for_long_comes_back_to_the_clock() -> None:
    """The engine has filled the time with silence: what comes late, all at once, is behind."""
    heard, _ = tracks()
    for index in range(10):
        heard.place(FRAME, ns(index))
    for index in range(10, 20):
        last = heard.place(FRAME, ns(9.5) if index < 20 else ns(index))
    assert abs(last - Timeline(RATE_HZ, BEGIN_NS).position(ns(9.5))) <= RATE_HZ * TOLERANCE_MS // 1_000
