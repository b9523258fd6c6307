"""Durations, hosts, ports and their kin."""

from __future__ import annotations

import ipaddress

import pytest
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from gateway.settings.values import (
    HostPort,
    Milliseconds,
    PortRange,
    Ports,
    PositiveSeconds,
    Seconds,
    Source,
    Text,
    duration_ms,
    host_port,
    hostname,
    port,
)


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("120ms", 120), ("5s", 5000), ("1.5s", 1500), ("30m", 1_800_000), ("4h", 14_400_000), ("0s", 0)],
)
def test_duration(text: str, milliseconds: float) -> None:
    assert duration_ms(text) == milliseconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "5 s",
        "5 minutes",
        "-5s",
        "s",
        "1e3s",
        "\N{ARABIC-INDIC DIGIT FIVE}s",
        "169h",
        "9999999999s",
        "nan",
        "5S",
    ],
)
def test_no_duration(text: str) -> None:
    with pytest.raises(PydanticCustomError):
        duration_ms(text)


def test_duration_types() -> None:
    assert TypeAdapter(Seconds).validate_python("250ms") == 0.25
    assert TypeAdapter(Milliseconds).validate_python("0.5s") == 500
    for kind, text in ((PositiveSeconds, "0s"), (Milliseconds, "1.5ms"), (Seconds, ["5s"])):
        with pytest.raises(ValidationError):
            TypeAdapter(kind).validate_python(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sip.example.com", HostPort("sip.example.com")),
        ("SIP.Example.com:5070", HostPort("sip.example.com", 5070)),
        ("sip:192.0.2.1:5060", HostPort("192.0.2.1", 5060)),
        ("[2001:db8::1]:5060", HostPort("2001:db8::1", 5060)),
        ("2001:db8::1", HostPort("2001:db8::1")),
        ("localhost", HostPort("localhost")),
    ],
)
def test_host_port(text: str, expected: HostPort) -> None:
    assert host_port(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":5060",
        "a:0",
        "a:65536",
        "a:b",
        "a b",
        "-a.example",
        "300.1.1.1",
        "[::1",
        "[x]",
        "1:2:3:zz",
        "a..b",
        "ä.example",
    ],
)
def test_no_host_port(text: str) -> None:
    with pytest.raises(PydanticCustomError):
        host_port(text)


def test_host_port_is_printed_as_it_is_dialled() -> None:
    assert str(HostPort("2001:db8::1", 5060)) == "[2001:db8::1]:5060"
    assert str(HostPort("sip.example.com")) == "sip.example.com"


def test_hostname_and_port_limits() -> None:
    assert hostname("a" * 63 + ".example") == "a" * 63 + ".example"
    with pytest.raises(PydanticCustomError):
        hostname("a" * 64 + ".example")
    assert (port("1"), port("65535")) == (1, 65535)


def test_port_range() -> None:
    ports = TypeAdapter(Ports).validate_python("20000-20009")
    assert ports == PortRange(20000, 20009)
    assert ports.calls == 5
    assert str(ports) == "20000-20009"
    for text in ("20000", "20009-20000", "1-70000", "a-b", "5-5"):
        with pytest.raises(ValidationError):
            TypeAdapter(Ports).validate_python(text)


def test_sources_are_networks_or_names() -> None:
    adapter = TypeAdapter(tuple[Source, ...])
    assert adapter.validate_python(["192.0.2.0/24", "192.0.2.1", "2001:db8::1", "sbc.example.com"]) == (
        ipaddress.ip_network("192.0.2.0/24"),
        ipaddress.ip_network("192.0.2.1/32"),
        ipaddress.ip_network("2001:db8::1/128"),
        "sbc.example.com",
    )
    for text in ("192.0.2.1/24", "192.0.2.0/33", "a b", ""):
        with pytest.raises(ValidationError):
            adapter.validate_python([text])


@pytest.mark.parametrize("text", ["a\r\nVia: x", "a\x00", "", "   ", "x" * 2000])
def test_text_cannot_break_out_of_a_header(text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Text).validate_python(text)
