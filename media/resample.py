"""Resampling frame by frame, for agents and engines that need a rate other than the line's.

A polyphase FIR filter: each input frame gives an output frame at once, with a delay of 3 ms at 8 kHz. soxr, which
we use for sound files, works in blocks: as a stream it holds back several frames, and the caller would hear a slow
answer.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from media.leg import Pcm

RATES_HZ = (8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
"""The rates of engines and lines."""
_HALF_WIDTH = 24
"""Half the length of the filter, in samples of the lower rate."""
_STOP_DB = 80.0
_Taps = npt.NDArray[np.float32]


class Resampler:
    """One direction of one call. Not synchronised: one thread at a time."""

    def __init__(self, from_hz: int, to_hz: int) -> None:
        """Both of `RATES_HZ`; they may be the same.

        Raises:
            ValueError: a rate is not supported.
        """
        for rate_hz in (from_hz, to_hz):
            if rate_hz not in RATES_HZ:
                raise ValueError(f"a rate of {rate_hz} Hz is not supported: use one of {', '.join(map(str, RATES_HZ))}")
        self.from_hz, self.to_hz = from_hz, to_hz
        ratio = Fraction(to_hz, from_hz)
        self._up, self._down = ratio.numerator, ratio.denominator
        self._filters = _polyphase(self._up, self._down)
        self._width = self._filters.shape[1]
        self._past = np.zeros(self._width - 1, np.float32)
        self._phase = 0
        """How far the next output sample lies after the next input sample, in 1/up of an input sample."""

    @property
    def delay_s(self) -> float:
        """The delay from input to output; 0 between equal rates."""
        if self._up == self._down:
            return 0.0
        return _HALF_WIDTH / min(self.from_hz, self.to_hz)

    def process(self, pcm: Pcm) -> Pcm:
        """Convert the next samples; returns all output that can be computed from the input so far.

        Args:
            pcm: int16, shape (samples,), at `from_hz`; any length, including 0.

        Returns:
            int16 at `to_hz`; n samples of input in total give ceil(n * to_hz / from_hz) samples of output in total.
        """
        if self._up == self._down:
            return pcm
        sound = np.concatenate((self._past, pcm.astype(np.float32)))
        self._past = sound[len(pcm) :]
        count = max(-(-(len(pcm) * self._up - self._phase) // self._down), 0)
        places = self._phase + self._down * np.arange(count)
        self._phase += count * self._down - len(pcm) * self._up
        if not count:
            return np.zeros(0, np.int16)
        windows = np.lib.stride_tricks.sliding_window_view(sound, self._width)
        out = np.einsum("ij,ij->i", windows[places // self._up], self._filters[places % self._up])
        frame: Pcm = np.clip(np.rint(out), -32_768, 32_767).astype(np.int16)
        return frame

    def flush(self) -> Pcm:
        """Return the rest of the output, `delay_s` long; the next samples start a new stream."""
        rest = self.process(np.zeros(math.ceil(self.delay_s * self.from_hz), np.int16))
        self._past[:] = 0
        self._phase = 0
        return rest

    def samples_in(self, samples_out: int) -> int:
        """Convert a number of samples at `to_hz` to samples at `from_hz`, rounded down: for positions and marks."""
        return samples_out * self._down // self._up


@lru_cache(maxsize=64)
def _polyphase(up: int, down: int) -> _Taps:
    """The filter's taps, shape (up, width): one row for each phase between two samples, in order of time."""
    lower = max(up, down)  # filter samples (at from_hz * up) per sample of the lower rate
    reach = _HALF_WIDTH * lower
    beta = 0.1102 * (_STOP_DB - 8.7)
    # Kaiser's formula for the width of the transition band. At 8 kHz the band is 3.4 to 4.2 kHz: the alias of its upper
    # end lies above the telephone band.
    transition = (_STOP_DB - 8.0) / (2.285 * 2 * reach * math.pi)
    cutoff = 1.0 / lower - 0.3 * transition
    places = np.arange(-reach, reach + 1)
    taps = cutoff * np.sinc(cutoff * places) * np.kaiser(len(places), beta)
    taps *= up / taps.sum()
    width = -(-len(taps) // up)
    padded = np.zeros(width * up)
    padded[: len(taps)] = taps
    return np.ascontiguousarray(padded.reshape(width, up).T[:, ::-1], np.float32)
