"""Sound at another rate: exact in length, delayed by what is said, and without what does not belong to it."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.leg import Pcm
from media.resample import RATES_HZ, Resampler

PAIRS = [pair for pair in itertools.product(RATES_HZ, repeat=2) if pair[0] != pair[1]]
LINES = [
    (8_000, 16_000),
    (8_000, 24_000),
    (16_000, 8_000),
    (24_000, 8_000),
    (48_000, 8_000),
    (44_100, 8_000),
    (24_000, 16_000),
]
"""Between a line and what agents have."""


def tone(rate_hz: int, hz: float, samples: int, amplitude: float = 10_000) -> Pcm:
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(samples) / rate_hz)).astype(np.int16)


def level_db(sound: Pcm) -> float:
    """Against a tone of 10,000."""
    power = float(np.mean(sound.astype(float) ** 2))
    return 10 * math.log10(power / (10_000**2 / 2) + 1e-12)


@pytest.mark.parametrize(("from_hz", "to_hz"), LINES)
def test_what_comes_out_is_the_same_sound_later_by_the_delay(from_hz: int, to_hz: int) -> None:
    one = Resampler(from_hz, to_hz)
    out = np.concatenate([one.process(frame) for frame in np.split(tone(from_hz, 1_000, from_hz // 5), 10)])
    assert len(out) == to_hz // 5
    assert 0.5e-3 <= one.delay_s <= 3e-3
    time_s = np.arange(len(out)) / to_hz - one.delay_s
    settled = slice(to_hz // 50, None)
    error = out[settled] - 10_000 * np.sin(2 * np.pi * 1_000 * time_s[settled])
    assert level_db(error) < -75


@pytest.mark.parametrize(("from_hz", "to_hz"), LINES)
def test_a_telephone_s_band_passes_and_an_alias_does_not(from_hz: int, to_hz: int) -> None:
    for hz in (300, 1_000, 3_000, 3_400):
        passed = Resampler(from_hz, to_hz).process(tone(from_hz, hz, from_hz // 5))
        assert level_db(passed[to_hz // 50 :]) == pytest.approx(0, abs=0.5), hz
    for alias_hz in (to_hz * 0.53, to_hz * 0.62, to_hz * 0.9):
        if alias_hz < from_hz / 2:
            passed = Resampler(from_hz, to_hz).process(tone(from_hz, alias_hz, from_hz // 5))
            assert level_db(passed[to_hz // 50 :]) < -70, alias_hz


@given(st.sampled_from(PAIRS), st.lists(st.integers(0, 700), max_size=20), st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_how_the_sound_is_cut_into_frames_changes_nothing(pair: tuple[int, int], lengths: list[int], seed: int) -> None:
    sound = np.random.default_rng(seed).integers(-30_000, 30_000, sum(lengths)).astype(np.int16)
    whole, cut = Resampler(*pair), Resampler(*pair)
    pieces = np.split(sound, np.cumsum(lengths)[:-1]) if lengths else []
    count_in, out = 0, [np.zeros(0, np.int16)]
    for piece in pieces:
        out.append(cut.process(piece))
        count_in += len(piece)
        assert sum(map(len, out)) == math.ceil(count_in * pair[1] / pair[0])
    assert np.array_equal(np.concatenate(out), whole.process(sound))


@pytest.mark.parametrize(("from_hz", "to_hz"), [(8_000, 24_000), (24_000, 8_000), (44_100, 16_000)])
def test_time_stays_the_same_to_the_sample(from_hz: int, to_hz: int) -> None:
    one = Resampler(from_hz, to_hz)
    seven_seconds = np.zeros(7 * from_hz + 1, np.int16)
    assert sum(len(one.process(seven_seconds)) for _ in range(20)) == math.ceil(
        20 * len(seven_seconds) * to_hz / from_hz
    )


def test_positions_of_what_was_said_are_told_in_the_agents_own_samples() -> None:
    one = Resampler(24_000, 8_000)
    assert one.samples_in(8_000) == 24_000
    assert one.samples_in(1) == 3
    assert Resampler(8_000, 24_000).samples_in(25) == 8


def test_a_flush_gives_the_end_and_begins_anew() -> None:
    one = Resampler(24_000, 8_000)
    click = np.zeros(480, np.int16)
    click[-1] = 20_000
    first = one.process(click)
    rest = one.flush()
    assert np.abs(rest).max() > np.abs(first).max(), "the end of what went in was still on its way"
    assert len(rest) == pytest.approx(one.delay_s * 8_000, abs=1)
    assert not one.process(np.zeros(480, np.int16)).any()
    fresh = Resampler(24_000, 8_000)
    assert np.array_equal(
        one.process(tone(24_000, 440, 480))[-100:],
        fresh.process(np.concatenate((np.zeros(480, np.int16), tone(24_000, 440, 480))))[-100:],
    )


def test_what_is_too_loud_is_clipped_and_never_wraps() -> None:
    square = np.where(np.arange(4_800) % 96 < 48, 32_767, -32_768).astype(np.int16)
    out = Resampler(48_000, 8_000).process(square).astype(int)
    assert np.abs(np.diff(out)).max() < 65_000
    assert out[100:].max() == 32_767


def test_equal_rates_cost_nothing() -> None:
    one, sound = Resampler(8_000, 8_000), tone(8_000, 440, 160)
    assert one.process(sound) is sound
    assert one.delay_s == 0
    assert len(one.flush()) == 0


def test_an_unknown_rate_is_named() -> None:
    with pytest.raises(ValueError, match="a rate of 11025 Hz is not supported: use one of 8000, "):
        Resampler(11_025, 8_000)
