"""What a bot says while the caller has the call on hold: an answer waits, a stream of silence or music does not."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from gateway.agents.network.voice import Voice
from media.conversation.conversation import Conversation
from media.conversation.events import OffHold, OnHold
from media.conversation.floor import BargeIn, BargeInSettings
from tests.backend_call import tone
from tests.fake_leg import FakeLeg
from tests.virtual_time import virtual

RATE_HZ = 8_000


class Held:
    """A call whose caller has put it on hold, and a bot's voice in it."""

    def __init__(self) -> None:
        self.leg = FakeLeg(RATE_HZ)
        self.call = Conversation(self.leg, barge_in=BargeInSettings(mode=BargeIn.OFF))
        self.voice = Voice(RATE_HZ, 60_000)
        self.voice.begin(self.call)
        self._loop = asyncio.get_running_loop()
        self._pumping = asyncio.create_task(self.voice.pump())
        self.leg.pause()
        self.voice.on_event(OnHold(), self._loop.time())

    async def resume(self) -> list[str]:
        self.leg.resume()
        dropped = self.voice.on_event(OffHold(), self._loop.time())
        await asyncio.sleep(0.1)
        return dropped

    async def close(self) -> None:
        self._pumping.cancel()
        await asyncio.wait({self._pumping})
        self.call.close()
        self.leg.stop_clock()


async def streams(voice: Voice, seconds: float) -> None:
    for _ in range(round(seconds * 50)):
        voice.play(tone(20))
        await asyncio.sleep(0.02)


@virtual
async def test_a_stream_is_not_late_after_the_hold() -> None:
    held = Held()
    await streams(held.voice, 25)
    held.voice.mark("in it")
    assert held.voice.queued_ms == pytest.approx(25_000, abs=100)
    assert await held.resume() == ["in it"]
    assert held.voice.queued_ms == 0
    held.voice.play(tone(100))
    await asyncio.sleep(0.2)
    assert np.count_nonzero(held.leg.heard()) == pytest.approx(800, abs=20), "what follows is heard at once"
    await held.close()


@pytest.mark.parametrize(
    ("answer_ms", "hold_s"), [(3_000, 25.0), (6_000, 2.0)], ids=["in a long hold", "in a short one"]
)
@virtual
async def test_an_answer_is_heard_after_the_hold(answer_ms: int, hold_s: float) -> None:
    held = Held()
    held.voice.play(tone(answer_ms))
    await asyncio.sleep(hold_s)
    assert await held.resume() == []
    await asyncio.sleep(answer_ms / 1_000)
    assert np.count_nonzero(held.leg.heard()) > 0.97 * answer_ms * RATE_HZ / 1_000
    await held.close()
