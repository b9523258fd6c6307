"""What an agent logs itself can be told from other calls' lines."""

from __future__ import annotations

import asyncio

import pytest
import structlog

from gateway.agents import AgentSpec, Isolation
from media.conversation.conversation import Conversation
from media.conversation.events import CallInfo
from tests.agents import python_agent
from tests.conformance.agent import run_agent
from tests.fake_leg import FakeLeg
from tests.virtual_time import virtual


@pytest.mark.parametrize("isolation", Isolation)
def test_the_agents_own_lines_name_its_call(isolation: Isolation) -> None:
    async def main() -> None:
        spec = AgentSpec("bot", python_agent("tests.component.user_agents:Logs", isolation=isolation))
        legs = [FakeLeg(), FakeLeg()]
        calls = [Conversation(leg, CallInfo(call_id=f"c{number}")) for number, leg in enumerate(legs)]
        await asyncio.gather(*(run_agent(spec, call) for call in calls))
        for call, leg in zip(calls, legs, strict=True):
            call.close()
            leg.stop_clock()

    with structlog.testing.capture_logs([structlog.contextvars.merge_contextvars]) as logs:
        asyncio.run(main())
    for event in ("thought.came", "thought.went"):
        lines = [line for line in logs if line["event"] == event]
        assert sorted((line["agent"], line["call_id"]) for line in lines) == [("bot", "c0"), ("bot", "c1")]
    assert structlog.contextvars.get_contextvars() == {}


@virtual
async def test_tasks_that_find_the_call_over_are_no_fault_of_the_agent() -> None:
    kind = python_agent("tests.component.user_agents:SaysInAGroup", isolation=Isolation.NONE)
    spec = AgentSpec("bot", kind)
    leg = FakeLeg()
    call = Conversation(leg)
    with structlog.testing.capture_logs() as logs:
        running = asyncio.create_task(run_agent(spec, call))
        await asyncio.sleep(1)
        call.on_call_over()
        await running
    assert not logs
    call.close()
    leg.stop_clock()
