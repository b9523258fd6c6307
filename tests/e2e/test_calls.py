"""Calls as signalling: what is answered, when, and with what; and every codec with its sound."""

from __future__ import annotations

import re
import secrets
import socket
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.e2e.gateway_process import GatewayProcess, Json, Object, Setup, to_agent
from tests.e2e.listening import assert_heard
from tests.e2e.peers.baresip import G722, OPUS, PCMA, PCMU, Baresip, Codec
from tests.e2e.peers.call import Manner
from tests.e2e.peers.caller import Caller
from tests.e2e.peers.process import wait_until
from tests.e2e.peers.sip_message import compose, direction, media_address, payload_types
from tests.e2e.peers.sipp import Script, run_sipp
from tests.e2e.peers.sound import silence, tone

if TYPE_CHECKING:
    from collections.abc import Iterator

CARRIER_HOST = "127.0.0.3"
LIMIT = 6


def rejecting(code: int, **others: Json) -> Object:
    return {"name": f"reject-{code}", "match": {"to": str(code)}, "steps": [{"reject": {"code": code, **others}}]}


def matching(name: str, **match: Json) -> Object:
    """A route that is known by its refusal: 4xx with its own name as the reason."""
    return {"name": name, "match": match, "steps": [{"reject": {"code": 480, "reason": name}}]}


ROUTES: tuple[Object, ...] = (
    to_agent("600", "echo"),
    to_agent("busy", "one-call"),
    {"name": "slow", "match": {"to": "ring"}, "steps": ["ring", {"pause": "300ms"}, {"agent": "tone"}]},
    {
        "name": "early",
        "match": {"to": "early"},
        "steps": [{"ring": {"early": True}}, {"play": "early.wav"}, "answer", {"play": "late.wav"}, "hangup"],
    },
    {"name": "here", "match": {"to": "here"}, "steps": [{"goto": "there"}]},
    {"name": "there", "steps": [{"play": "late.wav"}, {"hangup": "normal"}]},
    {
        "name": "limited",
        "match": {"to": "limited"},
        "steps": [{"agent": {"name": "tone", "max_duration": "500ms"}}, {"play": "late.wav"}],
    },
    rejecting(403),
    rejecting(404, reason="Not Here"),
    rejecting(486),
    rejecting(503, retry_after="2m"),
    rejecting(603, reason="Decline"),
    matching("gold", to="any", header={"X-Tier": "gold"}),
    matching("diverted", to="any", header={"Diversion": "regex:.*sip:\\+4930555@.*"}),
    matching("phone", to="any", header={"User-Agent": "Polycom*"}),
    matching("identified", to="any", trunk="carrier", **{"from": "+4989*"}),
    matching("trunk", to="any", trunk="carrier"),
    matching("stranger", to="any", **{"from": "+49*"}),
)
AGENTS: dict[str, Json] = {"one-call": {"kind": "tone", "max_calls": 1}}
SOUNDS = {"early.wav": tone(500, 500), "late.wav": tone(900, 500)}


@pytest.fixture(scope="module")
def gateway() -> Iterator[GatewayProcess]:
    setup = Setup(
        ROUTES,
        AGENTS,
        trunks={"carrier": {"register": False, "sources": [CARRIER_HOST]}},
        sip={"codecs": ["G722", "PCMU", "PCMA", "opus"]},
        limits={"calls": LIMIT, "strangers": LIMIT, "retry_after": "7s"},
        sounds=SOUNDS,
    )
    with GatewayProcess(setup) as running:
        yield running


def test_rings_then_answers(gateway: GatewayProcess, caller: Caller) -> None:
    call = caller.dial("ring")
    ringing = call.wait_status(180)
    answer = call.wait_answered()
    assert call.wait_status(100).time_s < ringing.time_s
    assert answer.time_s - ringing.time_s == pytest.approx(0.3, abs=0.15)
    assert not ringing.body
    assert direction(answer.body) == "sendrecv"
    assert ringing.to_tag == answer.to_tag
    assert_heard(call.wait_heard(300), [440])
    assert call.hangup() == 200
    assert gateway.record(call.call_id)["answered_s"] == pytest.approx(0.3, abs=0.15)


def test_early_media(gateway: GatewayProcess, caller: Caller) -> None:
    call = caller.dial("early")
    progress = call.wait_status(183)
    assert payload_types(progress.body)
    early = call.wait_heard(300)
    assert not [message for message in call.messages if message.status == 200]
    assert_heard(early, [500])
    assert call.wait_ended() == "them"
    assert_heard(call.heard(), [500, 900])
    assert gateway.record(call.call_id)["answered_s"] == pytest.approx(0.5, abs=0.25)


def test_goto_and_an_agents_time(gateway: GatewayProcess, caller: Caller) -> None:
    elsewhere, limited = caller.dial("here"), caller.dial("limited")
    assert elsewhere.wait_ended() == limited.wait_ended() == "them"
    assert_heard(elsewhere.heard(), [900])
    first, _ = assert_heard(limited.heard(), [440, 900])
    assert first.length_ms == pytest.approx(500, abs=120)
    assert gateway.record(elsewhere.call_id)["route"] == "there"
    assert gateway.record(limited.call_id)["agents"] == ["tone"]


@pytest.mark.parametrize(
    ("number", "answer"),
    [
        ("403", "403 Forbidden"),
        ("404", "404 Not Here"),
        ("486", "486 Busy Here"),
        ("503", "503 Service Unavailable"),
        ("603", "603 Decline"),
        ("nobody", "404 Not Found"),
    ],
)
def test_refusals(gateway: GatewayProcess, caller: Caller, number: str, answer: str) -> None:
    call = caller.dial(number)
    refusal = call.wait_rejected()
    assert refusal.start_line == f"SIP/2.0 {answer}"
    assert refusal.header("Retry-After") == ("120" if number == "503" else None)
    record = gateway.record(call.call_id)
    assert (record["code"], record["ended_by"]) == (refusal.status, "dialplan")
    assert record["cause"] == ("no-route" if number == "nobody" else "step")
    assert "answered_s" not in record


def test_busy_agent(gateway: GatewayProcess, caller: Caller) -> None:
    first = caller.dial("busy")
    first.wait_answered()
    first.wait_heard(100)
    second = caller.dial("busy")
    # The route answers before the agent step, so that this call ends with a BYE.
    second.wait_answered()
    assert second.wait_ended() == "them"
    record = gateway.record(second.call_id)
    assert (record["cause"], record["ended_by"]) == ("agent-busy", "dialplan")
    assert first.hangup() == 200


def test_no_common_codec(gateway: GatewayProcess, caller: Caller) -> None:
    call = caller.dial("600", Manner(codecs=(18,)))
    assert call.wait_rejected().status == 488
    taken = caller.dial("600", Manner(codecs=(18, 8, 0, 101)))
    answer = taken.wait_answered()
    assert payload_types(answer.body)[0] == 0  # our order: PCMU before PCMA
    assert taken.hangup() == 200
    gateway.wait_idle()


def test_full(gateway: GatewayProcess, caller: Caller) -> None:
    calls = [caller.dial("600") for _ in range(LIMIT)]
    for call in calls:
        call.wait_answered()
    extra = caller.dial("600")
    refusal = extra.wait_rejected()
    assert refusal.status == 503
    assert refusal.header("Retry-After") == "7"
    wait_until(lambda: gateway.number("calls", "refused") >= 1, "it is counted", 5)
    assert gateway.wait_event("call.refused", call_id=extra.call_id)["why"] == "full"
    for call in calls:
        assert call.hangup() == 200
    gateway.wait_idle()
    again = caller.dial("600")
    again.wait_answered()
    assert again.hangup() == 200


def test_every_pair_of_ports_carries_a_call_whatever_trunk_it_came_over() -> None:
    trunks: dict[str, Json] = {
        name: {"register": False, "sources": [CARRIER_HOST], "user": name} for name in ("alice", "bob")
    }
    routes: list[Object] = [{"name": "all", "match": {"any": True}, "steps": ["answer", {"pause": "9s"}]}]
    with GatewayProcess(Setup(routes, trunks=trunks, rtp_ports=12)) as gateway, Caller(gateway.address) as caller:
        for numbers in (["600"] * 6, ["alice", "bob", "600", "600", "alice", "alice"]):
            calls = [caller.dial(number) for number in numbers]
            ports = {media_address(call.wait_answered().body) for call in calls}
            assert len(ports) == len(calls)
            assert len(gateway.rtp_ports_in_use()) == 12
            for call in calls:
                assert call.hangup() == 200
            wait_until(lambda: not gateway.rtp_ports_in_use(), "all ports are given back", 5)
        assert not gateway.events("pjsip.said", level="error")


def test_options(gateway: GatewayProcess, caller: Caller) -> None:
    answer = caller.request("OPTIONS")
    assert answer.status == 200
    assert "INVITE" in (answer.header("Allow") or "")
    run_sipp(Script("options", "600"), gateway.target)


def test_options_in_a_call(gateway: GatewayProcess, caller: Caller) -> None:
    call = caller.dial("600")
    call.wait_answered()
    status = call.request("OPTIONS").status
    assert call.hangup() == 200
    assert status == 200


@pytest.mark.parametrize(
    ("route", "host", "user", "headers"),
    [
        ("gold", "127.0.0.1", "+49301", {"X-Tier": "gold"}),
        ("diverted", "127.0.0.1", "+49301", {"Diversion": "<sip:+4930555@a.example>;reason=unconditional"}),
        ("identified", CARRIER_HOST, "anonymous", {"P-Asserted-Identity": '"A" <sip:+4989123@carrier.example>'}),
        ("trunk", CARRIER_HOST, "+49301", {}),
        # A stranger may assert what it likes: the caller is who From says.
        ("stranger", "127.0.0.1", "+49301", {"P-Asserted-Identity": "<sip:+4989123@carrier.example>"}),
    ],
)
def test_the_dialplan_sees_headers_and_trunks(
    gateway: GatewayProcess, route: str, host: str, user: str, headers: dict[str, str]
) -> None:
    with Caller(gateway.address, host) as caller:
        call = caller.dial("any", Manner(user=user, headers=headers))
        assert call.wait_rejected().start_line == f"SIP/2.0 480 {route}"
    record = gateway.record(call.call_id)
    assert record["route"] == route
    assert record.get("trunk") == ("carrier" if host == CARRIER_HOST else None)


def test_a_call_over_tcp(gateway: GatewayProcess) -> None:
    run_sipp(Script("call", "600", hold_ms=200), gateway.target, transport="tcp")
    run_sipp(Script("rejected", "nobody", status=404), gateway.target, transport="tcp")
    gateway.wait_idle()


def options(number: int) -> bytes:
    headers = [
        ("Via", f"SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bK{secrets.token_hex(6)};rport"),
        ("Max-Forwards", "70"),
        ("From", "<sip:caller@127.0.0.1>;tag=caller"),
        ("To", "<sip:600@127.0.0.1>"),
        ("Call-ID", secrets.token_hex(6)),
        ("CSeq", f"{number} OPTIONS"),
    ]
    return compose("OPTIONS sip:600@127.0.0.1 SIP/2.0", headers, "", 0).wire()


def answered(connection: socket.socket, count: int) -> set[int]:
    """The numbers of so many requests that were answered 200."""
    text = b""
    while len(found := re.findall(rb"^CSeq: (\d+) OPTIONS\r\n", text, re.MULTILINE)) < count:
        came = connection.recv(65536)
        assert came, text
        text += came
    assert text.count(b"SIP/2.0 200 ") == count
    return {int(number) for number in found}


def test_messages_over_tcp_come_in_any_pieces(gateway: GatewayProcess) -> None:
    """RFC 3261 section 18.3: where one ends, Content-Length says; CRLF between two is a keep-alive (RFC 5626)."""
    with socket.create_connection(gateway.address, timeout=5) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(b"".join(options(number) for number in range(1, 21)))
        assert answered(connection, 20) == set(range(1, 21))
        for octet in b"\r\n" + options(21) + b"\r\n\r\n" + options(22):
            connection.send(bytes((octet,)))
        assert answered(connection, 2) == {21, 22}
        pieces = options(23) + options(24)
        for cut in (pieces[:-300], pieces[-300:]):
            connection.send(cut)
        assert answered(connection, 2) == {23, 24}


@pytest.mark.parametrize(
    ("codec", "name"),
    [(PCMU, "PCMU/8000"), (PCMA, "PCMA/8000"), (G722, "G722/16000"), (OPUS, "opus/16000")],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_codecs_with_a_real_phone(gateway: GatewayProcess, codec: Codec, name: str) -> None:
    rate_hz = codec.rate_hz
    speech = np.concatenate((silence(300, rate_hz), tone(440, 600, rate_hz), tone(1000, 600, rate_hz)))
    user = f"phone-{codec.name}"
    with Baresip(speech, codec, user=user) as phone:
        phone.dial(f"sip:600@{gateway.target}")
        phone.wait_event("CALL_ESTABLISHED")
        with Caller(gateway.address) as caller:  # 1.9 s, by the clock of another call's sound
            clock = caller.dial("600")
            clock.wait_answered()
            clock.wait_heard(1900)
        phone.hangup()
        assert_heard(phone.heard()[0], [440, 1000], phone.heard()[1])
    assert gateway.wait_event("call.ended", 5, **{"from": user})["codec"] == name


def test_wideband_is_not_thrown_away(gateway: GatewayProcess) -> None:
    speech = np.concatenate((silence(300, 16000), tone(6000, 600, 16000)))
    with Baresip(speech, G722) as phone:
        phone.dial(f"sip:600@{gateway.target}")
        phone.wait_event("CALL_ESTABLISHED")
        with Caller(gateway.address) as caller:
            clock = caller.dial("600")
            clock.wait_answered()
            clock.wait_heard(1300)
        phone.hangup()
        assert_heard(phone.heard()[0], [6000], phone.heard()[1])
