"""Noises of telephone lines, made from a seed: what a detector of voice must not take for one."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from media.leg import Pcm

Sound = npt.NDArray[np.float64]

_BAND_HZ = (300, 3_400)


def noise(kind: str, rate_hz: int, duration_ms: int, seed: int = 1) -> Sound:
    """Noise of one of `KINDS` in the band of a telephone line, shape (samples,), with a mean square of 1."""
    rng = np.random.default_rng(seed)
    return normal(band(KINDS[kind](rng, rate_hz, rate_hz * duration_ms // 1_000), rate_hz))


def growing(sound: Sound, levels_dbfs: tuple[float, float], *, from_sample: int, to_sample: int) -> Pcm:
    """`sound` at one level, then rising steadily in dB to the other one, where it stays."""
    level_db = np.interp(np.arange(len(sound)), (from_sample, to_sample), levels_dbfs)
    return pcm(sound * 10 ** (level_db / 20))


def pcm(sound: Sound) -> Pcm:
    """Sound whose full scale is 1, as samples of 16 bits."""
    return (sound * 32_768).clip(-32_768, 32_767).astype(np.int16)


def normal(sound: Sound) -> Sound:
    """The same with a mean square of 1."""
    return sound / math.sqrt(float(np.mean(sound * sound)))


def band(sound: Sound, rate_hz: int) -> Sound:
    """What a telephone line leaves of it."""
    spectrum = np.fft.rfft(sound)
    hz = np.fft.rfftfreq(len(sound), 1 / rate_hz)
    spectrum[(hz < _BAND_HZ[0]) | (hz > _BAND_HZ[1])] = 0
    return np.fft.irfft(spectrum, len(sound))


def _coloured(rng: np.random.Generator, rate_hz: int, samples: int, db_per_octave: float) -> Sound:
    spectrum = np.fft.rfft(rng.normal(size=samples))
    hz = np.maximum(np.fft.rfftfreq(samples, 1 / rate_hz), 20)
    return np.fft.irfft(spectrum * hz ** (db_per_octave / 6.02), samples)


def _slow(rng: np.random.Generator, rate_hz: int, samples: int, per_s: float) -> Sound:
    """A value that wanders by about 1, as often as `per_s` in a second."""
    points = int(samples / rate_hz * per_s) + 2
    return np.interp(np.arange(samples) * per_s / rate_hz, np.arange(points), rng.normal(size=points))


def _white(rng: np.random.Generator, _rate_hz: int, samples: int) -> Sound:
    return rng.normal(size=samples)


def _pink(rng: np.random.Generator, rate_hz: int, samples: int) -> Sound:
    return _coloured(rng, rate_hz, samples, -3)


def _car(rng: np.random.Generator, rate_hz: int, samples: int) -> Sound:
    """Tyres and wind: falls by 6 dB an octave, a little unsteady."""
    return _coloured(rng, rate_hz, samples, -6) * 10 ** (1.5 * _slow(rng, rate_hz, samples, 1) / 20)


def _street(rng: np.random.Generator, rate_hz: int, samples: int) -> Sound:
    """Cars that pass: pink noise that wanders by 4 dB within seconds."""
    return _pink(rng, rate_hz, samples) * 10 ** (4 * _slow(rng, rate_hz, samples, 0.5) / 20)


def _fan(rng: np.random.Generator, rate_hz: int, samples: int) -> Sound:
    """Its blades' harmonics over rushing air."""
    t = np.arange(samples) / rate_hz
    blades = sum(np.sin(2 * np.pi * 120 * n * t + rng.uniform(0, 6)) / n for n in range(3, 12))
    return normal(_pink(rng, rate_hz, samples)) + 0.7 * normal(np.asarray(blades))


KINDS: dict[str, Callable[[np.random.Generator, int, int], Sound]] = {
    "white": _white,
    "pink": _pink,
    "car": _car,
    "street": _street,
    "fan": _fan,
}
