"""Damaged RTP and RTCP: from strangers to another's ports, and from a caller to its own."""

from __future__ import annotations

import random
import socket
import struct
from typing import TYPE_CHECKING

from tests.e2e.peers.caller import Caller
from tests.hostile.budget import dice, rounds

if TYPE_CHECKING:
    from tests.e2e.gateway_process import GatewayProcess
    from tests.e2e.peers.call import Call
    from tests.hostile.canary import Canary

PACKETS_PER_S = 500
PAYLOAD_TYPES = (0, 0, 0, 8, 9, 13, 18, 72, 96, 101, 101, 111, 127)


def test_strangers_packets(gateway: GatewayProcess, canary: Canary) -> None:
    """Every port of the media range gets some, the canary's own most."""
    choices = dice("strangers")
    port = media_port(canary.call)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.66", 0))
        for number in rounds(PACKETS_PER_S):
            target = (port, port + 1, choices.choice(gateway.rtp_ports))[number % 3]
            stranger.sendto(damaged(choices), (gateway.host, target))


def test_a_callers_own_packets(gateway: GatewayProcess, canary: Canary) -> None:
    choices = dice("own")
    with Caller(gateway.address) as caller:
        call = caller.dial("600")
        call.wait_answered()
        port = media_port(call)
        for number in rounds(PACKETS_PER_S):
            call.stream.send_raw(damaged(choices), (gateway.host, port + number % 4 // 3))


def media_port(call: Call) -> int:
    """Where the gateway takes the call's RTP."""
    remote = call.stream.remote
    assert remote is not None
    return remote[1]


def damaged(choices: random.Random) -> bytes:
    """An RTP or RTCP packet with everything that may be wrong with one."""
    if choices.random() < 0.25:
        return rtcp(choices)
    first = choices.choice((0x80, 0x80, 0x80, 0x90, 0xA0, 0xB0, 0x8F, 0x9F, choices.randrange(256)))
    head = struct.pack(
        "!BBHII",
        first,
        choices.choice((0, 0, 0x80)) | choices.choice(PAYLOAD_TYPES),
        choices.randrange(1 << 16),
        choices.randrange(1 << 32),
        choices.choice((0, 1, 0xFFFFFFFF, choices.randrange(1 << 32))),
    )
    size = choices.choice((0, 1, 3, 4, 8, 159, 160, 161, 320, 1_000, 1_472))
    return (head + choices.randbytes(size))[: choices.choice((1, 11, 12, 16, 2_000, 2_000, 2_000, 2_000))]


def rtcp(choices: random.Random) -> bytes:
    """A compound packet, whose parts lie about their lengths."""
    parts = b""
    for _ in range(choices.choice((1, 1, 2, 5))):
        body = choices.randbytes(choices.choice((0, 4, 8, 20, 24, 28, 100)))
        words = choices.choice((len(body) // 4, 0, 1, 65_535, choices.randrange(65_536)))
        kind = choices.choice((200, 201, 202, 203, 204, 205, 206, 207, 0, 255))
        parts += struct.pack("!BBH", 0x80 | choices.randrange(64), kind, words) + body
    return parts
