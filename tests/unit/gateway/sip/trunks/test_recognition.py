import ipaddress

import pytest

from gateway.sip.trunks.recognition import Recognition, known

CARRIER, PEER = "192.0.2.10", "198.51.100.77"


def networks(*texts: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    return [ipaddress.ip_network(text) for text in texts]


ONE_EACH = Recognition(
    [
        known("carrier", "alice", "0123456789abcdef", networks(CARRIER)),
        known("peer", None, "fedcba9876543210", networks("198.51.100.0/24", "2001:db8::/32")),
    ]
)
AT_ONE_CARRIER = Recognition(
    [
        known("first", "alice", "0123456789abcdef", networks(CARRIER)),
        known("second", "bob", "fedcba9876543210", networks(CARRIER)),
    ]
)


@pytest.mark.parametrize(
    ("source", "trunk"),
    [(PEER, "peer"), ("2001:db8::1", "peer"), (CARRIER, "carrier"), ("192.0.2.11", None), ("", None), ("x", None)],
)
def test_a_call_is_known_by_where_it_came_from(source: str, trunk: str | None) -> None:
    assert ONE_EACH.trunk_of(source, "sip:600@192.0.2.1", "") == trunk


@pytest.mark.parametrize("source", [PEER, "203.0.113.1"])
@pytest.mark.parametrize("uri", ["sip:alice@192.0.2.10", "sip:alice@192.0.2.1;line=0123456789abcdef;ob"])
def test_nothing_that_a_caller_writes_makes_it_come_over_a_trunk(source: str, uri: str) -> None:
    assert ONE_EACH.trunk_of(source, uri, "<sip:alice@192.0.2.10>") != "carrier"


@pytest.mark.parametrize(
    ("request_uri", "to", "trunk"),
    [
        ("sip:alice@192.0.2.1;line=fedcba9876543210;ob", "<sip:alice@192.0.2.1>", "second"),
        ("sip:bob@192.0.2.1;line=00", "<sip:alice@192.0.2.1>", "second"),
        ("sip:bob@192.0.2.1", "<sip:alice@192.0.2.1>", "second"),
        ("sip:+15550100@192.0.2.1", "<sip:bob@192.0.2.1>", "second"),
        ("sip:alice@192.0.2.1", "<sip:+15550100@192.0.2.1>", "first"),
        ("sip:+15550100@192.0.2.1", "<sip:+15550100@192.0.2.1>", "first"),
        ("sip:192.0.2.1", "", "first"),
    ],
)
def test_of_two_trunks_at_one_carrier_it_is_the_one_whose_line_or_user_is_called(
    request_uri: str, to: str, trunk: str
) -> None:
    assert AT_ONE_CARRIER.trunk_of(CARRIER, request_uri, to) == trunk


@pytest.mark.parametrize(
    ("trunk", "ip", "its"),
    [
        ("peer", "198.51.100.1", True),
        ("peer", CARRIER, False),
        ("carrier", CARRIER, True),
        ("carrier", "", False),
        ("nobody", CARRIER, False),
    ],
)
def test_hosts(trunk: str, ip: str, its: bool) -> None:
    assert ONE_EACH.is_host(trunk, ip) is its


def test_the_networks_of_ipv4_are_told_to_the_engine() -> None:
    assert ONE_EACH.networks() == [(CARRIER, 32), ("198.51.100.0", 24)]
    assert AT_ONE_CARRIER.networks() == [(CARRIER, 32)]
