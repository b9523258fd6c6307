"""A number that never goes dead: what becomes of a call when its agent cannot have it, fails, or says nothing."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile

from gateway.agents import AgentRegistry, AgentSetupError, EchoSettings, Isolation
from gateway.agents.kinds.backup import BackupOptions
from gateway.calls.call import Call
from gateway.calls.outcome import EndCause
from gateway.dialplan.load import load_text
from gateway.settings.model import Limits
from media.conversation.conversation import Conversation
from media.conversation.events import DeadAirError
from tests.agents import changed, python_agent
from tests.fake_leg import FakeLeg, caller_sends, silence, voice
from tests.fake_party import FakeParty, arrival
from tests.virtual_time import virtual

if TYPE_CHECKING:
    from gateway.agents import AgentSettings
    from gateway.calls.record import CallRecord

PLAN = "routes: [{name: a, match: {to: '600'}, steps: [agent: first], fallback: [hangup]}]"


def agent(class_name: str, backup: BackupOptions | None = None, **options: Any) -> AgentSettings:
    here = Path(__file__).parent
    kind = python_agent(f"call_agents:{class_name}", options, directory=here, isolation=Isolation.NONE)
    return changed(kind, backup=backup, cancel_deadline_s=0.2)


def backup(*agents: str, **written: Any) -> BackupOptions:
    return BackupOptions.model_validate({"agents": list(agents), **written})


async def lived(party: FakeParty, agents: AgentRegistry) -> CallRecord:
    plan = load_text(PLAN, Path("a.yaml"), agents={spec.name for spec in agents}).plan
    record = await Call(arrival(party), agents, Limits()).live(plan)
    assert all(spec.calls == 0 for spec in agents)
    return record


def heard(party: FakeParty) -> list[int]:
    """The loudness of what the caller heard, in order, each once."""
    sound = np.concatenate([np.zeros(0, np.int16), *party.leg.wire])
    loud = sound[sound != 0]
    return [int(loud[0]), *(int(loud[at + 1]) for at in np.flatnonzero(np.diff(loud)))] if len(loud) else []


@virtual
async def test_an_agent_that_cannot_begin_gives_the_call_to_the_next_one() -> None:
    party = FakeParty()
    broken = {"second": agent("Prepares", fault="broken"), "third": agent("Answers")}
    record = await lived(
        party, AgentRegistry({"first": agent("Prepares", backup("second", "third"), fault="busy"), **broken})
    )
    assert [str(one).split(":")[0] for one in record.failures] == ["agent-busy", "agent-failed"]
    assert (record.agents, record.cause) == (("third",), EndCause.STEPS_RAN_OUT)
    assert party.told == ["180", "200", "bye normal"]
    assert heard(party) == [2_000]


@virtual
async def test_when_all_have_failed_the_dialplan_says_what_follows() -> None:
    party = FakeParty()
    agents = AgentRegistry(
        {"first": agent("Prepares", backup("second"), fault="busy"), "second": agent("Prepares", fault="broken")}
    )
    record = await lived(party, agents)
    assert [one.detail.split(" ")[1] for one in record.failures] == ["'first'", "'second'"]
    assert (record.cause, record.party.answered_s) == (EndCause.STEP, None)


@virtual
async def test_one_that_fails_in_mid_call_is_apologised_for(tmp_path: Path) -> None:
    sorry = tmp_path / "sorry.wav"
    soundfile.write(sorry, np.full(800, 3_000, np.int16), 8_000)
    party = FakeParty()
    first = agent("FailsInMidCall", backup("second", apology=str(sorry)))
    record = await lived(party, AgentRegistry({"first": first, "second": agent("Answers")}))
    assert heard(party) == [1_000, 3_000, 2_000]
    assert record.agents == ("first", "second")
    assert "the model is gone" in record.failures[0].detail
    assert party.told == ["200", "bye normal"]


async def caller_speaks(party: FakeParty, length_ms: int) -> None:
    for pcm in (voice(8_000, length_ms), silence(8_000, 1_000)):
        for start in range(0, len(pcm), 160):
            party.say(pcm[start : start + 160])
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("dead_air", "length_ms", "goes_on"), [("4s", 1_000, True), ("4s", 150, False), ("0s", 1_000, False)]
)
@virtual
async def test_one_that_says_nothing_after_the_callers_turn_has_failed(
    dead_air: str, length_ms: int, goes_on: bool
) -> None:
    """But not after a cough, nor where it may be silent."""
    party = FakeParty()
    agents = AgentRegistry({"first": agent("Listens", backup("second", dead_air=dead_air)), "second": agent("Answers")})
    living = asyncio.create_task(lived(party, agents))
    await asyncio.sleep(1)
    await caller_speaks(party, length_ms)
    await asyncio.sleep(10)
    if not goes_on:
        party.leave(EndCause.CALLER_HUNG_UP)
    record = await living
    assert record.agents == (("first", "second") if goes_on else ("first",))
    if goes_on:
        assert "it said nothing for 4 s after the caller had finished" in record.failures[0].detail
        assert record.results == {"told": "Hello?"}, "the next one knows what was said"


@virtual
async def test_no_dead_air_is_counted_while_the_caller_holds() -> None:
    """Nobody waits for an answer until the caller is back."""
    leg = FakeLeg(8_000)
    call = Conversation(leg, dead_air_s=4)
    await caller_sends(leg, voice(8_000, 1_000))
    call.on_held(one_way=False)
    await caller_sends(leg, silence(8_000, 10_000))
    assert call.failure is None
    call.on_resumed()
    resumed_s = asyncio.get_running_loop().time()
    await call.ended
    assert isinstance(call.failure, DeadAirError)
    assert asyncio.get_running_loop().time() - resumed_s == pytest.approx(4, abs=0.1)
    leg.stop_clock()


@virtual
async def test_an_agent_that_fails_again_and_again_is_left_alone_until_a_probe_works() -> None:
    agents = AgentRegistry(
        {
            "first": agent("Prepares", backup("second", failures=2, cool_down="30s"), fault="busy"),
            "second": agent("Answers"),
        }
    )
    breaker = agents["first"].breaker
    assert breaker is not None
    states = []
    for _ in range(3):
        record = await lived(FakeParty(), agents)
        states.append(breaker.state)
        assert record.agents == ("second",)
    assert states == ["closed", "open", "open"]
    assert "2 calls in a row have failed; it is tried again in " in record.failures[0].detail
    await asyncio.sleep(30)
    await lived(FakeParty(), agents)
    assert breaker.state == "open", "the probe has failed"
    await asyncio.sleep(31)
    agents["first"].make = agents["second"].make
    agents["first"].prepare_timeout_s = None
    record = await lived(FakeParty(), agents)
    assert (record.agents, breaker.state) == (("first",), "closed")


@virtual
async def test_a_probe_whose_caller_gives_up_proves_nothing() -> None:
    agents = AgentRegistry(
        {"first": agent("Prepares", backup("second", failures=1), seconds=6), "second": agent("Answers")}
    )
    breaker = agents["first"].breaker
    assert breaker is not None
    await lived(FakeParty(), agents)
    assert breaker.state == "open"
    await asyncio.sleep(31)
    party = FakeParty()
    asyncio.get_running_loop().call_later(1, party.leave, EndCause.CALLER_CANCELLED, 487)
    await lived(party, agents)
    assert breaker.state == "open"
    probe = breaker.begin(asyncio.get_running_loop().time())
    assert probe is not None
    assert probe.is_probe, "the next call is the probe"


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("first",), "it is its own backup"),
        (("second", "second"), "second is named twice"),
        (("sekond",), "there is no agent sekond: .*second"),
    ],
)
def test_a_wrong_chain(names: tuple[str, ...], said: str) -> None:
    with pytest.raises(ExceptionGroup) as wrong:
        AgentRegistry({"first": changed(EchoSettings(), backup=backup(*names)), "second": EchoSettings()})
    (error,) = wrong.value.exceptions
    assert isinstance(error, AgentSetupError)
    assert error.field == "backup"
    assert re.search(said, str(error))
