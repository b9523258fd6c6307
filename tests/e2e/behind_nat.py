"""Callers in front of and behind a NAT, with `behind_nat: auto`: run in a network of its own by test_behind_nat.py."""

from __future__ import annotations

import sys

from tests.e2e.gateway_process import GatewayProcess, Json, Object, Setup
from tests.e2e.listening import assert_heard
from tests.e2e.own_network import have, loopback
from tests.e2e.peers.call import Manner
from tests.e2e.peers.caller import Caller
from tests.e2e.peers.process import free_port, wait_until
from tests.e2e.peers.sip_message import SipMessage

GATEWAY, NAT, TELEPHONE = "198.51.100.1", "198.51.100.7", "203.0.113.20"
PRIVATE = "10.9.9.9"
SDP = f"v=0\no=- 1 1 IN IP4 {PRIVATE}\ns=-\nc=IN IP4 {PRIVATE}\nt=0 0\nm=audio $PORT RTP/AVP 0\n"
"""What a telephone offers that does not know that there is a NAT."""


def gateway() -> GatewayProcess:
    port = free_port(GATEWAY)
    tone: Json = {"agent": {"name": "tone", "max_duration": "1s"}}
    routes: tuple[Object, ...] = ({"name": "tone", "match": {"to": "601"}, "steps": ["answer", tone]},)
    running = GatewayProcess(Setup(routes, sip={"listen": [f"udp:{GATEWAY}:{port}"]}))
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
    {"behind": behind, "in_front": in_front}[sys.argv[1]]()


if __name__ == "__main__":
    main()
