"""Which address of ours a caller is told, and which of theirs we use: several networks, a NAT on either side."""

from __future__ import annotations

import re
import socket
import time
from typing import TYPE_CHECKING, TypeAlias

import pytest

from tests.e2e.gateway_process import GatewayProcess, Json, Object, Setup
from tests.e2e.own_network import run_in_own_network
from tests.e2e.peers.call import Manner
from tests.e2e.peers.caller import Caller
from tests.e2e.peers.process import LOOPBACK, free_port
from tests.e2e.peers.sip_message import SipMessage, compose, media_address

if TYPE_CHECKING:
    from collections.abc import Callable

    Exchange: TypeAlias = Callable[[tuple[str, int]], SipMessage]

ROUTES: tuple[Object, ...] = (
    {"name": "ends", "match": {"to": "ends"}, "steps": ["answer", {"pause": "100ms"}]},
    {"name": "rings", "match": {"to": "rings"}, "steps": [{"ring": {"early": True}}, "hangup"]},
)
SECOND = "127.0.0.2"
PUBLIC = "203.0.113.7"
SDP = "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 9 RTP/AVP 0\na=rtpmap:0 PCMU/8000\n"


def gateway_on(*hosts: str, **sip: Json) -> GatewayProcess:
    """A gateway that takes SIP at these addresses, over UDP and TCP."""
    port = free_port("0.0.0.0")
    listen: list[Json] = [f"{transport}:{host}:{port}" for host in hosts for transport in ("udp", "tcp")]
    gateway = GatewayProcess(Setup(ROUTES, sip={"listen": listen, **sip}))
    gateway.port = port
    return gateway


def invite(to: tuple[str, int], via: str, contact: str) -> bytes:
    """An INVITE that is answered early, with a description, and then refused."""
    uri = f"sip:rings@{to[0]}:{to[1]}"
    headers = [
        ("Via", f"SIP/2.0/{via};branch=z9hG4bK{time.monotonic_ns()};rport"),
        ("Max-Forwards", "70"),
        ("From", "<sip:caller@127.0.0.1>;tag=caller"),
        ("To", f"<{uri}>"),
        ("Call-ID", f"{time.monotonic_ns()}"),
        ("CSeq", "1 INVITE"),
        ("Contact", contact),
    ]
    return compose(f"INVITE {uri} SIP/2.0", headers, SDP, 0).wire()


def over_tcp(
    to: tuple[str, int], contact: str = "<sip:caller@127.0.0.1:9;transport=tcp>", host: str = LOOPBACK
) -> SipMessage:
    """The 183 to an INVITE over TCP."""
    with socket.create_connection(to, timeout=5, source_address=(host, 0)) as connection:
        connection.sendall(invite(to, "TCP 127.0.0.1:9", contact))
        text = b""
        while b"SIP/2.0 183" not in text or b"m=audio" not in text:
            text += connection.recv(65536)
    return SipMessage.from_wire(text[text.index(b"SIP/2.0 183") :], 0)


def over_udp(to: tuple[str, int], contact: str = "<sip:caller@127.0.0.1:9>", host: str = LOOPBACK) -> SipMessage:
    """The 183 to an INVITE over UDP."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind((host, 0))
        peer.settimeout(5)
        peer.sendto(invite(to, "UDP 127.0.0.1:9", contact), to)
        while True:
            message = SipMessage.from_wire(peer.recv(65536), 0)
            if message.status == 183:
                return message


def told(message: SipMessage) -> tuple[str, str]:
    """The addresses in Contact and in the description."""
    contact = re.search(r"@?([0-9.]+):\d+", message.contact_uri or "")
    media = media_address(message.body)
    assert contact is not None
    assert media is not None
    return contact[1], media[0]


@pytest.mark.parametrize("exchange", [over_udp, over_tcp])
def test_the_address_that_the_call_came_to(exchange: Exchange) -> None:
    with gateway_on(LOOPBACK, SECOND) as gateway:
        for host in (SECOND, LOOPBACK):
            message = exchange((host, gateway.port))
            assert told(message) == (host, host)
            assert (message.contact_uri or "").endswith(";transport=TCP") == (exchange is over_tcp)


@pytest.mark.parametrize("exchange", [over_udp, over_tcp])
def test_the_way_back_where_all_addresses_are_bound(exchange: Exchange) -> None:
    with gateway_on("0.0.0.0") as gateway:
        assert told(exchange((LOOPBACK, gateway.port))) == (LOOPBACK, LOOPBACK)


def test_each_of_two_networks_is_told_the_address_in_it() -> None:
    run_in_own_network("two_networks")


@pytest.mark.parametrize("exchange", [over_udp, over_tcp])
def test_the_public_address(exchange: Exchange) -> None:
    with gateway_on(LOOPBACK, public_address=PUBLIC) as gateway:
        assert told(exchange((LOOPBACK, gateway.port))) == (PUBLIC, PUBLIC)


@pytest.mark.parametrize("contact", ["<sip:caller@127.0.0.1:9;transport=tls>", "<sip:caller@[::1]:9>"])
def test_whatever_the_callers_contact_is(contact: str) -> None:
    with gateway_on(LOOPBACK) as gateway:
        assert told(over_udp((LOOPBACK, gateway.port), contact)) == (LOOPBACK, LOOPBACK)


def test_requests_leave_where_the_call_came_in() -> None:
    with gateway_on(LOOPBACK, SECOND) as gateway, Caller((SECOND, gateway.port)) as caller:
        call = caller.dial("ends")
        call.wait_answered()
        assert call.wait_ended() == "them"
        assert caller.sources == {(SECOND, gateway.port)}


def test_a_caller_behind_nat_is_hung_up_on() -> None:
    with gateway_on(LOOPBACK, behind_nat="always") as gateway, Caller((LOOPBACK, gateway.port)) as caller:
        call = caller.dial("ends", Manner(contact="<sip:caller@192.0.2.99:5060>"))
        call.wait_answered()
        assert call.wait_ended() == "them"
        (bye,) = [message for message in call.messages if message.method == "BYE" and message.status is None]
        assert bye.start_line.startswith("BYE sip:caller@192.0.2.99:5060 ")
