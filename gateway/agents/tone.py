"""A pure tone, phase-continuous, for measurements."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from gateway.agents.agent import Call
from gateway.agents.settings import ToneSettings
from gateway.agents.turns import interruption_over
from media.leg import Pcm

PIECES_PER_SECOND = 2


@lru_cache(maxsize=64)
def one_second(frequency_hz: int, level_dbfs: float, rate_hz: int) -> Pcm:
    """A second of tone, read-only; with whole hertz its end joins its start without a step."""
    phase = np.arange(rate_hz) * (2 * math.pi * frequency_hz / rate_hz)
    pcm: Pcm = np.round(np.sin(phase) * (32_767 * 10 ** (level_dbfs / 20))).astype(np.int16)
    pcm.flags.writeable = False
    return pcm


class ToneAgent:
    """Sounds until the call ends, always `max_ahead_ms` ahead; interrupted, it waits for the end of the turn."""

    __slots__ = ("_settings",)

    def __init__(self, settings: ToneSettings) -> None:
        self._settings = settings

    async def run(self, call: Call) -> None:
        """Sound, and give way to the caller."""
        second = one_second(self._settings.frequency_hz, self._settings.level_dbfs, call.rate_hz)
        pieces = np.split(second, PIECES_PER_SECOND)
        await call.speak(_endless(pieces))
        while await interruption_over(call):
            await call.speak(_endless(pieces))


def _endless(pieces: list[Pcm]) -> Iterator[Pcm]:
    while True:
        yield from pieces
