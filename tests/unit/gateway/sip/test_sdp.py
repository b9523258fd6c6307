import pytest

from gateway.sip.sdp import at_rate, obstacle

HEAD = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
OFFER = (
    HEAD + "m=audio 4000 RTP/AVP 9 0 8 96 101 102\r\n"
    "a=rtpmap:9 G722/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
    "a=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\n"
    "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=rtpmap:102 telephone-event/48000\r\na=sendrecv\r\n"
)


def test_a_narrow_call_stays_narrow() -> None:
    assert at_rate(OFFER, 8000) == (
        HEAD + "m=audio 4000 RTP/AVP 0 8 101 102\r\n"
        "a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
        "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=rtpmap:102 telephone-event/48000\r\na=sendrecv\r\n"
    )


def test_a_wide_call_may_change_its_codec() -> None:
    wide = at_rate(OFFER, 16000)
    assert "m=audio 4000 RTP/AVP 9 96 101 102\r\n" in wide
    assert "opus/48000/2" in wide
    assert "PCM" not in wide


def test_static_payload_types_need_no_rtpmap() -> None:
    assert at_rate(HEAD + "m=audio 4000 RTP/AVP 9 0 101\r\n", 8000) == HEAD + "m=audio 4000 RTP/AVP 0\r\n"


def test_what_would_leave_nothing_is_left_alone() -> None:
    assert at_rate(OFFER, 48000) == OFFER
    assert at_rate("v=0\r\n", 8000) == "v=0\r\n"


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        ("m=audio 4000 RTP/SAVP 0\r\n", True),
        ("m=audio 4000 UDP/TLS/RTP/SAVPF 111\r\nm=video 4002 RTP/AVP 96\r\n", True),
        ("m=audio 4000 RTP/SAVP 0\r\nm=audio 4000 RTP/AVP 0\r\n", False),
        ("m=audio 4000 RTP/SAVP 0\r\nm=audio 0 RTP/AVP 0\r\n", True),
        ("m=audio 4000/2 RTP/AVP 0\r\n", False),
        ("m=video 4002 RTP/SAVP 96\r\n", False),
        ("", False),
    ],
)
def test_an_offer_wants_srtp_when_no_line_goes_without(lines: str, *, wanted: bool) -> None:
    assert ("SRTP" in obstacle(HEAD + lines)) is wanted


@pytest.mark.parametrize(
    ("session", "lines", "is_ipv6"),
    [
        ("c=IN IP6 2001:db8::1\r\n", "m=audio 4000 RTP/AVP 0\r\n", True),
        ("", "m=audio 4000 RTP/AVP 0\r\nc=IN IP6 2001:db8::1\r\n", True),
        ("c=IN IP6 2001:db8::1\r\n", "m=audio 4000 RTP/AVP 0\r\nc=IN IP4 192.0.2.1\r\n", False),
        ("c=IN IP4 192.0.2.1\r\n", "m=audio 4000 RTP/AVP 0\r\nc=IN IP6 2001:db8::1\r\n", True),
        ("c=IN IP4 192.0.2.1\r\n", "m=audio 4000 RTP/AVP 0\r\n", False),
        ("c=IN IP6 2001:db8::1\r\n", "m=audio 0 RTP/AVP 0\r\n", False),
        ("", "", False),
    ],
)
def test_an_offer_whose_every_line_is_ipv6(session: str, lines: str, *, is_ipv6: bool) -> None:
    assert ("IPv6" in obstacle(f"v=0\r\ns=-\r\n{session}t=0 0\r\n{lines}")) is is_ipv6


def test_lines_that_fail_for_different_reasons() -> None:
    secure, ipv6 = "m=audio 4000 RTP/SAVP 0\r\n", "m=audio 4002 RTP/AVP 0\r\nc=IN IP6 2001:db8::1\r\n"
    for lines in (secure + ipv6, ipv6 + secure):
        said = obstacle(f"v=0\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n{lines}")
        assert "SRTP" in said
        assert "IPv6" in said
