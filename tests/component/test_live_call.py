"""A call's life has an end, whatever PJSIP and the peer do."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import TYPE_CHECKING, cast

from gateway.agents import AgentRegistry, AgentSettings, EchoSettings
from gateway.calls.call import LiveCall
from gateway.dialplan import Invite, Plan
from gateway.dialplan.load import load_text
from gateway.settings import Settings
from gateway.sip.events import Incoming
from gateway.sip.events import Invite as ReceivedInvite
from tests.component.fake_leg import FakeLeg
from tests.virtual_time import virtual

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.calls.record import CallRecord
    from gateway.sip.endpoint import SipEndpoint
    from media import _engine
    from media.plane import EngineLeg

NO_COUNTERS = {
    "packets_received": 0,
    "packets_foreign": 0,
    "packets_sent": 0,
    "packets_late": 0,
    "packets_lost": 0,
    "frames_in": 0,
    "frames_overrun": 0,
    "frames_filled": 0,
    "frames_concealed": 0,
    "peer_loss_pct": 0.0,
    "jitter_ms": 0.0,
    "round_trip_ms": 0.0,
}


class CountedLeg(FakeLeg):
    """A leg as the SIP side gives it: it counts, and it is closed by the call."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = False

    def counters(self) -> _engine.Counters:
        return cast("_engine.Counters", SimpleNamespace(**NO_COUNTERS))

    def close(self) -> None:
        self.closed = True


class DeafSip:
    """Takes commands, and never tells what became of them."""

    def __init__(self) -> None:
        self.ended: list[int] = []
        self.forgotten: list[int] = []

    def respond(self, ref: int, code: int) -> None:
        """Nothing follows."""

    def end(self, _ref: int, code: int, _reason: str | None = None, _headers: Mapping[str, str] | None = None) -> None:
        self.ended.append(code)

    def forget(self, ref: int) -> None:
        self.forgotten.append(ref)


def plan(steps: str) -> Plan:
    text = f"version: 1\nroutes: [{{name: a, match: {{any: true}}, steps: {steps}}}]"
    return load_text(text, Path("a.yaml"), agents={"echo"}).plan


async def live(sip: DeafSip, leg: CountedLeg, steps: str, **limits: str) -> CallRecord:
    event = Incoming(7, cast("EngineLeg", leg), ReceivedInvite("id", "sip:600@here", "192.0.2.1:5060", {}))
    settings = Settings.model_validate({"limits": limits})
    agents = AgentRegistry([AgentSettings("echo", EchoSettings())])
    called = Invite("600", "", None, MappingProxyType({}))
    call = LiveCall(event, called, cast("SipEndpoint", sip), agents, settings)
    return await call.live(plan(steps))


@virtual
async def test_a_refusal_whose_end_is_never_told() -> None:
    sip, leg = DeafSip(), CountedLeg()
    record = await live(sip, leg, "[reject: 486]")
    assert sip.ended == [486]
    assert sip.forgotten == [7]
    assert leg.closed
    assert (record.cause, record.ended_by) == ("step", "gateway")
    assert record.duration_s < 10


@virtual
async def test_an_answer_of_which_nothing_is_heard_again() -> None:
    """Neither the ACK nor an end: the longest duration is the longest life."""
    sip, leg = DeafSip(), CountedLeg()
    record = await live(sip, leg, "[answer, agent: echo]", max_duration="100s")
    assert sip.ended == [200]
    assert sip.forgotten == [7]
    assert record.cause == "max-duration"
    assert 100 < record.duration_s < 110
