"""Messages that are not as a standard has them, or ask for what we do not have: an answer that says so, or a call."""

from __future__ import annotations

import secrets
import socket
from typing import TYPE_CHECKING

import pytest

from tests.e2e.gateway_process import ROUTES, GatewayProcess, Object, Setup
from tests.e2e.listening import assert_heard
from tests.e2e.peers.call import Manner
from tests.e2e.peers.process import wait_until
from tests.e2e.peers.sip_message import SipMessage
from tests.e2e.peers.sound import tone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.peers.caller import Caller


BRIEF: Object = {"name": "brief", "match": {"to": "brief"}, "steps": ["answer", {"pause": "100ms"}]}


@pytest.fixture(scope="module")
def gateway() -> Iterator[GatewayProcess]:
    with GatewayProcess(Setup((*ROUTES, BRIEF))) as running:
        yield running


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Authorization", "Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2ln"),
        ("Proxy-Authorization", "Basic dXNlcjpwYXNz"),
        ("Accept", "application/sdp;;"),
        ("Retry-After", "soon"),
    ],
)
def test_a_header_that_nobody_needs_may_be_odd(caller: Caller, name: str, value: str) -> None:
    call = caller.dial("600", Manner(headers={name: value}))
    call.wait_answered()
    call.send(tone(440, 300))
    assert_heard(call.wait_heard(500), [440])
    assert call.hangup() == 200


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Content-Type", "/"),
        ("Session-Expires", "later"),
        ("Route", "<sip:[>"),
        ("Contact", "<sip:[>"),
    ],
)
def test_a_malformed_header_that_is_needed_is_answered(caller: Caller, name: str, value: str) -> None:
    manner = Manner(contact=value) if name == "Contact" else Manner(headers={name: value})
    answer = caller.dial("600", manner).wait_rejected()
    assert answer.start_line == f"SIP/2.0 400 Malformed {name}"


def test_bytes_that_are_no_text_in_a_contact_do_no_harm(gateway: GatewayProcess, caller: Caller) -> None:
    host, port = caller.address
    call = caller.dial("600", Manner(contact=f"<sip:a@{host}:{port};maddr=%ff%00>"))
    call.wait_answered()
    assert call.hangup() == 200
    wait_until(lambda: gateway.number("calls", "live") == 0, "its place is free", 5)


def test_bytes_that_are_no_text_in_a_new_offer_do_no_harm(gateway: GatewayProcess, caller: Caller) -> None:
    """Our answer repeats the line that they are in, and so does our next one, which begins with the last."""
    call = caller.dial("600")
    call.wait_answered()
    for _ in range(2):
        offer = f"{call.offer()}m=video 9 RTP/A\udcffVP 97\na=rtpmap:97 H264/90000\n"
        assert call.request("INVITE", body=offer).status == 200
    call.hangup()
    assert gateway.record(call.call_id)["cause"] == "caller-hung-up"
    assert not gateway.events("sip.failed")


def test_a_malformed_request_line_is_answered(gateway: GatewayProcess, caller: Caller) -> None:
    host, _ = caller.address
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as odd:
        odd.bind((host, 0))
        odd.settimeout(5)
        port = odd.getsockname()[1]
        lines = (
            "OPTIONS sip:[;@x SIP/2.0",
            f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{secrets.token_hex(4)}",
            "From: <sip:a@b>;tag=1",
            "To: <sip:a@b>",
            f"Call-ID: {secrets.token_hex(4)}",
            "CSeq: 1 OPTIONS",
            "",
            "",
        )
        odd.sendto("\r\n".join(lines).encode(), gateway.address)
        assert odd.recv(9000).startswith(b"SIP/2.0 400 Malformed Request Line\r\n")


def test_what_cannot_be_answered_is_dropped_and_counted(gateway: GatewayProcess, caller: Caller) -> None:
    before = gateway.number("sip", "malformed")
    host, port = caller.address
    head = (
        f"OPTIONS sip:600@{gateway.target} SIP/2.0\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\n"
        f"Call-ID: {secrets.token_hex(4)}\r\n"
    )
    caller.send_raw(f"{head}Via: SIP/2.0/UDP ;;\r\nCSeq: 1 OPTIONS\r\n\r\n".encode())
    caller.send_raw(f"{head}Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bKx\r\nCSeq: one\r\n\r\n".encode())
    caller.send_raw(b"\r\n\r\n")
    wait_until(lambda: gateway.number("sip", "malformed") >= before + 2, "they are counted", 5)
    assert gateway.number("sip", "malformed") == before + 2


def test_an_unknown_extension_is_refused(caller: Caller) -> None:
    answer = caller.request("OPTIONS", "600", {"Require": "100rel, foo, bar"})
    assert answer.status == 420
    assert answer.header("Unsupported") == "foo, bar"
    assert caller.request("OPTIONS", "600", {"Require": "timer"}).status == 200


def test_an_unknown_extension_in_a_call_is_refused_and_the_call_goes_on(caller: Caller) -> None:
    call = caller.dial("600")
    call.wait_answered()
    for method in ("OPTIONS", "INFO", "UPDATE"):
        assert call.request(method, {"Require": "foo"}).status == 420
    assert call.request("INFO").status == 200
    assert call.hangup() == 200


def test_a_message_in_a_call_is_not_swallowed(caller: Caller) -> None:
    call = caller.dial("600")
    call.wait_answered()
    answer = call.request("MESSAGE", {"Content-Type": "text/plain"}, "hello")
    assert answer.status == 405
    assert "MESSAGE" not in (answer.header("Allow") or "MESSAGE")
    assert call.hangup() == 200


@pytest.mark.parametrize(
    "contact",
    ["<sip:caller@[2001:db8::1]:5060>", "<sips:caller@192.0.2.1>", "<sip:x9k2@df7jal23ls0d.invalid;transport=ws>",
     "<tel:+15550100>, <sip:caller@[2001:db8::1]>"],
)  # fmt: skip
def test_a_contact_that_cannot_be_reached_is_where_the_call_came_from(
    gateway: GatewayProcess, caller: Caller, contact: str
) -> None:
    call = caller.dial("brief", Manner(contact=contact))
    call.wait_answered()
    assert call.wait_ended() == "them"
    assert gateway.record(call.call_id)["cause"] == "steps-ran-out"


@pytest.mark.parametrize("contact", ["<tel:+15550100>", "", "*"])
def test_without_a_sip_uri_to_reach_it_a_call_is_refused(gateway: GatewayProcess, caller: Caller, contact: str) -> None:
    call = caller.dial("600", Manner(contact=contact))
    assert call.wait_rejected().status == 400
    assert "400" in str(gateway.wait_event("call.refused", call_id=call.call_id)["why"])


def test_a_type_without_a_body_is_no_offer(caller: Caller) -> None:
    call = caller.dial("600", Manner(late_offer=True, codecs=(0,), headers={"Content-Type": "application/sdp"}))
    assert "m=audio" in call.wait_answered().body
    assert call.hangup() == 200


ISUP = "\x01\x00\x49\x00\x00\x03\x02\x00\x07"
PARTS = (
    "--b\nContent-Type: application/isup;version=itu-t92+\nContent-Disposition: signal;handling={}\n\n"
    + ISUP
    + "\n--b--\n"
)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (ISUP, {"Content-Type": "application/isup", "Content-Disposition": "signal;handling=optional"}),
        (ISUP, {"Content-Type": "application/isup", "Content-Disposition": "signal; Handling = Optional"}),
        (PARTS.format("optional"), {"Content-Type": "multipart/mixed;boundary=b"}),
    ],
    ids=["alone", "in-other-letters", "in-a-multipart"],
)
def test_a_body_that_need_not_be_understood_is_no_offer(caller: Caller, body: str, headers: dict[str, str]) -> None:
    """RFC 3261 sections 8.2.3 and 20.11."""
    call = caller.dial("600", Manner(late_offer=True, codecs=(0,), foreign_body=body, headers=headers))
    assert "m=audio" in call.wait_answered().body
    call.send(tone(440, 300))
    assert_heard(call.wait_heard(600), [440])
    assert call.hangup() == 200


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (ISUP, {"Content-Type": "application/isup"}),
        (ISUP, {"Content-Type": "application/isup", "Content-Disposition": "signal;handling=required"}),
        (PARTS.format("required"), {"Content-Type": "multipart/mixed;boundary=b"}),
    ],
    ids=["unsaid", "required", "in-a-multipart"],
)
def test_a_body_that_must_be_understood_is_refused(caller: Caller, body: str, headers: dict[str, str]) -> None:
    call = caller.dial("600", Manner(late_offer=True, foreign_body=body, headers=headers))
    assert call.wait_rejected().status == 415


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_body_that_need_not_be_understood_is_no_new_offer(caller: Caller, method: str) -> None:
    call = caller.dial("600")
    call.wait_answered()
    kind = {"Content-Type": "application/isup", "Content-Disposition": "signal;handling=optional"}
    answer = call.request(method, kind, ISUP)
    assert answer.status == 200
    assert ("m=audio" in answer.body) == (method == "INVITE"), "an INVITE without an offer asks for one"
    assert call.hangup() == 200


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM], ids=["udp", "tcp"])
def test_a_request_that_is_too_long_is_told_so(
    gateway: GatewayProcess, caller: Caller, kind: socket.SocketKind
) -> None:
    """What is cut off may be its offer: it would be answered as if it had none."""
    call = caller.dial("nobody", Manner(headers={"X-Long": "a" * 9000}))
    if kind is socket.SOCK_DGRAM:
        assert call.wait_rejected().status == 513
        return
    call.wait_rejected()
    invite = next(message for message in call.messages if message.method == "INVITE")
    with socket.create_connection(gateway.address, timeout=5) as connection:
        connection.sendall(invite.text.replace(call.call_id, "too-long").replace("/UDP ", "/TCP ").encode())
        assert SipMessage.from_wire(connection.recv(65536), 0).status == 513


def test_lines_that_end_without_carriage_return(gateway: GatewayProcess, caller: Caller) -> None:
    call = caller.dial("nobody")
    call.wait_rejected()
    invite = next(message for message in call.messages if message.method == "INVITE")
    caller.send_raw(invite.text.replace(call.call_id, "bare-lf").replace("z9hG4bK", "z9hG4bKlf").encode())
    assert gateway.record("bare-lf")["to"] == "nobody"
