"""What peers and networks do wrong: every call ends rightly, once, and with one record that says why."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.e2e.gateway_process import GatewayProcess, Json, Object, Setup, python_agent, to_agent
from tests.e2e.listening import assert_heard, tones
from tests.e2e.peers.call import Manner
from tests.e2e.peers.caller import Caller
from tests.e2e.peers.process import wait_until
from tests.e2e.peers.rtp_stream import RtpStream
from tests.e2e.peers.sip_message import direction
from tests.e2e.peers.sipp import Script, run_sipp
from tests.e2e.peers.sound import level_dbfs, silence, tone
from tests.e2e.peers.wire import RtpRelay

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.peers.call import Call
    from tests.e2e.peers.sip_message import SipMessage

NO_MEDIA_S = 2.0
TIMER_H_S = 32.0
"""How long a 200 waits for its ACK (RFC 3261 section 13.3.1.4)."""

AGENTS: dict[str, Json] = {
    "slow-start": python_agent("SlowStart"),
    "hangs-up": python_agent("HangsUp"),
    "farewell": python_agent("Farewell"),
    "steady": {"kind": "tone", "frequency": 500, "barge_in": {"mode": "off"}},
}
EARLY: Object = {"name": "early", "match": {"to": "early"}, "steps": [{"ring": {"early": True}}, {"agent": "echo"}]}
ROUTES: tuple[Object, ...] = (
    EARLY,
    {"name": "rings", "match": {"to": "rings"}, "steps": ["ring", {"pause": "30s"}]},
    {"name": "rings-early", "match": {"to": "rings-early"}, "steps": [{"ring": {"early": True}}, {"pause": "30s"}]},
    {"name": "unacknowledged", "match": {"to": "unacknowledged"}, "steps": [{"agent": "tone"}]},
    *(to_agent(name, name) for name in ("echo", "tone", *AGENTS)),
)


@pytest.fixture(scope="module")
def gateway() -> Iterator[GatewayProcess]:
    setup = Setup(ROUTES, AGENTS, media={"no_media_timeout": f"{NO_MEDIA_S:g}s"})
    with GatewayProcess(setup) as running:
        yield running


@pytest.fixture(scope="module")
def unacknowledged(gateway: GatewayProcess) -> Iterator[tuple[Call, float]]:
    """A call whose 200 is never acknowledged, dialled before all others: its end takes half a minute."""
    with Caller(gateway.address) as caller:
        call = caller.dial("unacknowledged", Manner(ack=False))
        call.wait_answered()
        yield call, time.monotonic()


@pytest.fixture
def caller(gateway: GatewayProcess, unacknowledged: tuple[Call, float]) -> Iterator[Caller]:
    with Caller(gateway.address) as one:
        yield one


def ends(record: Object) -> tuple[Json, Json, Json]:
    return record["cause"], record["ended_by"], record["code"]


def byes(call: Call, *, sent: bool) -> list[SipMessage]:
    return [m for m in call.messages if m.status is None and m.method == "BYE" and m.sent is sent]


@pytest.mark.parametrize("number", ["rings", "rings-early"])
def test_cancel_while_ringing(gateway: GatewayProcess, caller: Caller, number: str) -> None:
    call = caller.dial(number)
    call.wait_status(180 if number == "rings" else 183)
    call.cancel()
    assert call.wait_ended() == "rejected"
    assert call.wait_status(200, "CANCEL")
    assert call.wait_rejected().status == 487
    record = gateway.record(call.call_id)
    assert ends(record) == ("caller-cancelled", "caller", 487)
    assert "answered_s" not in record


def test_cancel_at_once(gateway: GatewayProcess, caller: Caller) -> None:
    """The CANCEL may come before the route has begun, or cross the 200."""
    call = caller.dial("rings")
    call.cancel()
    assert call.wait_ended() == "rejected"
    assert ends(gateway.record(call.call_id)) == ("caller-cancelled", "caller", 487)


def test_cancel_by_sipp(gateway: GatewayProcess, caller: Caller) -> None:
    run_sipp(Script("cancel", "rings", caller="canceller", hold_ms=50), gateway.target, calls=5, rate=50)
    records = wait_until(
        lambda: found if len(found := gateway.events("call.ended", **{"from": "canceller"})) == 5 else None,
        "five records",
        5,
    )
    assert {ends(record) for record in records} == {("caller-cancelled", "caller", 487)}


def test_bye_while_the_agent_starts(gateway: GatewayProcess, caller: Caller) -> None:
    call = caller.dial("slow-start", Manner(bye_at_once=True))
    assert call.wait_ended() == "us"
    assert call.wait_status(200, "BYE")
    assert ends(gateway.record(call.call_id)) == ("caller-hung-up", "caller", 200)
    wait_until(lambda: gateway.said("agents", "slow-start", "calls") == 0, "the agent has let go", 5)
    assert gateway.said("agents", "slow-start", "abandoned") == 0


def test_bye_right_behind_the_ack(gateway: GatewayProcess, caller: Caller) -> None:
    calls = [caller.dial("echo", Manner(bye_at_once=True)) for _ in range(30)]
    for call in calls:
        assert call.wait_ended() == "us"
        assert ends(gateway.record(call.call_id)) == ("caller-hung-up", "caller", 200)


def test_bye_from_both_at_once(gateway: GatewayProcess, caller: Caller) -> None:
    call = caller.dial("hangs-up", Manner(crossing_bye=True))
    call.wait_answered()
    call.wait_ended()
    assert call.wait_status(200, "BYE").status == 200
    assert len(byes(call, sent=False)) == 1
    assert ends(gateway.record(call.call_id))[:2] == ("agent-hung-up", "agent")


def test_invite_retransmitted(gateway: GatewayProcess, caller: Caller) -> None:
    call = caller.dial("tone", Manner(invites=4))
    call.wait_answered()
    assert_heard(call.wait_heard(300), [440])
    assert call.hangup() == 200
    assert ends(gateway.record(call.call_id)) == ("caller-hung-up", "caller", 200)
    assert len(gateway.events("call.incoming", call_id=call.call_id)) == 1


def test_200_lost(gateway: GatewayProcess, caller: Caller) -> None:
    call = caller.dial("tone", Manner(deaf_to_oks=2))
    answer = call.wait_answered()
    first = call.wait_status(200)
    assert answer.time_s - first.time_s == pytest.approx(1.5, abs=0.4)  # retransmitted after 0.5 and 1 s
    assert_heard(call.wait_heard(300, answer.time_s), [440])
    assert call.hangup() == 200
    assert ends(gateway.record(call.call_id)) == ("caller-hung-up", "caller", 200)


def test_hold_and_resume_during_speech(gateway: GatewayProcess, caller: Caller) -> None:
    call = caller.dial("steady")
    call.wait_answered()
    call.wait_heard(400)
    assert direction(call.reinvite("sendonly").body) == "recvonly"
    held_s = time.monotonic()
    time_held_s = NO_MEDIA_S + 0.5  # nobody takes the silence of a call on hold for a fault
    call.stream.send(tone(300, 100))
    wait_until(lambda: time.monotonic() - held_s > time_held_s, "the hold has lasted", 5)
    assert not [p for p in call.received if p.time_s > held_s + 0.2 and level_dbfs(p.pcm) > -40], "it is not spoken to"
    assert direction(call.reinvite("sendrecv").body) == "sendrecv"
    resumed_s = time.monotonic()
    assert_heard(call.wait_heard(500, resumed_s + 0.1), [500])
    assert call.hangup() == 200
    record = gateway.record(call.call_id)
    assert ends(record) == ("caller-hung-up", "caller", 200)


def test_music_on_hold_is_not_heard_and_does_not_delay_what_follows(gateway: GatewayProcess, caller: Caller) -> None:
    call = caller.dial("echo")
    call.wait_answered()
    call.send(tone(440, 400))
    assert_heard(call.wait_heard(600), [440])
    call.reinvite("sendonly")
    held_s = time.monotonic()
    call.send(tone(700, 1000))
    wait_until(lambda: time.monotonic() - held_s > 1.2, "the music has ended", 5)
    call.reinvite("sendrecv")
    resumed_s = time.monotonic()
    call.send(silence(200))
    call.send(tone(1000, 400))
    assert_heard(call.wait_heard(900, resumed_s), [1000])
    sent_s = next(p.time_s for p in call.stream.sent if p.time_s > resumed_s and level_dbfs(p.pcm) > -30)
    back_s = next(p.time_s for p in call.received if p.time_s > resumed_s and level_dbfs(p.pcm) > -30)
    assert back_s - sent_s < 0.15, "what waited during the hold would come first"
    assert call.hangup() == 200


def test_an_agent_that_hangs_up_on_hold_does_not_wait_for_the_caller(gateway: GatewayProcess, caller: Caller) -> None:
    call = caller.dial("farewell")
    call.wait_answered()
    call.reinvite("sendonly")
    assert call.wait_ended() == "them"
    record = gateway.record(call.call_id)
    assert ends(record) == ("agent-hung-up", "agent", 200)
    assert isinstance(record["duration_s"], float)
    assert record["duration_s"] < 5


def test_a_held_call_whose_peer_is_there_lives(gateway: GatewayProcess, caller: Caller) -> None:
    call = caller.dial("steady")
    call.wait_answered()
    call.reinvite("inactive")
    call.stream.halt()
    asked = wait_until(lambda: [m for m in call.messages if m.method == "OPTIONS" and not m.sent], "OPTIONS", 10)
    wait_until(
        lambda: [m for m in call.messages if m.method == "OPTIONS" and not m.sent] != asked, "another OPTIONS", 10
    )
    assert call.ended_by is None
    assert call.hangup() == 200
    assert ends(gateway.record(call.call_id)) == ("caller-hung-up", "caller", 200)


def test_a_held_call_whose_peer_has_forgotten_it_ends(gateway: GatewayProcess, caller: Caller) -> None:
    call = caller.dial("steady", Manner(options_status=481))
    call.wait_answered()
    call.reinvite("inactive")
    call.stream.halt()
    assert call.wait_ended() == "them"
    assert ends(gateway.record(call.call_id)) == ("peer-gone", "network", 481)


def test_a_held_call_whose_peer_is_gone_ends(gateway: GatewayProcess, caller: Caller) -> None:
    """RFC 3261 gives OPTIONS 32 s, and PJSIP's BYE as long again: nobody waits for the latter."""
    call = caller.dial("steady", Manner(unanswered={"OPTIONS", "BYE"}))
    call.wait_answered()
    call.reinvite("inactive")
    call.stream.halt()
    asked = wait_until(lambda: [m for m in call.messages if m.method == "OPTIONS" and not m.sent], "OPTIONS", 10)
    record = wait_until(lambda: gateway.events("call.ended", call_id=call.call_id), "its record", 50)[0]
    took_s = time.monotonic() - asked[0].time_s
    assert ends(record) == ("peer-gone", "network", 408)
    assert 30 < took_s < 45
    assert not gateway.events("call.end_unconfirmed")


def test_reinvite_moves_the_media(gateway: GatewayProcess, caller: Caller) -> None:
    call = caller.dial("echo")
    call.wait_answered()
    call.send(tone(440, 300))
    assert_heard(call.wait_heard(500), [440])
    moved = RtpStream()
    try:
        answer = call.reinvite(address=moved.address)
        assert answer.status == 200
        call.stream.halt()
        assert call.stream.remote is not None
        moved.start(call.stream.remote)
        moved.send(tone(700, 500))
        wait_until(lambda: len(moved.received) > 35, "sound at the new place", 5)
        heard = np.concatenate([packet.pcm for packet in moved.received])
        assert_heard(heard, [700])
        assert call.hangup() == 200
    finally:
        moved.close()
    assert ends(gateway.record(call.call_id)) == ("caller-hung-up", "caller", 200)


def test_reinvite_by_sipp(gateway: GatewayProcess, caller: Caller) -> None:
    run_sipp(Script("reinvite", "steady", caller="reinviter", hold_ms=200), gateway.target)
    record = wait_until(lambda: gateway.events("call.ended", **{"from": "reinviter"}), "its record", 5)[0]
    assert ends(record) == ("caller-hung-up", "caller", 200)


def test_callers_rtp_never_arrives(gateway: GatewayProcess, caller: Caller) -> None:
    call = caller.dial("tone", Manner(speak=False))
    began_s = call.wait_answered().time_s
    assert call.wait_ended() == "them"
    assert time.monotonic() - began_s == pytest.approx(NO_MEDIA_S, abs=0.7)
    record = gateway.record(call.call_id)
    assert ends(record)[:2] == ("no-media", "network")
    assert record["packets_received"] == 0
    assert_heard(call.heard(), [440])


def test_callers_rtp_stops(gateway: GatewayProcess, caller: Caller) -> None:
    call = caller.dial("tone")
    call.wait_answered()
    call.wait_heard(500)
    call.stream.halt()
    assert call.wait_ended() == "them"
    record = gateway.record(call.call_id)
    assert ends(record)[:2] == ("no-media", "network")
    assert record["duration_s"] == pytest.approx(0.5 + NO_MEDIA_S, abs=0.8)


def test_rtp_from_another_address(gateway: GatewayProcess, caller: Caller) -> None:
    """As behind a NAT: the caller's voice comes from elsewhere than its SDP says, and that is where it listens."""
    call = caller.dial("echo")
    call.wait_answered()
    call.send(tone(440, 300))
    assert_heard(call.wait_heard(500), [440])
    elsewhere = call.stream.send_from("127.0.0.2")
    call.send(tone(700, 800))
    call.stream.wait_sent()
    since_s = time.monotonic()
    wait_until(lambda: time.monotonic() > since_s + NO_MEDIA_S + 0.5, "longer than no_media_timeout", 5)
    assert {round(run.tone_hz, -1) for run in tones(call.heard())} == {440, 700}
    assert call.received[-1].target == elsewhere
    assert call.hangup() == 200
    record = gateway.record(call.call_id)
    assert ends(record) == ("caller-hung-up", "caller", 200)
    # It may have moved when nothing has come from where it was for 100 ms.
    assert record["packets_received"] == pytest.approx(len(call.stream.sent), abs=15)


def test_a_strangers_rtp_does_not_take_the_call_over(gateway: GatewayProcess, caller: Caller) -> None:
    call = caller.dial("echo")
    call.wait_answered()
    call.wait_heard(300)
    stranger = RtpStream("127.0.0.2")
    try:
        assert call.stream.remote is not None
        stranger.start(call.stream.remote)
        stranger.send(tone(1000, 1000))
        since_s = time.monotonic()
        call.send(tone(440, 1000))
        heard = call.wait_heard(1300, since_s)
        assert [round(run.tone_hz, -1) for run in tones(heard)] == [440]
        assert not stranger.received, "what the caller says is not for a stranger's ears"
    finally:
        stranger.close()
    assert call.hangup() == 200


def test_loss_and_reordering(gateway: GatewayProcess, caller: Caller) -> None:
    def policy(number: int) -> float | None:
        if number % 10 == 7:
            return None
        # Every fifth packet is overtaken by the next one.
        return 0.03 if number % 5 == 3 else 0.0

    with RtpRelay() as relay:
        relay.to_gateway.policy = policy
        call = caller.dial("echo", Manner(relay=relay))
        call.wait_answered()
        call.send(np.concatenate([tone(hz, 400) for hz in (400, 600, 800, 1000)]))
        heard = call.wait_heard(1900)
        assert_heard(heard, [400, 600, 800, 1000])
        assert call.hangup() == 200
    record = gateway.record(call.call_id)
    assert record["loss_pct"] == pytest.approx(10, abs=3)
    sent = len(call.stream.sent)
    assert record["frames_concealed"] == pytest.approx(sent / 10, abs=4)
    assert record["frames_overrun"] == 0
    mos = record["mos"]
    assert isinstance(mos, float)
    assert 2.5 < mos < 4


def test_jitter_is_no_loss(gateway: GatewayProcess, caller: Caller) -> None:
    random = np.random.default_rng(3)
    with RtpRelay() as relay:
        relay.to_gateway.policy = lambda _number: float(random.uniform(0, 0.025))
        call = caller.dial("echo", Manner(relay=relay))
        call.wait_answered()
        call.send(np.concatenate([tone(hz, 400) for hz in (400, 600, 800, 1000)]))
        assert_heard(call.wait_heard(1900), [400, 600, 800, 1000])
        assert call.hangup() == 200
    record = gateway.record(call.call_id)
    assert record["loss_pct"] == 0
    assert record["jitter_ms"] > 2  # type: ignore[operator]


def test_garbage_ends_nothing(gateway: GatewayProcess, caller: Caller) -> None:
    call = caller.dial("echo")
    call.wait_answered()
    for garbage in (b"", b"\r\n\r\n", b"\0" * 2000, b"INVITE\r\n\r\n", b"SIP/2.0 200\r\nVia: x\r\n\r\n", b"\xff" * 60):
        caller.send_raw(garbage)
    call.send(tone(440, 300))
    assert_heard(call.wait_heard(500), [440])
    assert caller.request("OPTIONS").status == 200
    assert call.hangup() == 200
    assert ends(gateway.record(call.call_id)) == ("caller-hung-up", "caller", 200)


@pytest.mark.slow
def test_no_ack_at_all(gateway: GatewayProcess, unacknowledged: tuple[Call, float]) -> None:
    call, began_s = unacknowledged
    assert call.wait_ended(TIMER_H_S + 8) == "them"
    assert time.monotonic() - began_s >= TIMER_H_S - 4
    record = gateway.record(call.call_id)
    assert ends(record) == ("not-acknowledged", "network", 408)
    duration_s = record["duration_s"]
    assert isinstance(duration_s, float)
    assert duration_s == pytest.approx(TIMER_H_S, abs=2)


RELIABLE = Manner(headers={"Require": "100rel"})


def test_a_reliable_183_that_is_never_acknowledged_ends_with_an_answer() -> None:
    """The 200 waits for the PRACK (RFC 3262 section 3): whatever ends the call meanwhile, its caller is told."""
    setup = Setup((EARLY,), limits={"max_duration": "1s"})
    with GatewayProcess(setup) as gateway, Caller(gateway.address) as caller:
        call = caller.dial("early", RELIABLE)
        call.wait_status(183)
        assert call.wait_rejected().status == 504
        assert ends(gateway.record(call.call_id)) == ("max-duration", "gateway", 504)


@pytest.mark.slow
def test_a_reliable_183_that_is_never_acknowledged_times_out(gateway: GatewayProcess, caller: Caller) -> None:
    call = caller.dial("early", RELIABLE)
    call.wait_status(183)
    assert call.wait_rejected(TIMER_H_S + 8).status == 504
    assert ends(gateway.record(call.call_id))[1:] == ("network", 504)
