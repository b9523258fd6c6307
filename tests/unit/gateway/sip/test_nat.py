from typing import TYPE_CHECKING

import pytest

from gateway.sip.nat import goes_to_source

if TYPE_CHECKING:
    from gateway.sip.nat import BehindNat


@pytest.mark.parametrize(
    "next_hop", ["10.0.0.5", "172.31.0.1", "192.168.1.20", "100.100.0.1", "169.254.3.4", "127.0.0.1"]
)
def test_a_private_contact_behind_a_public_source(next_hop: str) -> None:
    assert goes_to_source(next_hop, "203.0.113.9", "auto")


@pytest.mark.parametrize(
    ("next_hop", "source"),
    [
        ("192.168.1.20", "192.168.1.20"),
        ("192.168.1.20", "10.0.0.1"),  # a proxy in the same company that steps out of the call
        ("203.0.113.9", "203.0.113.9"),
        ("203.0.113.9", "198.51.100.1"),
        ("172.32.0.1", "203.0.113.9"),
        ("phone.example", "203.0.113.9"),
        ("", "203.0.113.9"),
    ],
)
def test_a_contact_that_may_be_reached(next_hop: str, source: str) -> None:
    assert not goes_to_source(next_hop, source, "auto")


@pytest.mark.parametrize(("mode", "wanted"), [("always", True), ("never", False)])
def test_the_settings_decide(mode: "BehindNat", *, wanted: bool) -> None:
    for next_hop in ("10.0.0.5", "203.0.113.9", "phone.example"):
        assert goes_to_source(next_hop, "203.0.113.9", mode) is wanted
