"""Plays sound files, and stops when the caller interrupts."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from gateway.agents.agent import Call
from gateway.agents.kinds.settings import Maker, SpeakingSettings
from gateway.agents.turns import interruption_over
from gateway.settings.context import SoundFile
from gateway.settings.document import PathStep
from gateway.settings.shipped import DIALPLANS
from media.wav import decoded


class OnInterrupt(enum.Enum):
    """What a speaker does when the caller speaks over it."""

    STOP = "stop"
    NEXT = "next"
    """Continue with the next file when the caller has finished."""


class SpeakerSettings(SpeakingSettings):
    """Plays sounds (WAV, FLAC, Ogg, MP3) in order, then ends."""

    kind: Literal["speaker"] = "speaker"
    files: tuple[SoundFile, ...] = Field(min_length=1)
    """The sounds; relative paths start at the directory of `gateway.yaml`."""
    repeat: Annotated[int, Field(ge=0, le=1000)] = 1
    """How many times the whole sequence is played; 0: without end."""
    on_interrupt: OnInterrupt = OnInterrupt.STOP
    """`stop`: it ends when the caller interrupts; `next`: it continues with the next file when they have finished."""

    def maker(self, name: str) -> Maker:  # noqa: ARG002 - its files are already checked
        """Return what makes the agent of one call."""
        return Maker(lambda: SpeakerAgent(self))

    def named_files(self) -> Iterator[tuple[tuple[PathStep, ...], Path]]:
        """Every sound that does not come with Offhook."""
        for index, sound in enumerate(self.files):
            if not sound.is_relative_to(DIALPLANS):
                yield ("files", index), sound


class SpeakerAgent:
    """Plays its files in order, `repeat` times, and ends."""

    __slots__ = ("_settings",)

    def __init__(self, settings: SpeakerSettings) -> None:
        self._settings = settings

    async def run(self, call: Call) -> None:
        """Play until the end, or until the caller interrupts."""
        rounds = 0
        while self._settings.repeat == 0 or rounds < self._settings.repeat:
            rounds += 1
            for path in self._settings.files:
                pcm = await decoded(path, call.rate_hz)
                spoken = await call.speak(pcm)
                if spoken.interrupted and not await self._goes_on(call):
                    return

    async def _goes_on(self, call: Call) -> bool:
        if self._settings.on_interrupt is OnInterrupt.STOP:
            return False
        return await interruption_over(call)
