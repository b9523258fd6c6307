"""A SIP call as a party: what is commanded, what is told, and that its end is always told. In virtual time."""

from __future__ import annotations

import asyncio
import gc
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from gateway.agents import AgentRegistry, EchoSettings
from gateway.calls.call import Call
from gateway.calls.outcome import EndCause
from gateway.calls.party import Arrival, Over, PartyListener
from gateway.dialplan import Cause, Invite
from gateway.dialplan.load import load_text
from gateway.settings.model import Limits
from gateway.sip.events import (
    CommandFailed,
    Confirmed,
    Disconnected,
    GivenUp,
    HoldChanged,
    MediaFailed,
    MediaStarted,
    Side,
)
from gateway.sip.party import SipCommands, SipParty, Waits
from tests.fake_party import FakeOwnedLeg
from tests.virtual_time import virtual

if TYPE_CHECKING:
    from collections.abc import Mapping

REF = 7
PUBLIC, PRIVATE = "198.51.100.1:4000", "10.0.0.5:4000"


class DeafSip(SipCommands):
    """Takes commands, and never tells what became of them."""

    def __init__(self) -> None:
        self.sent: list[int] = []
        self.headers: list[Mapping[str, str]] = []
        self.probes = 0
        self.forgotten: list[int] = []

    def respond(self, ref: int, code: int) -> None:
        self.sent.append(code)

    def end(self, ref: int, code: int, reason: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        self.sent.append(-code)
        self.headers.append(headers or {})

    def probe(self, ref: int) -> None:
        self.probes += 1

    def forget(self, ref: int) -> None:
        self.forgotten.append(ref)


class Told(PartyListener):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.news: list[str] = []
        self.over: Over | None = None

    def on_media(self, codec: str) -> None:
        self.news.append(codec)

    def on_answered(self) -> None:
        self.news.append("answered")

    def on_held(self, *, one_way: bool) -> None:
        self.news.append("one-way" if one_way else "held")

    def on_resumed(self) -> None:
        self.news.append("resumed")

    def on_over(self, over: Over) -> None:
        assert self.over is None, "told once"
        self.over = over


class Scene:
    """A party, its SIP thread and its call."""

    def __init__(self, *, has_offer: bool = True, behind_nat: bool = False, no_media_s: float = 30) -> None:
        self.sip, self.told, self.leg = DeafSip(), Told(), FakeOwnedLeg()
        self.gone: list[int] = []
        self.party = SipParty(
            REF,
            self.leg,
            self.sip,
            Waits(no_media_s, first_packet_s=0.3),
            call_id="id@there",
            has_offer=has_offer,
            behind_nat=behind_nat,
            on_gone=self.gone.append,
        )
        self.party.listener = self.told

    async def answered(self, rtp: str = PUBLIC) -> None:
        """Answer, and let the caller acknowledge it."""
        answering = asyncio.create_task(self.party.answer())
        await asyncio.sleep(0)
        self.party.on_event(MediaStarted(REF, "PCMU/8000", rtp))
        self.party.on_event(Confirmed(REF))
        await answering

    def disconnect(self, by: Side, code: int, reason: str = "") -> None:
        self.party.on_event(Disconnected(REF, by, code, reason))

    def close(self) -> None:
        self.party.close()
        assert self.leg.closed


@virtual
async def test_it_is_told_what_happens_to_it() -> None:
    scene = Scene()
    scene.party.ring()
    await scene.answered()
    scene.party.on_event(HoldChanged(REF, held=True))
    scene.party.on_event(HoldChanged(REF, held=False))
    scene.disconnect(Side.CALLER, 200)
    assert scene.sip.sent == [180, 200]
    assert scene.told.news == ["PCMU/8000", "answered", "held", "resumed"]
    assert scene.told.over == Over(EndCause.CALLER_HUNG_UP, 200, "", "")
    assert scene.gone == [REF]
    scene.close()


@pytest.mark.parametrize(
    ("answered", "confirmed", "by", "code", "cause"),
    [
        (False, False, Side.CALLER, 487, EndCause.CALLER_CANCELLED),
        (True, True, Side.CALLER, 200, EndCause.CALLER_HUNG_UP),
        (True, False, Side.CALLER, 200, EndCause.CALLER_HUNG_UP),
        (True, False, Side.NETWORK, 408, EndCause.NOT_ACKNOWLEDGED),
        (True, True, Side.NETWORK, 408, EndCause.PEER_GONE),
        (True, True, Side.NETWORK, 481, EndCause.PEER_GONE),
        (True, True, Side.NETWORK, 503, EndCause.SIGNALLING_FAILED),
        (False, False, Side.NETWORK, 408, EndCause.SIGNALLING_FAILED),
    ],
)
@virtual
async def test_why_a_caller_is_gone(answered: bool, confirmed: bool, by: Side, code: int, cause: EndCause) -> None:
    scene = Scene()
    answering = asyncio.create_task(scene.party.answer()) if answered else None
    await asyncio.sleep(0)
    if confirmed:
        scene.party.on_event(Confirmed(REF))
    scene.disconnect(by, code, "Some Reason")
    assert scene.told.over is not None
    assert (scene.told.over.cause, scene.told.over.code, scene.told.over.reason) == (cause, code, "Some Reason")
    if answering is not None:
        answering.cancel()
    scene.close()


@virtual
async def test_an_end_that_we_asked_for_has_no_cause_of_its_own() -> None:
    scene = Scene()
    scene.party.refuse(486, "Later", retry_after_s=9.4)
    scene.disconnect(Side.GATEWAY, 486, "Later")
    assert (scene.sip.sent, scene.sip.headers) == ([-486], [{"Retry-After": "9"}])
    assert scene.told.over == Over(None, 486, "Later", "")
    scene.close()


@virtual
async def test_a_hang_up_says_why() -> None:
    scene = Scene()
    await scene.answered()
    scene.party.hang_up(Cause.BUSY)
    assert scene.sip.headers == [{"Reason": 'Q.850;cause=17;text="busy"'}]
    scene.disconnect(Side.GATEWAY, 200)
    scene.close()


@pytest.mark.parametrize("answered", [False, True])
@virtual
async def test_an_end_that_pjsip_never_tells_of_is_told_all_the_same(answered: bool) -> None:
    scene = Scene()
    if answered:
        await scene.answered()
        scene.party.hang_up(Cause.NORMAL)
    else:
        scene.party.refuse(486)
    await asyncio.sleep(6)
    assert scene.told.over == Over(None, 0, "end-unconfirmed", "")
    assert (scene.sip.forgotten, scene.gone) == ([REF], [REF])
    scene.close()


@virtual
async def test_nobody_waits_for_a_peer_that_does_not_answer_pjsips_own_bye() -> None:
    scene = Scene()
    await scene.answered()
    scene.party.on_event(GivenUp(REF))
    await asyncio.sleep(6)
    assert scene.told.over == Over(EndCause.PEER_GONE, 408, "Request Timeout", "Request Timeout")
    assert (scene.sip.sent, scene.sip.forgotten, scene.gone) == ([200], [REF], [REF])
    scene.close()


@virtual
async def test_nor_for_a_caller_that_never_acknowledged() -> None:
    scene = Scene()
    answering = asyncio.create_task(scene.party.answer())
    await asyncio.sleep(0)
    scene.party.on_event(GivenUp(REF))
    await asyncio.sleep(6)
    assert scene.told.over == Over(EndCause.NOT_ACKNOWLEDGED, 408, "Request Timeout", "Request Timeout")
    answering.cancel()
    scene.close()


@virtual
async def test_a_peer_that_answers_pjsips_own_bye_ends_the_call_at_once() -> None:
    scene = Scene()
    await scene.answered()
    scene.party.on_event(GivenUp(REF))
    scene.disconnect(Side.NETWORK, 481, "No")
    assert scene.told.over == Over(EndCause.PEER_GONE, 481, "No", "No")
    await asyncio.sleep(6)
    assert scene.sip.forgotten == []
    scene.close()


@virtual
async def test_a_party_that_nobody_took_is_forgotten_too() -> None:
    """It was refused at the door: no call listens any more."""
    scene = Scene()
    scene.party.listener = None
    scene.party.refuse(503)
    scene.party.close()
    await asyncio.sleep(6)
    assert (scene.sip.forgotten, scene.gone) == ([REF], [REF])


@virtual
async def test_early_media_needs_an_offer() -> None:
    with_offer, without = Scene(), Scene(has_offer=False)
    assert await without.party.early_media() is False
    assert without.sip.sent == [180]
    early = asyncio.create_task(with_offer.party.early_media())
    await asyncio.sleep(1)
    assert not early.done(), "not before sound can flow"
    with_offer.party.on_event(MediaStarted(REF, "PCMU/8000", PUBLIC))
    assert await early is True
    assert with_offer.sip.sent == [183]
    with_offer.close()
    without.close()


@pytest.mark.parametrize("answered", [False, True])
@virtual
async def test_media_that_cannot_be_driven_end_the_call(answered: bool) -> None:
    """PJSIP may find that out when it makes our 200, which then was never sent."""
    scene = Scene()
    if answered:
        await scene.answered()
    scene.party.on_event(MediaFailed(REF, "no such codec"))
    scene.disconnect(Side.GATEWAY, 488)
    assert scene.sip.sent[-1] == -488
    assert scene.told.over == Over(EndCause.MEDIA_FAILED, 488, "", "no such codec")
    scene.close()


@virtual
async def test_a_command_that_fails_ends_the_call_and_says_why() -> None:
    scene = Scene()
    await scene.answered()
    scene.party.on_event(CommandFailed(REF, "the connection is gone"))
    assert scene.sip.sent[-1] == -200
    scene.disconnect(Side.GATEWAY, 200)
    assert scene.told.over == Over(EndCause.SIGNALLING_FAILED, 200, "", "the connection is gone")
    scene.close()


@virtual
async def test_a_listener_that_fails_ends_the_call_once() -> None:
    scene = Scene()
    await scene.answered()
    assert scene.leg.on_failure is not None
    scene.leg.on_failure(RuntimeError("a fault"))
    scene.leg.on_failure(RuntimeError("another"))
    scene.disconnect(Side.GATEWAY, 200)
    assert scene.sip.sent == [200, -200]
    assert scene.told.over is not None
    assert (scene.told.over.cause, scene.told.over.detail) == (EndCause.INTERNAL_ERROR, "RuntimeError('a fault')")
    scene.close()


@virtual
async def test_a_call_that_is_over_leaves_nothing_to_the_garbage_collector() -> None:
    """Full collections wait until no call is up: a slot of the engine would wait with it."""
    scene = Scene()
    call: Call | None = Call(
        Arrival(scene.party, Invite("600", "", None, {}), "id@there", "192.0.2.1:5060"),
        AgentRegistry({"echo": EchoSettings()}),
        Limits(),
    )
    steps = "[{name: a, match: {any: true}, steps: [answer, agent: echo]}]"
    plan = load_text(f"routes: {steps}", Path("a.yaml"), agents={"echo"}).plan
    assert call is not None
    living = asyncio.create_task(call.live(plan))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    scene.party.on_event(MediaStarted(REF, "PCMU/8000", PRIVATE))
    scene.party.on_event(Confirmed(REF))
    await asyncio.sleep(1)
    gc.collect()
    gc.disable()
    try:
        scene.disconnect(Side.CALLER, 200)
        await living
        leg = weakref.ref(scene.leg)
        del scene, call, living
        await asyncio.sleep(10)
        assert leg() is None
    finally:
        gc.enable()


# Whether it hears, and is heard


@pytest.mark.parametrize(
    ("rtp", "behind_nat", "heard_ms", "spoken_ms"),
    [
        pytest.param(PRIVATE, False, None, 300, id="private-and-silent"),
        pytest.param(PRIVATE, False, 120, 120, id="private"),
        pytest.param(PRIVATE, False, 0, 0, id="heard-before-the-ack"),
        pytest.param(PUBLIC, False, None, 0, id="public"),
        pytest.param(PUBLIC, True, None, 300, id="public-of-a-caller-behind-nat"),
        pytest.param(PUBLIC, True, 120, 120, id="public-of-a-caller-behind-nat-who-is-heard"),
    ],
)
@virtual
async def test_first_words_wait_for_where_the_caller_hears(
    rtp: str, behind_nat: bool, heard_ms: int | None, spoken_ms: int
) -> None:
    """From the ACK on, where the SDP's address may be one that nobody outside reaches."""
    scene = Scene(behind_nat=behind_nat)
    assert scene.leg.on_heard is not None
    if heard_ms == 0:
        scene.leg.on_heard()
    elif heard_ms is not None:
        asyncio.get_running_loop().call_later(heard_ms / 1000, scene.leg.on_heard)
    await scene.answered(rtp)
    await scene.party.answer()  # another step of the dialplan: it changes nothing
    scene.leg.play(np.full(8000, 8_000, np.int16))
    await asyncio.sleep(0.8)
    silent_ms = 20 * next(index for index, frame in enumerate(scene.leg.wire) if frame.any())
    assert silent_ms == pytest.approx(spoken_ms, abs=30)
    scene.close()


@virtual
async def test_who_is_never_heard_is_gone() -> None:
    scene = Scene()
    await scene.answered()
    await asyncio.sleep(29)
    assert scene.sip.sent == [200]
    await asyncio.sleep(2)
    assert scene.sip.sent == [200, -200]
    scene.disconnect(Side.GATEWAY, 200)
    assert scene.told.over == Over(EndCause.NO_MEDIA, 200, "", "no RTP for 30 s")
    scene.close()


@virtual
async def test_who_falls_silent_is_gone() -> None:
    """As the engine tells it."""
    scene = Scene()
    assert scene.leg.on_silent is not None
    scene.leg.on_silent(30_000)  # before the ACK many send nothing
    await scene.answered()
    scene.leg.on_silent(30_000)
    scene.disconnect(Side.GATEWAY, 200)
    assert scene.told.over == Over(EndCause.NO_MEDIA, 200, "", "no RTP for 30000 ms")
    scene.close()


@virtual
async def test_who_is_heard_stays() -> None:
    scene = Scene()
    await scene.answered()
    for _ in range(100):
        scene.leg.packets_received += 1
        await asyncio.sleep(20)
    assert scene.sip.sent == [200]
    scene.close()


@virtual
async def test_nobody_waits_for_sound_where_the_setting_says_so() -> None:
    scene = Scene(no_media_s=0)
    await scene.answered()
    await asyncio.sleep(10_000)
    assert scene.sip.sent == [200]
    scene.close()


@virtual
async def test_who_stays_silent_after_a_hold_is_gone() -> None:
    """The engine tells of each silence once, and it began on hold. On hold the peer is asked whether it is there."""
    scene = Scene()
    await scene.answered()
    scene.party.on_event(HoldChanged(REF, held=True))
    await asyncio.sleep(1000)
    assert scene.sip.probes == 1000 // 30
    assert scene.sip.sent == [200]
    scene.party.on_event(HoldChanged(REF, held=False))
    await asyncio.sleep(31)
    assert scene.sip.sent == [200, -200]
    scene.close()


@virtual
async def test_a_caller_who_has_only_sent_since_the_call_began_holds_nobody() -> None:
    scene = Scene()
    scene.party.on_event(HoldChanged(REF, held=True))
    await scene.answered()
    for held in (False, True):
        scene.party.on_event(HoldChanged(REF, held=held))
        scene.party.on_event(MediaStarted(REF, "PCMU/8000", PUBLIC))
    assert [one for one in scene.told.news if "/" not in one] == ["one-way", "answered", "resumed", "held"]
    scene.close()


@virtual
async def test_a_call_that_begins_inactive_is_not_on_hold() -> None:
    """Somebody else connects two parties (RFC 3725): what is said to the first waits for the second."""
    scene = Scene()
    scene.party.on_event(HoldChanged(REF, held=True, peer_sends=False))
    await scene.answered()
    scene.party.on_event(HoldChanged(REF, held=False))
    assert [one for one in scene.told.news if "/" not in one] == ["answered", "resumed"]
    scene.close()


@virtual
async def test_an_ack_that_brings_no_audio_ends_the_call() -> None:
    scene = Scene(has_offer=False)
    answering = asyncio.create_task(scene.party.answer())
    await asyncio.sleep(0)
    scene.party.on_event(Confirmed(REF))
    assert scene.sip.sent == [200, -200]
    scene.disconnect(Side.GATEWAY, 200)
    assert scene.told.over is not None
    assert scene.told.over.cause is EndCause.NO_MEDIA
    answering.cancel()
    scene.close()
