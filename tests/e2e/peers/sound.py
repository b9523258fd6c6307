"""Checks sound as sound: which tone, how loud, when it begins and ends.

All sound is mono int16, shape (samples,), with its rate beside it.
"""

from __future__ import annotations

import itertools
import wave
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Pcm = npt.NDArray[np.int16]

FULL_SCALE = 32768.0
SILENCE_DBFS = -96.0
FRAME_MS = 20


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in which there is sound."""

    start_ms: float
    end_ms: float
    tone_hz: float
    """Its dominant frequency."""
    level_dbfs: float

    @property
    def length_ms(self) -> float:
        """How long it lasts."""
        return self.end_ms - self.start_ms


def tone(frequency_hz: float, length_ms: float, rate_hz: int = 8000, level_dbfs: float = -12.0) -> Pcm:
    """A sine that begins at zero, of this RMS level."""
    times = np.arange(round(rate_hz * length_ms / 1000)) / rate_hz
    amplitude = FULL_SCALE * np.sqrt(2) * 10 ** (level_dbfs / 20)
    samples: Pcm = (amplitude * np.sin(2 * np.pi * frequency_hz * times)).astype(np.int16)
    return samples


def silence(length_ms: float, rate_hz: int = 8000) -> Pcm:
    """Zeros."""
    return np.zeros(round(rate_hz * length_ms / 1000), np.int16)


def level_dbfs(pcm: Pcm) -> float:
    """RMS level; a full-scale square wave is 0, silence -96."""
    if not len(pcm):
        return SILENCE_DBFS
    rms = float(np.sqrt(np.mean(np.square(pcm.astype(np.float64)))))
    return max(SILENCE_DBFS, 20 * float(np.log10(max(rms, 1e-9) / FULL_SCALE)))


def levels_dbfs(pcm: Pcm, rate_hz: int, frame_ms: float = FRAME_MS) -> npt.NDArray[np.float64]:
    """RMS level of each whole frame."""
    samples = round(rate_hz * frame_ms / 1000)
    frames = pcm[: len(pcm) // samples * samples].reshape(-1, samples).astype(np.float64)
    rms = np.sqrt(np.mean(np.square(frames), axis=1))
    decibels: npt.NDArray[np.float64] = 20 * np.log10(np.maximum(rms, 1e-9) / FULL_SCALE)
    return np.maximum(decibels, SILENCE_DBFS)


def dominant_hz(pcm: Pcm, rate_hz: int) -> float:
    """The strongest frequency, 0 for silence; right to 2 Hz for a tone of 100 ms or more.

    The peak of a Hann-windowed spectrum, interpolated with a parabola through the logarithms beside it.
    """
    if len(pcm) < 3 or not np.any(pcm):
        return 0.0
    size = max(4096, 1 << (len(pcm) - 1).bit_length())
    spectrum = np.abs(np.fft.rfft(pcm.astype(np.float64) * np.hanning(len(pcm)), size)) + 1e-9
    peak = int(np.argmax(spectrum[1:-1])) + 1
    left, middle, right = np.log(spectrum[peak - 1 : peak + 2])
    shift = 0.5 * (left - right) / (left - 2 * middle + right)
    return float((peak + shift) * rate_hz / size)


def tones_hz(pcm: Pcm, rate_hz: int, window_ms: float = 100.0) -> list[float]:
    """The dominant frequency of each whole window."""
    samples = round(rate_hz * window_ms / 1000)
    return [dominant_hz(pcm[i : i + samples], rate_hz) for i in range(0, len(pcm) - samples + 1, samples)]


def stretches(
    pcm: Pcm, rate_hz: int, threshold_dbfs: float = -45.0, min_gap_ms: float = 30.0, step_ms: float = 5.0
) -> list[Stretch]:
    """Where there is sound: times louder than the threshold, joined over gaps shorter than `min_gap_ms`.

    Edges are right to `step_ms`. Tones of different frequency that touch are one stretch: see `tone_runs`.
    """
    loud = levels_dbfs(pcm, rate_hz, step_ms) > threshold_dbfs
    edges = np.flatnonzero(np.diff(np.concatenate(([False], loud, [False])).astype(np.int8)))
    spans: list[tuple[float, float]] = []
    for first, last in edges.reshape(-1, 2) * step_ms:
        if spans and first - spans[-1][1] < min_gap_ms:
            spans[-1] = (spans[-1][0], float(last))
        else:
            spans.append((float(first), float(last)))
    return [_stretch(pcm, rate_hz, start, end) for start, end in spans]


def tone_runs(
    pcm: Pcm, rate_hz: int, threshold_dbfs: float = -45.0, tolerance_hz: float = 30.0, window_ms: float = 40.0
) -> list[Stretch]:
    """The tones heard, in order: neighbouring windows of the same frequency are one run; silence ends a run.

    A run shorter than two windows (where one tone gives way to another) is left out.
    """
    runs: list[list[int]] = []
    frequencies = tones_hz(pcm, rate_hz, window_ms)
    for i, loud in enumerate(levels_dbfs(pcm, rate_hz, window_ms) > threshold_dbfs):
        if not loud:
            continue
        if runs and runs[-1][1] == i and abs(frequencies[i] - frequencies[runs[-1][0]]) <= tolerance_hz:
            runs[-1][1] = i + 1
        else:
            runs.append([i, i + 1])
    return [_stretch(pcm, rate_hz, a * window_ms, b * window_ms) for a, b in runs if b - a > 1]


def gaps(pcm: Pcm, rate_hz: int, threshold_dbfs: float = -45.0, min_gap_ms: float = 10.0) -> list[tuple[float, float]]:
    """Silences between sounds, as (start_ms, end_ms)."""
    found = stretches(pcm, rate_hz, threshold_dbfs, min_gap_ms)
    return [(before.end_ms, after.start_ms) for before, after in itertools.pairwise(found)]


def assert_tones(pcm: Pcm, rate_hz: int, expected_hz: Sequence[float], tolerance_hz: float = 15.0) -> list[Stretch]:
    """Demand exactly these tones in this order; returns them."""
    heard = tone_runs(pcm, rate_hz)
    matches = len(heard) == len(expected_hz) and all(
        abs(run.tone_hz - wanted) <= tolerance_hz for run, wanted in zip(heard, expected_hz, strict=True)
    )
    if not matches:
        text = ", ".join(f"{run.tone_hz:.0f} Hz {run.start_ms:.0f}..{run.end_ms:.0f} ms" for run in heard)
        raise AssertionError(f"expected tones {list(expected_hz)} Hz; heard: {text or 'silence'}")
    return heard


def _stretch(pcm: Pcm, rate_hz: int, start_ms: float, end_ms: float) -> Stretch:
    part = pcm[round(start_ms * rate_hz / 1000) : round(end_ms * rate_hz / 1000)]
    return Stretch(start_ms, end_ms, dominant_hz(part, rate_hz), level_dbfs(part))


def read_wav(path: Path) -> tuple[Pcm, int]:
    """The first channel of a 16-bit WAV, and its rate."""
    with wave.open(str(path), "rb") as file:
        pcm = np.frombuffer(file.readframes(file.getnframes()), np.int16)
        return pcm[:: file.getnchannels()].copy(), file.getframerate()


def write_wav(path: Path, pcm: Pcm, rate_hz: int, channels: int = 1) -> Path:
    """A 16-bit WAV with the same sound in every channel; returns `path`."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(np.repeat(pcm, channels).astype("<i2").tobytes())
    return path
