"""What stands out from the noise of a line."""

from __future__ import annotations

import numpy as np
import pytest

from media.leg import Pcm
from media.speech.noise import WINDOW_MS, NoiseFloor

RATE_HZ = 8_000
FRAME = RATE_HZ // 50
LEARNT = WINDOW_MS // 20 + 10


def noise(duration_ms: int, level_dbfs: float, seed: int = 1) -> Pcm:
    samples = np.random.default_rng(seed).normal(0, 32_768 * 10 ** (level_dbfs / 20), RATE_HZ * duration_ms // 1_000)
    return samples.clip(-32_768, 32_767).astype(np.int16)


def judged(*sounds: Pcm) -> list[bool]:
    floor = NoiseFloor()
    pcm = np.concatenate(sounds)
    return [floor.is_above(pcm[start : start + FRAME], 20) for start in range(0, len(pcm), FRAME)]


@pytest.mark.parametrize("level_dbfs", [-60, -40, -26, -15])
def test_a_steady_noise_is_none_after_two_seconds(level_dbfs: float) -> None:
    found = judged(noise(10_000, level_dbfs))
    assert all(found[: WINDOW_MS // 20 - 1])
    assert not any(found[LEARNT:])


def test_what_is_louder_than_the_noise_stands_out_at_once_and_no_longer_than_it_sounds() -> None:
    found = judged(noise(4_000, -40), noise(500, -24, seed=2), noise(1_000, -40, seed=3))
    assert all(found[200:225])
    assert not any(found[225:])


def test_a_noise_that_grows_is_learnt_and_one_that_falls_is_forgotten_within_a_step() -> None:
    found = judged(noise(4_000, -50), noise(4_000, -30, seed=2), noise(1_000, -50, seed=3), noise(500, -38, seed=4))
    assert all(found[200 : 200 + WINDOW_MS // 20 - 15])
    assert not any(found[200 + LEARNT : 450])
    assert all(found[450:])


def test_a_silent_line_hides_nothing() -> None:
    quiet = np.zeros(RATE_HZ * 5, np.int16)
    found = judged(quiet, noise(200, -60))
    assert not any(found[LEARNT:250])
    assert all(found[250:])
