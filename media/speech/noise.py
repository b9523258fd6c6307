"""Estimates the noise level of a line, and finds the frames that are louder."""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from media.leg import Pcm

WINDOW_MS = 2_000
"""Sound that lasts this long is noise: nobody speaks for two seconds without a pause of 60 ms."""
_STEP_MS = 200
_SMOOTHED_FRAMES = 3
_LEAST_DB, _MOST_DB = 9.0, 15.0
_SHARE_OF_RANGE = 0.5
_PEAK_FALLS_DB_PER_S = 3.0
_SILENCE = 0.25
"""The power of a signal that rounds to 0: half a quantisation step of 16 bits."""


class NoiseFloor:
    """Tracks the noise of one line from its quietest moments in the last two seconds ("minimum statistics").

    The threshold lies half way, in dB, between the noise and the loudest recent voice, but at least 9 dB and at most
    15 dB above the noise. In the first two seconds every frame is above it.

    Measured together with webrtcvad, with five readers at -16 dBFS over white, pink, car, hum and babble noise at -26,
    -32 and -40 dBFS. Without this class, white, pink and hum noise at -26, and babble at -32, are speech without end.
    With it, every turn ends as on a quiet line, and steady noise that begins interrupts an agent only in the first
    three seconds of the noise. Babble alone still interrupts once in two to four seconds, because it consists of
    voices. A frame costs 1.5 us.
    """

    __slots__ = ("_before", "_before_that", "_least", "_lows", "_peak", "_step_ms", "_threshold")

    def __init__(self) -> None:
        self._before = self._before_that = math.inf  # powers of the last two frames: mean squares of 16-bit samples
        self._least = math.inf  # the least mean power of three frames in a row, in this step
        self._lows: deque[float] = deque(maxlen=WINDOW_MS // _STEP_MS)
        self._step_ms = 0
        self._peak = 0.0
        self._threshold = 0.0

    def is_above(self, pcm: Pcm, duration_ms: int) -> bool:
        """Take one frame; returns whether it is above the noise threshold."""
        samples = pcm.astype(np.float32)
        power = float(samples @ samples) / (len(pcm) or 1)
        smooth = (power + self._before + self._before_that) / 3
        self._before_that, self._before = self._before, power
        self._least = min(self._least, smooth)
        self._peak = max(self._peak, power)
        self._step_ms += duration_ms
        if self._step_ms >= _STEP_MS:
            self._end_step()
        return power > self._threshold

    def _end_step(self) -> None:
        self._lows.append(self._least)
        self._least = math.inf
        if len(self._lows) == self._lows.maxlen:
            noise_db, peak_db = _db(min(self._lows)), _db(self._peak)
            above_db = min(max(_SHARE_OF_RANGE * (peak_db - noise_db), _LEAST_DB), _MOST_DB)
            self._threshold = 10 ** ((noise_db + above_db) / 10)
        self._peak *= 10 ** (-_PEAK_FALLS_DB_PER_S * self._step_ms / 1_000 / 10)
        self._step_ms = 0


def _db(power: float) -> float:
    return 10.0 * math.log10(max(power, _SILENCE))
