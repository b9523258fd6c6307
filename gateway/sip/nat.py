"""Who is behind NAT, as a pure core: where requests within a call go when its Contact may lead nowhere.

RFC 3581 sends answers to the address that a request came from; for what we ask in a call there is no such rule but
RFC 5626, which few telephones speak. Asterisk and Kamailio do the same under names of their own.
"""

from __future__ import annotations

import ipaddress
from typing import Literal, TypeAlias

BehindNat: TypeAlias = Literal["auto", "always", "never"]

_PRIVATE = tuple(
    ipaddress.ip_network(network)
    for network in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",  # RFC 1918
        "100.64.0.0/10",  # RFC 6598: between a carrier and its customers
        "169.254.0.0/16",  # RFC 3927
        "127.0.0.0/8",
    )
)


def goes_to_source(next_hop: str, source: str, mode: BehindNat) -> bool:
    """Whether requests in a call go to the address that its INVITE came from, and not to `next_hop`.

    `next_hop` is the host of its Record-Route or else of its Contact. `auto` is where that is private and the source
    is not: from here it cannot be reached, or it is somebody else.
    """
    if mode != "auto":
        return mode == "always"
    return is_private(next_hop) and not is_private(source)


def is_private(host: str) -> bool:
    """Whether this IPv4 address means another host elsewhere: one behind a NAT, or in a network of one's own."""
    try:
        address = ipaddress.IPv4Address(host)
    except ValueError:
        return False  # a name
    return any(address in network for network in _PRIVATE)
