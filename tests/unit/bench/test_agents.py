"""The agents of the measurements, on a call that is played by hand."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Self, cast

import numpy as np

from bench.agents import DeafTalker, ProbeEcho, Talker
from bench.histogram import DurationFile, percentiles
from bench.stamp import Stamp, write_stamp
from media.conversation.events import CallEndedError
from media.conversation.utterance import Spoken
from media.leg import PlayoutFullError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from gateway.agents.agent import Call
    from media.leg import Pcm


class HandPlayedCall:
    """As much of a call as these agents touch."""

    rate_hz = 8000
    wait_ms = 0.0
    epoch = 0

    def __init__(self) -> None:
        self.consumer: Callable[[Pcm], object] | None = None
        self.played: list[Pcm] = []
        self.spoken: list[Pcm] = []
        self.taken = 0
        self.full = False
        self.over = asyncio.Event()

    def on_audio(self, consumer: Callable[[Pcm], object] | None) -> None:
        self.consumer = consumer

    async def hear(self) -> AsyncIterator[Pcm]:
        while True:
            self.taken += 1
            yield np.zeros(160, np.int16)

    def utterance(self, epoch: int | None = None) -> Self:
        assert epoch in {None, self.epoch}
        return self

    def play(self, pcm: Pcm, _mark: str | None = None) -> bool:
        if self.full:
            raise PlayoutFullError
        self.played.append(pcm)
        return True

    async def speak(self, speech: Pcm) -> Spoken:
        self.spoken.append(speech)
        await self.over.wait()
        raise CallEndedError

    async def until_over(self) -> None:
        await self.over.wait()


def test_probe_echoes_every_frame_and_measures_some(tmp_path: Path) -> None:
    async def run() -> HandPlayedCall:
        call = HandPlayedCall()
        task = asyncio.create_task(ProbeEcho(str(tmp_path / "durations"), every=4).run(cast("Call", call)))
        await asyncio.sleep(0)
        assert call.consumer is not None
        for sequence in range(40):
            sent_us = time.monotonic_ns() // 1_000 - 5_000
            call.consumer(write_stamp(Stamp(1, sequence, sent_us % 2**32)))
        call.full = True
        call.consumer(np.zeros(160, np.int16))
        call.over.set()
        await task
        return call

    durations = DurationFile.create(tmp_path / "durations")
    call = asyncio.run(run())
    found = percentiles(durations.snapshot())
    assert len(call.played) == 40
    assert found.samples == 10
    assert found.p50 is not None
    assert 5 <= found.p50 < 50


def test_talkers_speak_until_the_call_ends_and_one_of_them_is_deaf() -> None:
    async def run(agent: Talker) -> HandPlayedCall:
        call = HandPlayedCall()
        task = asyncio.create_task(agent.run(cast("Call", call)))
        await asyncio.sleep(0)
        call.over.set()
        await task
        return call

    hearing, deaf = asyncio.run(run(Talker())), asyncio.run(run(DeafTalker()))
    assert hearing.consumer is not None
    assert hearing.taken == 0
    assert deaf.consumer is None
    assert deaf.taken == 1
    voice = hearing.spoken[0].astype(np.int32).reshape(-1, 160)
    assert len(voice) == 20 * 50
    assert np.abs(voice).max(axis=1).min() > 2_000
