"""A call's whole life over a fake party: each way in which it can end, in virtual time."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gateway.agents import AgentRegistry, EchoSettings, Isolation, PythonSettings
from gateway.calls.call import Call
from gateway.calls.outcome import EndCause, EndedBy, Failure, Responsibility
from gateway.dialplan.load import load_text
from gateway.settings.model import Limits
from tests.agents import python_agent
from tests.fake_party import FakeParty, Manner, arrival
from tests.virtual_time import virtual

if TYPE_CHECKING:
    from gateway.calls.record import CallRecord
    from gateway.dialplan import Plan

AGENTS = ("echo", "polite", "broken", "full", "waits", "farewell")

TAKEN = ExitStack()
"""The places of agents that have none left; not given back."""


def plan(steps: str, fallback: str = "[]", to: str = "{any: true}") -> Plan:
    text = f"version: 1\nroutes: [{{name: a, match: {to}, steps: {steps}, fallback: {fallback}}}]"
    return load_text(text, Path("a.yaml"), agents=set(AGENTS)).plan


def user_agent(class_name: str) -> PythonSettings:
    path = f"call_agents:{class_name}"
    return python_agent(path, directory=Path(__file__).parent, isolation=Isolation.NONE)


def call_of(party: FakeParty, **limits: str) -> Call:
    agents = AgentRegistry(
        {
            "echo": EchoSettings(),
            "full": EchoSettings(max_calls=1),
            "polite": user_agent("Polite"),
            "broken": user_agent("Broken"),
            "waits": user_agent("Waits"),
            "farewell": user_agent("Farewell"),
        }
    )
    TAKEN.enter_context(agents["full"].admit())
    return Call(arrival(party), agents, Limits.model_validate(limits))


async def lived(party: FakeParty, steps: str, fallback: str = "[]", **limits: str) -> CallRecord:
    record = await call_of(party, **limits).live(plan(steps, fallback))
    assert party.leg.closed
    return record


def ending(record: CallRecord) -> tuple[EndCause, EndedBy, Responsibility, int]:
    assert record.cause is not None
    return record.cause, record.cause.ended_by, record.cause.responsibility, record.party.code


@virtual
async def test_the_caller_hangs_up() -> None:
    party = FakeParty()
    asyncio.get_running_loop().call_later(7, party.leave, EndCause.CALLER_HUNG_UP)
    record = await lived(party, "[ring, answer, agent: echo]")
    assert ending(record) == (EndCause.CALLER_HUNG_UP, EndedBy.CALLER, Responsibility.THEIRS, 200)
    assert party.told == ["180", "200"]
    assert (record.route, record.agents, record.party.codec) == ("a", ("echo",), "PCMU/8000")
    assert (record.party.answered_s, record.duration_s) == (0.1, 7.0)


@virtual
async def test_the_caller_cancels() -> None:
    party = FakeParty()
    asyncio.get_running_loop().call_later(2, party.leave, EndCause.CALLER_CANCELLED, 487)
    record = await lived(party, "[ring, pause: 9s, agent: echo]")
    assert ending(record) == (EndCause.CALLER_CANCELLED, EndedBy.CALLER, Responsibility.THEIRS, 487)
    assert record.party.answered_s is None
    assert record.agents == ()


@virtual
async def test_an_answer_that_is_never_acknowledged_is_none() -> None:
    """A stranger's INVITE without an ACK is no real call: the log's limits hold for its record."""
    party = FakeParty(Manner(answers_after_s=None))
    asyncio.get_running_loop().call_later(32, party.leave, EndCause.NOT_ACKNOWLEDGED, 408)
    record = await lived(party, "[answer, agent: echo]")
    assert (record.cause, record.party.answered_s, record.agents) == (EndCause.NOT_ACKNOWLEDGED, None, ())
    assert not record.is_real


@virtual
async def test_no_step_follows_once_the_party_was_asked_to_go() -> None:
    """It may take seconds to go, and the dialplan's next step is due meanwhile."""
    party = FakeParty(Manner(goes_after_s=3))
    record = await lived(party, "[ring, pause: 6s, agent: echo]", setup_timeout="5s")
    assert party.told == ["180", "480"]
    assert (record.cause, record.party.answered_s, record.agents) == (EndCause.SETUP_TIMEOUT, None, ())


@virtual
async def test_an_answered_call_that_has_lasted_too_long_gets_no_next_agent() -> None:
    party = FakeParty(Manner(goes_after_s=3))
    record = await lived(party, "[answer, pause: 6s, agent: echo]", max_duration="5s")
    assert party.told == ["200", "bye normal"]
    assert (record.cause, record.agents) == (EndCause.MAX_DURATION, ())


@virtual
async def test_the_agent_hangs_up() -> None:
    party = FakeParty()
    record = await lived(party, "[agent: polite]")
    assert ending(record) == (EndCause.AGENT_HUNG_UP, EndedBy.AGENT, Responsibility.OURS, 200)
    assert party.told == ["200", "bye normal"]


@virtual
async def test_an_agent_that_hangs_up_on_a_caller_who_holds_does_not_wait_for_it() -> None:
    party = FakeParty()
    asyncio.get_running_loop().call_later(0.3, party.hold)
    record = await lived(party, "[agent: farewell]")
    assert ending(record) == (EndCause.AGENT_HUNG_UP, EndedBy.AGENT, Responsibility.OURS, 200)
    assert record.duration_s == pytest.approx(1, abs=0.5), "its last words would take ten seconds"


@virtual
async def test_the_next_agent_is_told_that_the_caller_holds() -> None:
    party = FakeParty()
    asyncio.get_running_loop().call_later(0.3, party.hold)
    record = await lived(party, "[{agent: {name: waits, max_duration: 2s}}, agent: farewell]")
    assert record.duration_s < 5


@pytest.mark.parametrize(
    ("steps", "cause", "told"),
    [
        ("[reject: 404]", EndCause.STEP, ["404"]),
        ("[reject: {code: 486, reason: Later, retry_after: 9s}]", EndCause.STEP, ["486 Later 9.0"]),
        ("[answer, hangup: busy]", EndCause.STEP, ["200", "bye busy"]),
        ("[ring, pause: 1s]", EndCause.STEPS_RAN_OUT, ["180", "480"]),
        ("[answer]", EndCause.STEPS_RAN_OUT, ["200", "bye normal"]),
    ],
)
@virtual
async def test_the_dialplan_ends_it(steps: str, cause: EndCause, told: list[str]) -> None:
    party = FakeParty()
    record = await lived(party, steps)
    assert ending(record)[:3] == (cause, EndedBy.DIALPLAN, Responsibility.OURS)
    assert party.told == told


@virtual
async def test_no_route_takes_it() -> None:
    party = FakeParty()
    record = await call_of(party).live(plan("[answer]", to="{to: '700'}"))
    assert ending(record) == (EndCause.NO_ROUTE, EndedBy.DIALPLAN, Responsibility.OURS, 404)
    assert party.told == ["404"]
    assert record.route is None


@virtual
async def test_what_failed_before_a_fallback_is_in_the_record() -> None:
    party = FakeParty()
    steps = "[agent: {name: full, on_busy: next}, agent: broken]"
    record = await lived(party, steps, fallback="[agent: polite]")
    assert ending(record)[:2] == (EndCause.AGENT_HUNG_UP, EndedBy.AGENT)
    assert [failure.cause for failure in record.failures] == [EndCause.AGENT_BUSY, EndCause.AGENT_FAILED]
    assert "it broke" in record.failures[1].detail


@virtual
async def test_what_failed_is_in_the_record_also_when_the_caller_leaves_in_the_fallback() -> None:
    party = FakeParty()
    asyncio.get_running_loop().call_later(5, party.leave, EndCause.CALLER_HUNG_UP)
    record = await lived(party, "[agent: full]", fallback="[answer, pause: 60s]")
    assert record.cause is EndCause.CALLER_HUNG_UP
    assert record.failures == (Failure(EndCause.AGENT_BUSY, str(record.failures[0].detail)),)


@virtual
async def test_a_loop_of_failures_fills_no_record() -> None:
    party = FakeParty()
    record = await lived(party, "[agent: {name: full, on_busy: {goto: a}}]")
    assert ending(record)[0] is EndCause.TOO_MANY_JUMPS
    assert len(record.failures) == 10


@virtual
async def test_the_longest_duration_is_the_longest_life() -> None:
    """Also of an answer that nobody acknowledges."""
    party = FakeParty(Manner(answers_after_s=None))
    record = await lived(party, "[answer, agent: echo]", max_duration="100s")
    assert ending(record)[:3] == (EndCause.MAX_DURATION, EndedBy.GATEWAY, Responsibility.OURS)
    assert party.told == ["200", "bye normal"]
    assert record.duration_s == pytest.approx(100, abs=1)


@virtual
async def test_a_call_that_only_rings_ends() -> None:
    party = FakeParty()
    record = await lived(party, "[ring, pause: 1h]", setup_timeout="60s")
    assert ending(record) == (EndCause.SETUP_TIMEOUT, EndedBy.GATEWAY, Responsibility.OURS, 480)
    assert record.duration_s == pytest.approx(60, abs=1)


@pytest.mark.parametrize("cause", [EndCause.NO_MEDIA, EndCause.PEER_GONE, EndCause.NOT_ACKNOWLEDGED])
@virtual
async def test_the_network_ends_it(cause: EndCause) -> None:
    party = FakeParty()
    asyncio.get_running_loop().call_later(3, party.leave, cause, 408, "no RTP for 30 s")
    record = await lived(party, "[agent: echo]")
    assert ending(record) == (cause, EndedBy.NETWORK, Responsibility.CARRIER, 408)
    assert record.detail == "no RTP for 30 s"


@virtual
async def test_a_shutdown_ends_it() -> None:
    party = FakeParty()
    call = call_of(party)
    asyncio.get_running_loop().call_later(3, call.shut_down)
    record = await call.live(plan("[agent: echo]"))
    assert ending(record)[:2] == (EndCause.SHUTDOWN, EndedBy.GATEWAY)
    assert party.told == ["200", "bye normal"]


@virtual
async def test_the_first_cause_is_the_one() -> None:
    """The caller's BYE crosses ours."""
    party = FakeParty()
    call = call_of(party)
    loop = asyncio.get_running_loop()
    loop.call_later(3, call.shut_down)
    loop.call_later(3.01, party.leave, EndCause.CALLER_HUNG_UP)
    assert (await call.live(plan("[agent: echo]"))).cause is EndCause.SHUTDOWN


@virtual
async def test_a_fault_of_our_own_ends_this_call_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_plan: object, _invite: object) -> None:
        raise RuntimeError("nobody foresaw this")

    monkeypatch.setattr("gateway.calls.call.find_route", broken)
    party = FakeParty()
    record = await lived(party, "[answer]")
    assert ending(record) == (EndCause.INTERNAL_ERROR, EndedBy.GATEWAY, Responsibility.OURS, 500)
    assert "nobody foresaw this" in record.detail


@virtual
async def test_an_agent_ends_in_its_own_way_when_the_caller_has_gone() -> None:
    party = FakeParty()
    asyncio.get_running_loop().call_later(2, party.leave, EndCause.CALLER_HUNG_UP)
    record = await lived(party, "[agent: waits]")
    assert record.duration_s == pytest.approx(2, abs=0.01)
    assert record.cause is EndCause.CALLER_HUNG_UP


@virtual
async def test_a_party_that_left_before_its_call_began() -> None:
    party = FakeParty()
    call = call_of(party)
    party.leave(EndCause.CALLER_CANCELLED, 487)
    record = await call.live(plan("[agent: echo]"))
    assert (record.cause, record.agents) == (EndCause.CALLER_CANCELLED, ())


@virtual
async def test_early_media_where_the_caller_made_no_offer_is_ringing() -> None:
    party = FakeParty(Manner(has_offer=False))
    await lived(party, "[ring: {early: true}, pause: 1s, reject: 486]")
    assert party.told == ["180", "486"]


@virtual
async def test_a_record_has_an_id_of_its_own_and_a_start() -> None:
    before = datetime.now(UTC)
    records = [await lived(FakeParty(), "[reject: 404]") for _ in range(2)]
    first, second = (uuid.UUID(record.id) for record in records)
    assert first.version == second.version == 7
    assert first != second
    assert before <= records[0].started <= records[1].started <= datetime.now(UTC)
