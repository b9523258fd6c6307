"""The fake leg keeps the contract that it stands for, and so does a leg that is made of two."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from media.leg import Leg, Pcm
from tests.conformance.leg import LEG_CHECKS, LegRig
from tests.fake_leg import FakeLeg, caller_sends
from tests.mixing_leg import MixingLeg
from tests.virtual_time import virtual


class FakeRig:
    slack_ms = 0

    def __init__(self, rate_hz: int) -> None:
        self.fake = FakeLeg(rate_hz)
        self.leg: Leg = self.fake

    async def elapse(self, duration_ms: int) -> None:
        await asyncio.sleep(duration_ms / 1_000)

    async def party_says(self, pcm: Pcm) -> None:
        await caller_sends(self.fake, pcm)

    def party_heard(self) -> Pcm:
        heard = self.fake.heard()
        sounding: Pcm = heard[heard != 0]
        return sounding


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 48_000])
@pytest.mark.parametrize("check", LEG_CHECKS, ids=lambda check: check.__name__)
@virtual
async def test_fake_leg(check: Callable[[LegRig], Awaitable[None]], rate_hz: int) -> None:
    rig = FakeRig(rate_hz)
    await check(rig)
    rig.fake.stop_clock()


class MixingRig(FakeRig):
    slack_ms = 40

    def __init__(self) -> None:
        super().__init__(8_000)
        self.other = FakeLeg(8_000)
        self.leg = MixingLeg(self.fake, self.other)


@pytest.mark.parametrize("check", LEG_CHECKS, ids=lambda check: check.__name__)
@virtual
async def test_leg_of_two_parties(check: Callable[[LegRig], Awaitable[None]]) -> None:
    rig = MixingRig()
    await check(rig)
    for leg in (rig.fake, rig.other):
        leg.stop_clock()
