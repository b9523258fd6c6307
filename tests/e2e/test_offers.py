"""Offers in the shape of what real equipment sends: each is answered, or refused for the right reason.

`offers/` has one file for each product or kind of one, after what its users have published of it.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.gateway_process import GatewayProcess
from tests.e2e.listening import assert_heard
from tests.e2e.peers.call import Manner
from tests.e2e.peers.sip_message import payload_types
from tests.e2e.peers.sound import tone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.peers.caller import Caller

OFFERS = {path.stem: path.read_text() for path in sorted((Path(__file__).parent / "offers").glob("*.sdp"))}
SECURE = {"teams-direct-routing"}
"""They take SRTP alone, which we do not have."""
DYNAMIC_PCMU = {"media-server-dynamic-pcmu": 102}


@pytest.fixture(scope="module")
def gateway() -> Iterator[GatewayProcess]:
    with GatewayProcess() as running:
        yield running


def ports(sdp: str) -> list[int]:
    return [int(port) for port in re.findall(r"^m=\w+ (\d+)", sdp, re.MULTILINE)]


def has_formats(sdp: str) -> list[bool]:
    return [len(line.split()) > 3 for line in re.findall(r"^m=.*$", sdp, re.MULTILINE)]


@pytest.mark.parametrize("name", sorted(OFFERS.keys() - SECURE))
def test_an_offer_is_answered(caller: Caller, name: str) -> None:
    offer = OFFERS[name]
    call = caller.dial("600", Manner(sdp=offer))
    answer = call.wait_answered().body
    assert len(ports(answer)) == offer.count("m="), "one line for each (RFC 3264 section 6)"
    assert [port > 0 for port in ports(answer)] == [True, *[False] * (len(ports(answer)) - 1)]
    assert has_formats(answer) == has_formats(offer), "a refused line keeps its formats (RFC 3264 section 6)"
    assert payload_types(answer)[0] == DYNAMIC_PCMU.get(name, 0)
    if name not in DYNAMIC_PCMU:
        since_s = time.monotonic()
        call.send(tone(440, 300))
        assert_heard(call.wait_heard(500, since_s), [440])
    assert call.hangup() == 200


def test_the_callers_voice_comes_under_the_number_that_it_chose(caller: Caller) -> None:
    call = caller.dial("601", Manner(sdp=OFFERS["media-server-dynamic-pcmu"]))
    call.wait_answered()
    began_s = time.monotonic()
    while not call.received and time.monotonic() - began_s < 5:
        time.sleep(0.02)
    assert {packet.payload_type for packet in call.received} == {102}
    assert {len(packet.payload) for packet in call.received} == {160}
    assert call.hangup() == 200


def test_packets_are_no_longer_than_the_caller_takes(caller: Caller) -> None:
    offer = OFFERS["opal"].replace("a=maxptime:240", "a=maxptime:10")
    call = caller.dial("601", Manner(sdp=offer))
    call.wait_answered()
    call.wait_heard(200)
    assert {len(packet.payload) for packet in call.received} == {80}
    assert call.hangup() == 200


@pytest.mark.parametrize("name", sorted(SECURE))
def test_an_offer_of_srtp_alone_is_refused_and_told_as_that(gateway: GatewayProcess, caller: Caller, name: str) -> None:
    call = caller.dial("600", Manner(sdp=OFFERS[name]))
    assert call.wait_rejected().status == 488
    assert "SRTP" in str(gateway.wait_event("call.refused", call_id=call.call_id)["why"])
