"""A pure tone, phase-continuous, for measurements."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from gateway.agents.agent import Call
from gateway.agents.kinds.settings import Maker, SpeakingSettings
from gateway.agents.turns import interruption_over
from media.leg import Pcm

PIECES_PER_SECOND = 2


class ToneSettings(SpeakingSettings):
    """Plays a steady tone, for measurements; after an interruption it waits until the caller is silent."""

    kind: Literal["tone"] = "tone"
    frequency_hz: Annotated[int, Field(ge=20, le=3400)] = Field(default=440, alias="frequency")
    """In Hz, 20 to 3400: the band that every codec transmits."""
    level_dbfs: Annotated[float, Field(ge=-60, le=0)] = Field(default=-12.0, alias="level")
    """The peak level in dBFS, -60 to 0."""

    def maker(self, name: str) -> Maker:  # noqa: ARG002 - it needs nothing on the machine
        """Return what makes the agent of one call."""
        return Maker(lambda: ToneAgent(self))


@lru_cache(maxsize=64)
def one_second(frequency_hz: int, level_dbfs: float, rate_hz: int) -> Pcm:
    """One second of tone, read-only; as the frequency is a whole number of Hz, it repeats without a step."""
    phase = np.arange(rate_hz) * (2 * math.pi * frequency_hz / rate_hz)
    pcm: Pcm = np.round(np.sin(phase) * (32_767 * 10 ** (level_dbfs / 20))).astype(np.int16)
    pcm.flags.writeable = False
    return pcm


class ToneAgent:
    """Plays until the call ends, up to `max_ahead_ms` ahead; after an interruption it waits for the end of the turn."""

    __slots__ = ("_settings",)

    def __init__(self, settings: ToneSettings) -> None:
        self._settings = settings

    async def run(self, call: Call) -> None:
        """Play the tone, and pause it while the caller speaks."""
        second = one_second(self._settings.frequency_hz, self._settings.level_dbfs, call.rate_hz)
        pieces = np.split(second, PIECES_PER_SECOND)
        await call.speak(_endless(pieces))
        while await interruption_over(call):
            await call.speak(_endless(pieces))


def _endless(pieces: list[Pcm]) -> Iterator[Pcm]:
    while True:
        yield from pieces
