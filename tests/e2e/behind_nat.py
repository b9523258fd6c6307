"""Callers in front of and behind a NAT, with `behind_nat: auto`: run in a network of its own by test_behind_nat.py."""

from __future__ import annotations

import sys

from tests.e2e.gateway_process import GatewayProcess, Json, Object, Setup, to_agent
from tests.e2e.listening import assert_heard
from tests.e2e.own_network import have, loopback
from tests.e2e.peers.call import Manner
from tests.e2e.peers.caller import Caller
from tests.e2e.peers.process import free_port, wait_until
from tests.e2e.peers.rtp import RtpPacket
from tests.e2e.peers.sip_message import SipMessage
from tests.e2e.peers.sound import level_dbfs

GATEWAY, NAT, TELEPHONE = "198.51.100.1", "198.51.100.7", "203.0.113.20"
PRIVATE = "10.9.9.9"
SDP = f"v=0\no=- 1 1 IN IP4 {PRIVATE}\ns=-\nc=IN IP4 {PRIVATE}\nt=0 0\nm=audio $PORT RTP/AVP 0\n"
"""What a telephone offers that does not know that there is a NAT."""


def gateway(**media: Json) -> GatewayProcess:
    port = free_port(GATEWAY)
    tone: Json = {"agent": {"name": "tone", "max_duration": "1s"}}
    routes: tuple[Object, ...] = (
        {"name": "tone", "match": {"to": "601"}, "steps": ["answer", tone]},
        to_agent("602", "tone"),
    )
    running = GatewayProcess(Setup(routes, sip={"listen": [f"udp:{GATEWAY}:{port}"]}, media=media))
    running.host, running.port = GATEWAY, port
    return running


def behind() -> None:
    """Contact and SDP are private: both our requests and our sound go to where the caller's come from."""
    with gateway() as running, Caller(running.address, host=NAT) as caller:
        call = caller.dial("601", Manner(contact=f"<sip:caller@{PRIVATE}:5060>", sdp=SDP))
        call.wait_answered()
        assert_heard(call.wait_heard(500), [440])
        assert call.wait_ended() == "them"
        (bye,) = [message for message in call.messages if message.method == "BYE" and message.status is None]
        assert bye.start_line.startswith(f"BYE sip:caller@{PRIVATE}:5060 "), "the Request-URI as the caller gave it"


def half_known() -> None:
    """Only the Contact is private, as if a router had rewritten the SDP: the port there need not be the caller's."""
    with gateway(first_packet_wait="20s") as running, Caller(running.address, host=NAT) as caller:
        call = caller.dial("602", Manner(contact=f"<sip:caller@{PRIVATE}:5060>", speak=False))
        call.wait_answered()
        wait_until(lambda: len(call.received) > 10, "silence, to where its SDP says", 10)
        outside = call.stream.send_from(NAT)
        assert call.stream.remote is not None
        call.stream.start(call.stream.remote)

        def loud() -> list[RtpPacket]:
            return [packet for packet in call.received if level_dbfs(packet.pcm) > -30]

        wait_until(lambda: len(loud()) > 10, "the tone", 10)
        assert {packet.target for packet in loud()} == {outside}
        assert call.hangup() == 200


def in_front() -> None:
    """The Contact is public: requests go there, though the INVITE came from elsewhere, as from a proxy."""
    with (
        gateway() as running,
        Caller(running.address, host=TELEPHONE) as telephone,
        Caller(running.address, host=NAT) as proxy,
    ):
        host, port = telephone.address
        call = proxy.dial("601", Manner(contact=f"<sip:caller@{host}:{port}>"))
        call.wait_answered()
        (bye,) = wait_until(lambda: requests(telephone, "BYE"), "BYE at the Contact", 5)
        assert bye.header("Call-ID") == call.call_id
        assert not [message for message in call.messages if message.method == "BYE"]
        call.ended_by = "them"


def requests(caller: Caller, method: str) -> list[SipMessage]:
    return [message for message in caller.others if message.method == method][:1]


def main() -> None:
    """Run one of them, by its name."""
    loopback("up")
    for address in (GATEWAY, NAT, TELEPHONE):
        have(address)
    {"behind": behind, "half_known": half_known, "in_front": in_front}[sys.argv[1]]()


if __name__ == "__main__":
    main()
