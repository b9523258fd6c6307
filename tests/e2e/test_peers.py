"""The peers themselves, against each other: whoever blames the gateway must be able to trust them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.e2e.peers.baresip import G722, OPUS, PCMA, PCMU, Baresip, Codec
from tests.e2e.peers.call import Manner
from tests.e2e.peers.caller import Caller
from tests.e2e.peers.kamailio import Kamailio, Registration
from tests.e2e.peers.process import PeerError, free_port
from tests.e2e.peers.rtp import decode_ulaw, encode_ulaw
from tests.e2e.peers.sip_message import direction
from tests.e2e.peers.sipp import Script, Sipp, run_sipp
from tests.e2e.peers.sound import assert_tones, gaps, level_dbfs, silence, stretches, tone, tones_hz
from tests.e2e.peers.wire import RtpRelay

if TYPE_CHECKING:
    from pathlib import Path

NUMBER = "+15550100"


def register(trunk: Kamailio, port: int, password: str = "secret", status: int = 200) -> None:
    run_sipp(Script("register", number="gateway", password=password, status=status), trunk.address, port=port)


def test_tone_is_measured() -> None:
    pcm = np.concatenate((silence(100), tone(440, 500), silence(200), tone(1000, 400), tone(600, 400)))
    first, second, third = assert_tones(pcm, 8000, [440, 1000, 600])
    assert [run.tone_hz for run in (first, second, third)] == pytest.approx([440, 1000, 600], abs=1)
    assert [part.length_ms for part in stretches(pcm, 8000)] == [500, 800]
    assert gaps(pcm, 8000) == [(600, 800)]
    assert tones_hz(tone(700, 200), 8000) == pytest.approx([700, 700], abs=1)
    with pytest.raises(AssertionError, match="heard: 440 Hz"):
        assert_tones(pcm, 8000, [440])


def test_ulaw_keeps_a_tone() -> None:
    pcm = tone(1000, 200)
    decoded = decode_ulaw(encode_ulaw(pcm))
    assert level_dbfs((decoded - pcm).astype(np.int16)) < level_dbfs(pcm) - 35
    assert encode_ulaw(decode_ulaw(bytes(range(127)))) == bytes(range(127))


def test_registration_with_digest() -> None:
    port = free_port()
    with Kamailio({"gateway": "secret"}) as trunk:
        register(trunk, port, password="wrong", status=401)
        assert not trunk.registered("gateway")
        register(trunk, port)
        (contact,) = trunk.wait_registered("gateway")
        assert contact.uri == f"sip:gateway@127.0.0.1:{port}"
        assert 0 < contact.expires_s <= 60
        trunk.set_password("gateway", "another")
        register(trunk, port, status=401)
        assert trunk.registrations()[-1] == Registration("gateway", 401)
        trunk.restart()
        assert not trunk.registered("gateway")
        register(trunk, port, password="another")
        trunk.wait_registered("gateway")


def test_registrar_refuses() -> None:
    port = free_port()
    with Kamailio({"gateway": "secret"}) as trunk:
        trunk.demand_expires(120)
        short = Script("register", number="gateway", password="secret", status=423)
        assert run_sipp(short, trunk.address, port=port).received(423)[0].header("Min-Expires") == "120"
        trunk.refuse(503, "Maintenance", retry_after_s=7)
        refused = run_sipp(Script("register_refused", number="gateway", status=503), trunk.address, port=port)
        assert refused.received(503)[0].header("Retry-After") == "7"
        trunk.accept()
        register(trunk, port)


def test_call_through_the_proxy() -> None:
    port = free_port()
    identity = "<sip:+4930123@carrier.example>"
    with Kamailio({"gateway": "secret"}, {NUMBER: "gateway"}, identity=identity) as trunk:
        register(trunk, port)
        with Sipp(Script("answer", hold_ms=100), port=port) as callee:
            run_sipp(Script("call", NUMBER, hold_ms=100, headers={"X-Tier": "gold"}), trunk.address)
            result = callee.finish()
        (invite,) = result.requests("INVITE")
        assert invite.start_line == f"INVITE sip:gateway@127.0.0.1:{port} SIP/2.0"
        assert invite.header("To") == f"<sip:{NUMBER}@{trunk.address}>"
        assert invite.header("X-Tier") == "gold"
        assert invite.header("P-Asserted-Identity") == identity
        assert [m.method for m in result.messages if not m.sent] == ["INVITE", "ACK", "BYE"]


def test_number_in_request_uri() -> None:
    port = free_port()
    with Kamailio({"gateway": "secret"}, {NUMBER: "gateway"}, number_in_uri=True, record_route=False) as trunk:
        register(trunk, port)
        with Sipp(Script("answer"), port=port) as callee:
            run_sipp(Script("call", NUMBER), trunk.address)
            (invite,) = callee.finish().requests("INVITE")
        assert invite.start_line == f"INVITE sip:{NUMBER}@127.0.0.1:{port} SIP/2.0"
        assert invite.header("Record-Route") is None


def test_call_to_a_phone_registered_over_tcp() -> None:
    trunk = Kamailio({"gateway": "secret"}, {NUMBER: "gateway"})
    with trunk, Baresip(user="gateway", registrar=trunk.address, password="secret", transport="tcp") as phone:
        (contact,) = trunk.wait_registered("gateway")
        assert "transport=tcp" in contact.source
        with Caller((trunk.host, trunk.port)) as caller:
            call = caller.dial(NUMBER)
            call.wait_answered()
            phone.wait_event("CALL_ESTABLISHED")
            assert call.hangup() == 200


@pytest.mark.parametrize("codec", [PCMU, PCMA, G722, OPUS], ids=lambda codec: codec.name)
def test_phones_hear_each_other(codec: Codec) -> None:
    rate_hz = codec.rate_hz
    asking = np.concatenate((silence(300, rate_hz), tone(440, 500, rate_hz), tone(1000, 500, rate_hz)))
    answering = np.concatenate((silence(300, rate_hz), tone(700, 500, rate_hz)))
    with Baresip(asking, codec) as caller, Baresip(answering, codec) as callee:
        caller.dial(callee.uri)
        caller.wait_event("CALL_ESTABLISHED")
        with pytest.raises(PeerError, match="CALL_CLOSED"):
            callee.wait_event("CALL_CLOSED", deadline_s=1.8)
        caller.hangup()
        callee.wait_event("CALL_CLOSED")
        assert_tones(*callee.heard(), [440, 1000])
        assert_tones(*caller.heard(), [700])


def test_caller_hears_its_echo_20_ms_packets_apart() -> None:
    with Sipp(Script("answer", rtp_echo=True)) as echo, Caller((echo.host, echo.port)) as caller:
        call = caller.dial("600")
        call.wait_answered()
        call.send(tone(440, 500))
        call.press("5")
        call.send(tone(700, 400))
        assert_tones(call.wait_heard(1300), 8000, [440, 700])
        assert call.hangup() == 200
        leaving = {packet.sequence: packet.time_s for packet in call.stream.sent}
        delays_ms = [1000 * (packet.time_s - leaving[packet.sequence]) for packet in call.received]
        assert 0 < np.median(delays_ms) < 5
        assert np.median(np.diff([packet.time_s for packet in call.stream.sent])) == pytest.approx(0.02, abs=0.002)
        digit = [packet for packet in call.received if packet.payload_type == 101]
        assert len({packet.timestamp for packet in digit}) == 1
        assert digit[-1].payload[:2] == bytes((5, 0x8A))


def test_relay_loses_and_delays() -> None:
    with RtpRelay() as relay, Sipp(Script("answer", rtp_echo=True)) as echo:
        relay.to_gateway.policy = lambda number: None if number in {10, 11} else 0.03
        with Caller((echo.host, echo.port)) as caller:
            call = caller.dial("600", Manner(relay=relay))
            call.wait_answered()
            call.send(tone(440, 600))
            assert gaps(call.wait_heard(700), 8000) == [(200, 240)]
            leaving = {packet.sequence: packet.time_s for packet in call.stream.sent}
            delays_s = [packet.time_s - leaving[packet.sequence] for packet in call.received]
            assert np.median(delays_s) == pytest.approx(0.03, abs=0.01)


def test_special_manners() -> None:
    with Baresip(tone(500, 500)) as phone, Caller((phone.host, phone.port)) as caller:
        call = caller.dial("phone", Manner(invites=2, deaf_to_oks=1))
        call.wait_answered()
        assert len([m for m in call.messages if m.status == 200]) == 2
        assert direction(call.reinvite("sendonly").body) == "recvonly"
        assert call.hangup() == 200
        crossing = caller.dial("phone", Manner(crossing_bye=True))
        crossing.wait_answered()
        phone.hangup()
        crossing.wait_status(200, "BYE")
        assert [m.method for m in crossing.messages if m.status is None] == ["INVITE", "ACK", "BYE", "BYE"]
        call = caller.dial("phone", Manner(bye_at_once=True))
        assert call.wait_ended() == "us"
        call.wait_status(200, "BYE")
        silent = caller.dial("phone", Manner(speak=False))
        silent.wait_heard(200)
        assert not silent.stream.sent
        silent.hangup()
        assert caller.request("OPTIONS", "phone").status == 200


def test_cancel_and_reinvite_by_sipp() -> None:
    with Baresip(answers=False) as ringing:
        cancelled = run_sipp(Script("cancel", "phone", hold_ms=100), f"{ringing.host}:{ringing.port}")
        assert [m.status for m in cancelled.messages if not m.sent] == [180, 200, 487]
    with Baresip() as phone:
        result = run_sipp(Script("reinvite", "phone", hold_ms=100), f"{phone.host}:{phone.port}")
        answers = result.received(200, "INVITE")
        assert [direction(answer.body) for answer in answers] == ["sendrecv", "recvonly", "sendrecv"]


def test_other_endings_by_sipp(tmp_path: Path) -> None:
    voice = tmp_path / "tone.ulaw"
    voice.write_bytes(encode_ulaw(tone(500, 1000)))
    with Baresip() as phone:
        target = f"{phone.host}:{phone.port}"
        assert run_sipp(Script("options", "phone"), target).received(200)
        run_sipp(Script("rejected", "nobody", status=404), target)
        with Sipp(Script("answer_bye", "phone", rtp_file=voice), target) as sipp:
            phone.wait_event("CALL_ESTABLISHED")
            with pytest.raises(PeerError, match="CALL_CLOSED"):
                phone.wait_event("CALL_CLOSED", deadline_s=0.6)
            phone.hangup()
            result = sipp.finish()
        assert result.exit_code == 0, result.errors
        assert [m.method for m in result.messages if m.status is None] == ["INVITE", "ACK", "BYE"]
        assert_tones(*phone.heard(), [500])


def test_rtp_from_another_address_is_heard_there_too() -> None:
    with Sipp(Script("answer", rtp_echo=True)) as echo, Caller((echo.host, echo.port)) as caller:
        call = caller.dial("600")
        call.wait_answered()
        call.wait_heard(200)
        other = call.stream.send_from("127.0.0.2")
        call.send(tone(700, 300))
        assert_tones(call.wait_heard(700), 8000, [700])
        assert {packet.target for packet in call.received} == {call.stream.address, other}
