"""The README's bridge to a bot behind a real WebSocket: what it sent before an interruption is not heard."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from websockets.asyncio.server import ServerConnection, serve

from bench.figures import README
from gateway.agents import AgentFailedError, AgentSpec, Isolation
from media.conversation.conversation import Conversation
from media.conversation.floor import BargeIn
from tests.agents import changed, python_agent
from tests.component.test_readme import FILES
from tests.conformance.agent import PATIENCE_S, run_agent
from tests.fake_leg import FakeLeg, caller_sends, silence, voice

RATE_HZ = 8_000
OLD, NEW = 3_000, 9_000
LONGEST_S = 60.0
"""Of a test, on a machine that has much else to do."""


def speech(value: int, duration_ms: int = 100) -> bytes:
    return np.full(RATE_HZ * duration_ms // 1_000, value, np.int16).tobytes()


class Bot:
    """Answers at once and at length; hears of an interruption late, and begins one more answer before it does."""

    def __init__(self) -> None:
        self.heard = 0
        self.interruptions: list[dict[str, int]] = []
        self.connections = 0

    async def __call__(self, caller: ServerConnection) -> None:
        self.connections += 1
        assert json.loads(await caller.recv()) == {"rate_hz": RATE_HZ}
        async for message in caller:
            if isinstance(message, str):
                self.interruptions.append(json.loads(message))
                await self.answer_as_it_learns_of_it(caller)
            else:
                self.heard += len(message)
                if self.heard == len(message):
                    for _ in range(40):
                        await caller.send(speech(OLD))

    async def answer_as_it_learns_of_it(self, caller: ServerConnection) -> None:
        number = self.interruptions[-1]["interrupted"]
        for before in range(number):
            for _ in range(20):
                await caller.send(speech(OLD))
            await caller.send(json.dumps({"answer": before}))
        for _ in range(20):
            await caller.send(speech(OLD))
        await caller.send(json.dumps({"answer": number}))
        for _ in range(3):
            await caller.send(speech(NEW))


@asynccontextmanager
async def bridged(
    bot: Bot, directory: Path, isolation: Isolation
) -> AsyncIterator[tuple[FakeLeg, Conversation, asyncio.Task[None]]]:
    async with serve(bot, "127.0.0.1", 0, compression=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        kind = python_agent(
            "bridge:Bridge", {"url": f"ws://127.0.0.1:{port}"}, directory=directory, isolation=isolation
        )
        settings = changed(kind, mode=BargeIn.CUT, hangup_grace_s=PATIENCE_S, cancel_deadline_s=PATIENCE_S)
        spec = AgentSpec("bridge", settings)
        leg = FakeLeg(RATE_HZ)
        call = Conversation(leg, barge_in=spec.settings.effective_barge_in)
        running = asyncio.create_task(run_agent(spec, call))
        try:
            async with asyncio.timeout(LONGEST_S):
                yield leg, call, running
        finally:
            call.on_call_over()
            with contextlib.suppress(AgentFailedError):
                await running
            call.close()
            leg.stop_clock()
        assert spec.abandoned_total == 0


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "bridge", raising=False)
    printed = {file["name"]: file["text"] for file in FILES.finditer(README.read_text())}
    (tmp_path / "bridge.py").write_text(printed["agents/bridge.py"])
    return tmp_path


async def talk(directory: Path, isolation: Isolation) -> None:
    bot = Bot()
    async with bridged(bot, directory, isolation) as (leg, call, running):
        while leg.heard().max(initial=0) < OLD:
            await caller_sends(leg, silence(RATE_HZ, 20))
        await caller_sends(leg, silence(RATE_HZ, 400))
        said = voice(RATE_HZ, 2_000)
        at = 0
        while not call.counters.barge_ins_confirmed:
            await caller_sends(leg, said[at : at + 160].copy())
            at += 160
        before = len(leg.wire)
        while (leg.heard() == NEW).sum() < 0.3 * RATE_HZ:
            await caller_sends(leg, silence(RATE_HZ, 20))
        await caller_sends(leg, silence(RATE_HZ, 500))
        assert sum(int((frame == OLD).sum()) for frame in leg.wire[before:]) == 0, "stale speech"
        assert (leg.heard() == NEW).sum() == 0.3 * RATE_HZ
        assert not running.done()
        assert call.failure is None
        [interruption] = bot.interruptions
        assert interruption["heard_ms"] == pytest.approx((leg.heard() == OLD).sum() * 1_000 / RATE_HZ, abs=1)
    assert bot.connections == 1
    assert running.exception() is None


@pytest.mark.parametrize("isolation", Isolation)
def test_nothing_stale_is_heard(directory: Path, isolation: Isolation) -> None:
    asyncio.run(talk(directory, isolation))  # no virtual time: it would not wait for the network


class LeavingBot(Bot):
    """Hangs up on its first word."""

    async def __call__(self, caller: ServerConnection) -> None:
        await caller.recv()
        await caller.close()


def test_a_bot_that_leaves_is_the_agents_failure(directory: Path) -> None:
    async def main() -> None:
        async with bridged(LeavingBot(), directory, Isolation.NONE) as (leg, _, running):
            await caller_sends(leg, silence(RATE_HZ, 500))
            with pytest.raises(AgentFailedError, match="raised"):
                await running

    asyncio.run(main())
