"""How loud a line is while nobody speaks, and what stands out from it."""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from media.leg import Pcm

WINDOW_MS = 2_000
"""Noise that lasts this long is noise: nobody speaks for two seconds without a pause of 60 ms."""
_STEP_MS = 200
_SMOOTHED_FRAMES = 3
_LEAST_DB, _MOST_DB = 9.0, 15.0
_SHARE_OF_RANGE = 0.5
_PEAK_FALLS_DB_PER_S = 3.0
_SILENCE = 0.25
"""Power of what rounds to nothing: half a step of 16 bits."""


class NoiseFloor:
    """Follows the noise of one line by its quietest moments of the last two seconds ("minimum statistics").

    A frame stands out when it is half way, in dB, between the noise and the loudest voice of late: 9 dB above the noise
    at least, 15 dB at most. Until two seconds were heard everything does.

    Measured with webrtcvad behind it, five readers at -16 dBFS over white, pink, car, hum and babble at -26, -32 and
    -40 dBFS: without the floor white, pink and hum at -26, and babble at -32, are speech without end; with it every
    turn ends as on a quiet line, and steady noise that begins interrupts an agent in its first three seconds only.
    Babble alone still interrupts once in two to four seconds: it is voices. A frame costs 1.5 us.
    """

    __slots__ = ("_before", "_before_that", "_least", "_lows", "_peak", "_step_ms", "_threshold")

    def __init__(self) -> None:
        self._before = self._before_that = math.inf  # the last frames' powers: mean squares, of 16 bit samples
        self._least = math.inf  # of three frames in a row, in this step
        self._lows: deque[float] = deque(maxlen=WINDOW_MS // _STEP_MS)
        self._step_ms = 0
        self._peak = 0.0
        self._threshold = 0.0

    def is_above(self, pcm: Pcm, duration_ms: int) -> bool:
        """Take one frame; whether it stands out from the noise."""
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
