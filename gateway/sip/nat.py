"""Peers behind NAT, as a pure core: where requests within a call go if its Contact may be unreachable.

RFC 3581 sends responses to the source address of the request. For our own requests in a call, the only such rule is RFC
5626, which few telephones support. Asterisk and Kamailio have the same option under other names.
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

    `next_hop` is the host of the INVITE's Record-Route, or else of its Contact. With `auto`, requests go to the source
    if `next_hop` is private and the source is not: then `next_hop` is unreachable from here, or is another host.
    """
    if mode != "auto":
        return mode == "always"
    return is_private(next_hop) and not is_private(source)


def is_private(host: str) -> bool:
    """Whether this IPv4 address is valid only in one network, such as behind a NAT, and is another host elsewhere."""
    try:
        address = ipaddress.IPv4Address(host)
    except ValueError:
        return False  # a name
    return any(address in network for network in _PRIVATE)
