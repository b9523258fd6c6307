"""Callers whom the gateway serves, and who ask for more than anybody can give."""

from __future__ import annotations

import secrets
import socket
import struct
from typing import TYPE_CHECKING

import pytest

from tests.e2e.peers.caller import Caller
from tests.e2e.peers.sip_message import compose
from tests.hostile.budget import SECONDS, rounds
from tests.hostile.corpus import SDP
from tests.hostile.test_media import media_port

if TYPE_CHECKING:
    from tests.e2e.gateway_process import GatewayProcess
    from tests.e2e.peers.call import Call
    from tests.hostile.canary import Canary

REQUESTS_PER_S = 500
KEY = "Signal=5\nDuration=100\n"
RTP_BURST = 200
RTP_BURSTS_PER_S = 100


@pytest.mark.parametrize("method", ["UPDATE", "INFO"])
def test_requests(gateway: GatewayProcess, canary: Canary, method: str) -> None:
    """Without waiting for an answer to the one before."""
    number = 0
    with Caller(gateway.address) as caller, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as elsewhere:
        call = caller.dial("600")
        call.wait_answered()
        for number in rounds(REQUESTS_PER_S, SECONDS / 2):
            elsewhere.sendto(request(call, method, number), gateway.address)
        elsewhere.sendto(request(call, "BYE", number + 1), gateway.address)
        call.wait_status(200, "BYE")
    sent = number + 1
    assert 0.5 * sent < gateway.number("sip", "excessive") < sent - 50, "each would occupy memory for half a minute"


def request(call: Call, method: str, number: int) -> bytes:
    """Any request in the call, with a number of its own."""
    ack = next(message for message in call.messages if message.sent and message.method == "ACK")
    via = (ack.header("Via") or "").partition(";branch=")[0]
    body, kind = "", []
    if method in {"INVITE", "UPDATE"}:
        body = SDP.replace("o=- 1 1", f"o=- 1 {number + 2}").replace(
            "m=audio 9", f"m=audio {20_000 + number % 1000 * 2}"
        )
    elif method == "INFO":
        body, kind = KEY, [("Content-Type", "application/dtmf-relay")]
    headers = [
        ("Via", f"{via};branch=z9hG4bK{secrets.token_hex(8)}"),
        ("CSeq", f"{number + 10} {method}"),
        *((name, ack.header(name) or "") for name in ("Max-Forwards", "From", "To", "Call-ID", "Contact")),
        *([("Refer-To", "<sip:600@127.0.0.1>")] if method == "REFER" else []),
        *kind,
    ]
    uri = ack.start_line.split(" ")[1]
    return compose(f"{method} {uri} SIP/2.0", headers, body, 0.0).wire()


@pytest.mark.parametrize("whose", ["own", "strangers"])
def test_packets(gateway: GatewayProcess, canary: Canary, whose: str) -> None:
    """20,000 a second for one port."""
    with Caller(gateway.address) as caller, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.66", 0))
        call = caller.dial("600")
        call.wait_answered()
        target = gateway.host, media_port(call)
        sequence = 0
        for _ in rounds(RTP_BURSTS_PER_S):
            for _ in range(RTP_BURST):
                sequence += 1
                packet = struct.pack("!BBHII", 0x80, 0, sequence % 65_536, sequence * 160, 7) + bytes(160)
                if whose == "own":
                    call.stream.send_raw(packet, target)
                else:
                    stranger.sendto(packet, target)
