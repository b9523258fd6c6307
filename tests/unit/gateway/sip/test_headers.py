import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sip.headers import has_description, parse_headers, request_uri, requires, retry_after_s

INVITE = (
    "INVITE sip:+15550100@192.0.2.1;line=ab SIP/2.0\r\n"
    "v: SIP/2.0/UDP 192.0.2.9\r\n"
    "Via: SIP/2.0/UDP 192.0.2.8\r\n"
    "X-Folded: one\r\n two\r\n"
    "X-Empty:\r\n"
    "not a header\r\n"
    "To: <sip:+15550100@192.0.2.1>\r\n"
    "\r\n"
    "X-Body: none of ours\r\n"
)


def test_fields_are_kept_in_order_and_short_names_are_written_out() -> None:
    headers = parse_headers(INVITE)
    assert "v" not in headers
    assert headers["via"] == ("SIP/2.0/UDP 192.0.2.9", "SIP/2.0/UDP 192.0.2.8")
    assert headers["to"] == ("<sip:+15550100@192.0.2.1>",)


def test_folded_lines_are_joined_and_empty_values_kept() -> None:
    headers = parse_headers(INVITE)
    assert headers["x-folded"] == ("one two",)
    assert headers["x-empty"] == ("",)


@pytest.mark.parametrize("end", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\r"])
def test_only_a_line_end_of_sip_begins_a_header(end: str) -> None:
    name = f'"x{end}P-Asserted-Identity: <sip:boss@x>" <sip:a@x>'
    headers = parse_headers(
        f"INVITE sip:x SIP/2.0\r\nFrom: {name}\r\nP-Asserted-Identity{end}: <sip:c@x>\r\nTo: b\r\n\r\n"
    )
    assert headers["from"] == (name,)
    assert headers["to"] == ("b",)
    assert "p-asserted-identity" not in headers


def test_lines_may_end_without_carriage_return() -> None:
    assert parse_headers("INVITE sip:x SIP/2.0\nTo: b\n c\n\nX-Body: no\n") == {"to": ("b c",)}


def test_the_body_is_not_read() -> None:
    assert "x-body" not in parse_headers(INVITE)


def test_the_request_uri() -> None:
    assert request_uri(INVITE) == "sip:+15550100@192.0.2.1;line=ab"
    assert request_uri("SIP/2.0 200") == ""
    assert request_uri("INVITE sip:600@192.0.2.1 SIP/2.0\nTo: b\n\n") == "sip:600@192.0.2.1"


@pytest.mark.parametrize(
    "line", ["INVITE  sip:600@x SIP/2.0", "INVITE sip:600@x\tSIP/2.0 ", " \tINVITE sip:600@x   SIP/2.0"]
)
def test_more_spaces_in_a_request_line_hide_no_number(line: str) -> None:
    """PJSIP takes it for a call."""
    assert request_uri(f"{line}\r\nTo: b\r\n\r\n") == "sip:600@x"


def test_what_only_looks_like_a_space_is_part_of_a_uri() -> None:
    assert request_uri("INVITE sip:6\u00a000@x SIP/2.0\r\n") == "sip:6\u00a000@x"


SDP = "v=0\r\ns=-\r\n"
ISUP = "--x\r\nContent-Type: application/isup;version=itu-t92+\r\n\r\n\x01\r\n"


@pytest.mark.parametrize(
    ("head", "content", "is_offer"),
    [
        ("Content-Type: application/sdp", SDP, True),
        ("c:Application/SDP ; charset=utf-8", SDP, True),
        ("Content-Type: application/sdp", "", False),
        ("Content-Type: application/sdp", "\r\n", False),
        ("Subject: none", "", False),
        ("Content-Type: application/isup", "\x01\x02", False),
        ("Content-Type: multipart/mixed;boundary=x", ISUP + "--x--\r\n", False),
        ("Content-Type: multipart/mixed;boundary=x", f"{ISUP}--x\r\nc: application/sdp\r\n\r\n{SDP}--x--", True),
    ],
)
def test_a_description_is_a_body_and_not_only_announced(head: str, content: str, *, is_offer: bool) -> None:
    message = f"INVITE sip:x SIP/2.0\r\n{head}\r\n\r\n{content}"
    assert has_description(message, parse_headers(message)) is is_offer


def test_retry_after() -> None:
    assert retry_after_s({"retry-after": ("18 (in a meeting);duration=60",)}) == 18
    assert retry_after_s({"retry-after": ("soon",)}) is None
    assert retry_after_s({}) is None


def test_what_is_required() -> None:
    headers = {"require": ("timer", "Path, 100REL ,x")}
    assert requires(headers, "100rel")
    assert not requires(headers, "rel")
    assert not requires({}, "100rel")


@given(st.text())
def test_no_text_breaks_the_reader(text: str) -> None:
    headers = parse_headers("OPTIONS sip:x SIP/2.0\r\n" + text)
    assert sum(len(values) for values in headers.values()) <= 200
    retry_after_s(headers)
    request_uri(text)
    has_description(text, headers)
    requires(headers, "100rel")


def test_bytes_that_are_no_utf_8_are_shown_as_such_and_can_be_encoded() -> None:
    message = b'INVITE sip:6\xff0@h SIP/2.0\r\nFrom: "J\xc3\xb6rg \xe4" <sip:a@b>\r\n\r\n'.decode(
        "utf-8", "surrogateescape"
    )
    assert request_uri(message) == "sip:6?0@h"
    assert parse_headers(message)["from"] == ('"J\u00f6rg ?" <sip:a@b>',)
