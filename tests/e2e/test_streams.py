"""Offers with more than one line, or with lines that we cannot take: the stream that was accepted is heard, or 488."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.gateway_process import GatewayProcess, Setup, to_agent
from tests.e2e.listening import assert_heard
from tests.e2e.peers.call import Manner
from tests.e2e.peers.sound import tone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.peers.call import Call
    from tests.e2e.peers.caller import Caller

NO_MEDIA_S = 2
CRYPTO = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
SPOKEN = "m=audio $PORT RTP/AVP 0 101\na=rtpmap:0 PCMU/8000\na=rtpmap:101 telephone-event/8000"
SECURE = f"m=audio $PORT RTP/SAVP 0\n{CRYPTO}"
G729 = "m=audio 30000 RTP/AVP 18\na=rtpmap:18 G729/8000"
VIDEO = "m=video 30002 RTP/AVP 96\na=rtpmap:96 H264/90000"
FAX = "m=image 30004 udptl t38"
CLOSED = "m=audio 0 RTP/AVP 0"


def offer(*lines: str, version: int = 1) -> str:
    head = f"v=0\no=caller 1 {version} IN IP4 $ADDRESS\ns=-\nc=IN IP4 $ADDRESS\nt=0 0"
    return "\n".join([head, *lines, ""])


@pytest.fixture(scope="module")
def gateway() -> Iterator[GatewayProcess]:
    setup = Setup(
        (to_agent("echo", "echo"),),
        media={"no_media_timeout": f"{NO_MEDIA_S}s"},
        sip={"codecs": ["PCMU", "G722", "PCMA"]},
    )
    with GatewayProcess(setup) as running:
        yield running


def assert_echoes(call: Call) -> None:
    since_s = time.monotonic()
    call.send(tone(440, 300))
    assert_heard(call.wait_heard(900, since_s), [440])


@pytest.mark.parametrize(
    "sdp",
    [
        pytest.param(offer(SECURE, SPOKEN), id="savp-then-avp"),
        pytest.param(offer(SPOKEN, SECURE), id="avp-then-savp"),
        pytest.param(offer(CLOSED, SPOKEN), id="closed-first"),
        pytest.param(offer(G729, SPOKEN), id="g729-first"),
        pytest.param(offer(VIDEO, SPOKEN), id="video-first"),
        pytest.param(offer(FAX, SPOKEN), id="fax-first"),
        pytest.param(offer(SPOKEN, VIDEO, FAX), id="audio-first"),
        pytest.param(offer(SPOKEN, SPOKEN), id="twice"),
        pytest.param(offer(SPOKEN, "a=ptime:125"), id="ptime-125"),
        pytest.param(offer(SPOKEN, "a=ptime:5120"), id="ptime-5120"),
        pytest.param(offer(SPOKEN, "a=ptime:0"), id="ptime-0"),
        pytest.param(offer(SPOKEN, "a=ptime:25"), id="ptime-25"),
    ],
)
def test_the_accepted_stream_is_driven(gateway: GatewayProcess, caller: Caller, sdp: str) -> None:
    call = caller.dial("echo", Manner(sdp=sdp))
    call.wait_answered()
    assert_echoes(call)
    assert call.hangup() == 200
    record = gateway.record(call.call_id)
    assert (record["cause"], record["codec"]) == ("caller-hung-up", "PCMU/8000")


@pytest.mark.parametrize(
    "sdp",
    [
        pytest.param(offer(G729), id="g729"),
        pytest.param(offer(SECURE), id="savp"),
        pytest.param(offer(VIDEO), id="video"),
        pytest.param(offer(FAX), id="fax"),
        pytest.param(offer(CLOSED), id="closed"),
        pytest.param(offer(G729, VIDEO), id="g729-and-video"),
    ],
)
def test_an_offer_without_a_stream_for_us_is_refused(gateway: GatewayProcess, caller: Caller, sdp: str) -> None:
    call = caller.dial("echo", Manner(sdp=sdp))
    assert call.wait_rejected().status == 488
    assert gateway.wait_event("call.refused", call_id=call.call_id)


def test_audio_moves_between_lines_and_back(gateway: GatewayProcess, caller: Caller) -> None:
    call = caller.dial("echo", Manner(sdp=offer(SPOKEN)))
    call.wait_answered()
    assert_echoes(call)
    for version, lines in enumerate([(CLOSED, SPOKEN), (SPOKEN, CLOSED), (CLOSED, CLOSED, SPOKEN), (SPOKEN,)], 2):
        answer = call.request("INVITE", {}, call.fill_in(offer(*lines, version=version)))
        assert answer.status == 200
        assert_echoes(call)
    assert call.hangup() == 200
    assert gateway.record(call.call_id)["cause"] == "caller-hung-up"


def test_srtp_in_mid_call(gateway: GatewayProcess, caller: Caller) -> None:
    """Alone it is refused, and the call goes on as it was (RFC 3261 section 14.2); beside RTP it is passed over."""
    call = caller.dial("echo", Manner(sdp=offer(SPOKEN)))
    call.wait_answered()
    assert call.request("INVITE", {}, call.fill_in(offer(SECURE, version=2))).status == 488
    assert_echoes(call)
    assert call.request("INVITE", {}, call.fill_in(offer(SECURE, SPOKEN, version=3))).status == 200
    assert_echoes(call)
    assert call.hangup() == 200
    assert gateway.record(call.call_id)["cause"] == "caller-hung-up"


@pytest.mark.parametrize(
    "sdp",
    [
        pytest.param(offer(SPOKEN, "a=inactive"), id="inactive"),
        pytest.param(offer(SPOKEN, "c=IN IP4 0.0.0.0"), id="0.0.0.0"),
        pytest.param(offer(SPOKEN, "a=sendonly"), id="sendonly"),
    ],
)
def test_a_call_that_begins_on_hold(gateway: GatewayProcess, caller: Caller, sdp: str) -> None:
    call = caller.dial("echo", Manner(sdp=sdp, speak=False))
    call.wait_answered()
    answer = call.request("INVITE", {}, call.fill_in(offer(SPOKEN, version=2)))
    assert answer.status == 200
    assert call.stream.remote is not None
    call.stream.start(call.stream.remote)
    assert_echoes(call)
    assert call.hangup() == 200
    assert gateway.record(call.call_id)["cause"] == "caller-hung-up"


def test_an_address_that_is_ipv6_is_refused(gateway: GatewayProcess, caller: Caller) -> None:
    call = caller.dial("echo", Manner(sdp=offer(SPOKEN, "c=IN IP6 2001:db8::1")))
    assert call.wait_rejected().status == 488
    record = gateway.record(call.call_id)
    assert (record["cause"], record["class"], record["code"]) == ("media-failed", "theirs", 488)
    assert "IPv6" in str(record["detail"])
