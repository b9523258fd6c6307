"""A call's life has an end, whatever PJSIP and the peer do."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

from gateway.agents import AgentRegistry, AgentSettings, EchoSettings
from gateway.calls.call import LiveCall
from gateway.dialplan import Invite, Plan
from gateway.dialplan.load import load_text
from gateway.settings import Settings
from gateway.sip.events import Disconnected, Incoming, MediaStarted, Side
from gateway.sip.events import Invite as ReceivedInvite
from tests.component.fake_leg import FakeLeg
from tests.virtual_time import virtual

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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
        self.on_heard: Callable[[], None] | None = None

    def counters(self) -> _engine.Counters:
        return cast("_engine.Counters", SimpleNamespace(**NO_COUNTERS))

    def close(self) -> None:
        self.closed = True


class DeafSip:
    """Takes commands, and never tells what became of them."""

    def __init__(self) -> None:
        self.ended: list[int] = []
        self.forgotten: list[int] = []
        self.probes = 0

    def respond(self, ref: int, code: int) -> None:
        """Nothing follows."""

    def probe(self, _ref: int) -> None:
        self.probes += 1

    def end(self, _ref: int, code: int, _reason: str | None = None, _headers: Mapping[str, str] | None = None) -> None:
        self.ended.append(code)

    def forget(self, ref: int) -> None:
        self.forgotten.append(ref)


def plan(steps: str) -> Plan:
    text = f"version: 1\nroutes: [{{name: a, match: {{any: true}}, steps: {steps}}}]"
    return load_text(text, Path("a.yaml"), agents={"echo"}).plan


def live_call(sip: DeafSip, leg: CountedLeg, source: str = "192.0.2.1:5060", **limits: str) -> LiveCall:
    event = Incoming(7, cast("EngineLeg", leg), ReceivedInvite("id", "sip:600@here", source, {}))
    settings = Settings.model_validate({"limits": limits, "media": {"no_media_timeout": "30s"}})
    agents = AgentRegistry([AgentSettings("echo", EchoSettings())])
    called = Invite("600", "", None, MappingProxyType({}))
    return LiveCall(event, called, cast("SipEndpoint", sip), agents, settings)


async def live(sip: DeafSip, leg: CountedLeg, steps: str, **limits: str) -> CallRecord:
    return await live_call(sip, leg, **limits).live(plan(steps))


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


@pytest.mark.parametrize(
    ("rtp", "heard_ms", "spoken_ms"),
    [
        ("10.0.0.5:4000", None, 300),
        ("10.0.0.5:4000", 120, 120),
        ("10.0.0.5:4000", 0, 0),
        ("198.51.100.1:4000", None, 0),
    ],
    ids=["private-and-silent", "private", "heard-before-the-ack", "public"],
)
@virtual
async def test_first_words_wait_for_where_the_caller_hears(rtp: str, heard_ms: int | None, spoken_ms: int) -> None:
    """From the ACK on, where the SDP's address may be one that nobody outside reaches."""
    loop = asyncio.get_running_loop()
    sip, leg = DeafSip(), CountedLeg()
    call = live_call(sip, leg)
    running = asyncio.create_task(call.live(plan("[answer, agent: echo]")))
    await asyncio.sleep(1)
    call.on_media_started(MediaStarted(7, "PCMU/8000", rtp))
    if heard_ms is not None:
        assert leg.on_heard is not None
        loop.call_later(heard_ms / 1000, leg.on_heard)
    await asyncio.sleep(0.001)
    call.on_confirmed()
    await asyncio.sleep(0.01)
    assert leg.listener is not None, "whoever listens hears all from the beginning"
    leg.play(np.full(8000, 8_000, np.int16))
    await asyncio.sleep(0.8)
    silent_ms = 20 * next(index for index, frame in enumerate(leg.wire) if frame.any())
    assert silent_ms == pytest.approx(spoken_ms, abs=30)
    call.on_disconnected(Disconnected(7, Side.GATEWAY, 200, ""))
    await running
    leg.stop_clock()


@virtual
async def test_an_answered_call_without_a_stream_ends() -> None:
    sip, leg = DeafSip(), CountedLeg()
    one = live_call(sip, leg)
    running = asyncio.create_task(one.live(plan("[answer, agent: echo]")))
    await asyncio.sleep(1)
    one.on_confirmed()
    record = await running
    assert (record.cause, record.detail) == ("no-media", "no RTP for 30 s")
    assert 31 <= record.duration_s < 40


@virtual
async def test_a_call_that_stays_silent_after_a_hold_ends() -> None:
    """The engine tells of each silence once, and it began on hold."""
    sip, leg = DeafSip(), CountedLeg()
    one = live_call(sip, leg)
    running = asyncio.create_task(one.live(plan("[answer, agent: echo]")))
    await asyncio.sleep(1)
    one.on_media_started(MediaStarted(7, "PCMU/8000", "192.0.2.1:4000"))
    one.on_confirmed()
    one.on_hold_changed(held=True)
    await asyncio.sleep(1000)
    assert sip.probes == 1000 // 30
    assert not sip.ended
    one.on_hold_changed(held=False)
    record = await running
    leg.stop_clock()
    assert record.cause == "no-media"
    assert 1030 <= record.duration_s < 1040
