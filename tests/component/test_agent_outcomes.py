"""What an agent's preparation and its outcome do to a whole call."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import structlog

from gateway.agents import AgentRegistry, Isolation
from gateway.calls.call import Call
from gateway.calls.outcome import EndCause
from gateway.calls.record import CallRecord
from gateway.dialplan.load import load_text
from gateway.settings.model import Limits
from tests.agents import changed, python_agent
from tests.fake_party import FakeParty, arrival
from tests.virtual_time import virtual

ROUTES = """
routes:
  - {{name: a, match: {{to: "600"}}, steps: {steps}, fallback: [hangup]}}
  - {{name: b, match: {{to: b}}, steps: [agent: reports]}}
"""


async def lived(
    party: FakeParty, steps: str, class_name: str = "Prepares", isolation: Isolation = Isolation.NONE, **options: Any
) -> CallRecord:
    """A call whose agent `bot` is of that class, run to its end."""
    here = Path(__file__).parent
    bot = changed(
        python_agent(f"call_agents:{class_name}", options, directory=here, isolation=isolation), cancel_deadline_s=0.2
    )
    reports = python_agent("call_agents:Reports", directory=here, isolation=Isolation.NONE)
    agents = AgentRegistry({"bot": bot, "reports": reports})
    plan = load_text(ROUTES.format(steps=steps), Path("a.yaml"), agents={"bot", "reports"}).plan
    record = await Call(arrival(party), agents, Limits()).live(plan)
    assert all(spec.calls == 0 for spec in agents)
    return record


def discarded(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    return [line["fault"] for line in lines if line["event"] == "test.discarded"]


@virtual
async def test_it_goes_to_a_route_with_results_that_the_next_agent_and_the_record_have() -> None:
    record = await lived(FakeParty(), "[agent: bot]", "AsksForRoute", name="Ada", age="36")
    assert (record.route, record.agents) == ("b", ("bot", "reports"))
    assert record.results == {"name": "Ada", "age": "36", "seen": "name=Ada,age=36"}
    assert record.as_keys()["results"] == dict(record.results)


@virtual
async def test_a_route_that_is_not_there_is_an_error_of_the_agent() -> None:
    party = FakeParty()
    record = await lived(party, "[agent: {name: bot, on_error: {goto: b}}]", "AsksForRoute", route="gone", name="Ada")
    assert [str(one) for one in record.failures] == [
        "agent-failed: agent 'bot': it asked for route 'gone', and there is no such route"
    ]
    assert record.results["seen"] == "name=Ada", "what it found out is true all the same"


@virtual
async def test_the_caller_hears_ringing_until_the_agent_is_ready() -> None:
    party = FakeParty()
    record = await lived(party, "[agent: bot]", seconds=3)
    assert party.told[:2] == ["180", "200"]
    assert record.party.answered_s == 3.1
    assert record.results == {"same_loop": "True"}


@virtual
async def test_what_rings_already_does_not_ring_twice_and_what_is_answered_does_not_ring() -> None:
    rings, answered = FakeParty(), FakeParty()
    await lived(rings, "[ring, agent: bot]")
    await lived(answered, "[answer, agent: bot]")
    assert rings.told[:2] == ["180", "200"]
    assert answered.told == ["200", "bye normal"]


@pytest.mark.parametrize(
    ("options", "failure"),
    [
        ({"fault": "busy"}, "agent-busy: agent 'bot' is busy: prepare: AgentUnavailableError: the recogniser is overl"),
        ({"seconds": 6}, "agent-busy: agent 'bot' is busy: prepare: it was not ready after 5 s"),
        ({"fault": "broken"}, "agent-failed: agent 'bot' failed (unprepared): RuntimeError: no such model"),
    ],
)
@virtual
async def test_an_agent_that_is_not_ready_leaves_the_call_unanswered(options: dict[str, Any], failure: str) -> None:
    party = FakeParty()
    with structlog.testing.capture_logs() as logs:
        record = await lived(party, "[agent: {name: bot, on_busy: hangup}]", **options)
    assert party.told == (["180", "486"] if "agent-busy" in failure else ["180", "480"])
    assert str(record.failures[0]).startswith(failure)
    assert record.party.answered_s is None
    assert record.agents == ()
    assert [line["event"] for line in logs if line["event"].startswith("agent.")] == [
        "agent.unprepared" if "agent-busy" in failure else "agent.failed"
    ]


@virtual
async def test_a_caller_who_gives_up_ends_the_preparation() -> None:
    party = FakeParty()
    asyncio.get_running_loop().call_later(1, party.leave, EndCause.CALLER_CANCELLED, 487)
    record = await lived(party, "[agent: bot]", seconds=4)
    assert (record.cause, record.duration_s, record.agents) == (EndCause.CALLER_CANCELLED, 1.0, ())


@pytest.mark.parametrize(
    ("seconds", "fault", "gives_up"),
    [(0, "busy", None), (0, "broken", None), (6, "", None), (6, "late", None), (4, "", 1), (4, "late", 1)],
)
@virtual
async def test_what_does_not_get_the_call_is_discarded_once(seconds: float, fault: str, gives_up: float | None) -> None:
    """It has failed, took too long (even if it was done in the end), or the caller has given up."""
    party = FakeParty()
    if gives_up is not None:
        asyncio.get_running_loop().call_later(gives_up, party.leave, EndCause.CALLER_CANCELLED, 487)
    with structlog.testing.capture_logs() as lines:
        await lived(party, "[agent: bot]", "Discarded", seconds=seconds, fault=fault)
    assert discarded(lines) == [fault]


@pytest.mark.parametrize("fault", ["busy", "broken"])
def test_in_a_thread_what_has_failed_is_discarded(fault: str) -> None:
    async def main() -> None:
        await lived(FakeParty(), "[agent: bot]", "Discarded", Isolation.THREAD, fault=fault)

    with structlog.testing.capture_logs() as lines:
        asyncio.run(main())
    assert discarded(lines) == [fault]


@pytest.mark.parametrize("class_name", ["Prepares", "PreparesByBlocking"])
def test_in_a_thread_it_prepares_and_runs_in_the_same_thread_and_may_block(class_name: str) -> None:
    async def main() -> CallRecord:
        return await lived(FakeParty(), "[agent: bot]", class_name, Isolation.THREAD, seconds=0.02)

    record = asyncio.run(main())
    assert dict(record.results) in ({"same_loop": "True"}, {"thread": "agent:bot"})
    assert not [thread for thread in threading.enumerate() if thread.name == "agent:bot"]


@pytest.mark.parametrize("fault", ["busy", "broken"])
def test_in_a_thread_its_faults_are_the_same(fault: str) -> None:
    party_told: list[str] = []

    async def main() -> CallRecord:
        party = FakeParty()
        record = await lived(party, "[agent: {name: bot, on_busy: hangup}]", "Prepares", Isolation.THREAD, fault=fault)
        party_told.extend(party.told)
        return record

    record = asyncio.run(main())
    assert party_told == ["180", "486" if fault == "busy" else "480"]
    assert record.party.answered_s is None


@pytest.mark.parametrize("class_name", ["Prepares", "PreparesByBlocking"])
def test_in_a_thread_a_caller_who_gives_up_leaves_no_thread(class_name: str) -> None:
    async def main() -> CallRecord:
        party = FakeParty()
        asyncio.get_running_loop().call_later(0.02, party.leave, EndCause.CALLER_CANCELLED, 487)
        return await lived(party, "[agent: bot]", class_name, Isolation.THREAD, seconds=0.1)

    assert asyncio.run(main()).cause is EndCause.CALLER_CANCELLED
    for thread in threading.enumerate():
        if thread.name == "agent:bot":
            thread.join(10)
            assert not thread.is_alive()
