"""Agents that the measured gateway runs; it imports this module as it would a user's own."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.histogram import DurationFile
from bench.stamp import age_us, read_stamp
from gateway.agents.kinds.echo import EchoAgent
from media.conversation.events import CallEndedError

if TYPE_CHECKING:
    from gateway.agents.agent import Call
    from media.leg import Pcm

VOICE_SECONDS = 20
AFTER_INTERRUPTION_S = 1.5
"""Longer than the generator goes on speaking."""


@functools.cache
def _durations(path: str) -> DurationFile:
    return DurationFile.open(Path(path))


class ProbeEcho(EchoAgent):
    """Says back every frame at once, and measures on some how long they were under way from the generator."""

    def __init__(self, durations: str, every: int = 16) -> None:
        """Write to the `DurationFile` at `durations`, for one frame in `every`: reading a stamp takes microseconds."""
        super().__init__()
        self._durations = _durations(durations)
        self._every = self._countdown = every

    def on_frame(self, pcm: Pcm) -> None:
        """Measure, perhaps, and echo."""
        self._countdown -= 1
        if self._countdown == 0:
            self._countdown = self._every
            self._measure(pcm, time.monotonic_ns())
        super().on_frame(pcm)

    def _measure(self, pcm: Pcm, now_ns: int) -> None:
        stamp = read_stamp(pcm)
        if stamp is not None:
            self._durations.record(age_us(stamp, now_ns))


class Parrot:
    """The first agent of the README, as it stands there."""

    async def run(self, call: Call) -> None:
        """Say back what is heard."""
        async for audio in call.hear():
            await call.say(audio)


class Talker:
    """Speaks without a pause, most of it queued ahead; hears each frame inline; begins anew when interrupted."""

    async def run(self, call: Call) -> None:
        """Speak until the caller hangs up."""
        await self._prepare(call)
        with contextlib.suppress(CallEndedError):
            while True:
                answer = call.utterance(call.epoch)  # it takes no notice of an interruption but by waiting
                spoken = await answer.speak(_voice(call.rate_hz))
                if spoken.interrupted:
                    await asyncio.sleep(AFTER_INTERRUPTION_S)

    async def _prepare(self, call: Call) -> None:
        call.on_audio(_ignore)


class DeafTalker(Talker):
    """As `Talker`, but takes one frame and never another, so that its media lane is full from the second second on."""

    async def _prepare(self, call: Call) -> None:
        async for _ in call.hear():
            break


def _ignore(_pcm: Pcm) -> None:
    pass


@functools.cache
def _voice(rate_hz: int) -> Pcm:
    """A chord, loud throughout: whatever of it reaches the wire is told from silence in any 20 ms."""
    time_s = np.arange(VOICE_SECONDS * rate_hz) / rate_hz
    wave = sum(np.sin(2 * np.pi * hz * time_s + hz) for hz in (220.0, 450.0, 910.0))
    return np.asarray(wave / 3 * 10_000, dtype=np.int16)
