"""Which calls belong to which trunk: a pure core. The SIP thread uses it; the asyncio thread replaces all of it."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.dialplan import user_part

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gateway.settings.values import Address, Network

_LINE = re.compile(r";line=([0-9a-f]+)")


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one trunk."""

    name: str
    user: str | None
    line: str
    """The `line` parameter of its Contact."""
    addresses: frozenset[Address]
    networks: tuple[Network, ...] = ()

    def has(self, address: Address) -> bool:
        """Whether the address belongs to the trunk."""
        return address in self.addresses or any(address in network for network in self.networks)


class Recognition:
    """All trunks and their hosts at one moment. Immutable."""

    def __init__(self, trunks: Iterable[Known]) -> None:
        self._trunks = tuple(trunks)
        self._by_name = {trunk.name: trunk for trunk in self._trunks}

    def trunk_of(self, source_ip: str, request_uri: str, to: str) -> str | None:
        """The trunk that an INVITE came over: one with the source among its hosts; None if there is none.

        Only the source proves it, since the caller writes everything else. If several trunks have this host, it is the
        trunk to whose Contact the INVITE was sent: `line` shows it, if the registrar keeps the Request-URI as
        registered. Else it is the trunk whose user is called, in the Request-URI or in To; else the first one.
        """
        address = _address(source_ip)
        there = [trunk for trunk in self._trunks if address is not None and trunk.has(address)]
        if len(there) > 1:
            line = _LINE.search(request_uri)
            for trunk in there:
                if line is not None and trunk.line == line[1]:
                    return trunk.name
            for called in (user_part(request_uri), user_part(to)):
                for trunk in there:
                    if trunk.user == called:
                        return trunk.name
        return there[0].name if there else None

    def networks(self) -> list[tuple[str, int]]:
        """All hosts of all trunks with IPv4: address, and length of the prefix."""
        single = {(str(address), 32) for trunk in self._trunks for address in trunk.addresses if address.version == 4}
        wide = {
            (str(network.network_address), network.prefixlen)
            for trunk in self._trunks
            for network in trunk.networks
            if network.version == 4
        }
        return sorted(single | wide)

    def is_host(self, trunk: str, ip: str) -> bool:
        """Whether this address is one of the trunk's hosts."""
        address, known = _address(ip), self._by_name.get(trunk)
        return address is not None and known is not None and known.has(address)


def named_by(request_uri: str, lines: Mapping[str, str]) -> str | None:
    """The trunk whose `line` a Request-URI contains. `lines` has each trunk's `line` by the trunk's name."""
    shown = _LINE.search(request_uri)
    return next((name for name, line in lines.items() if shown is not None and shown[1] == line), None)


def known(name: str, user: str | None, line: str, hosts: Iterable[Network]) -> Known:
    """A trunk whose hosts are these networks, of which most are single addresses."""
    networks = tuple(hosts)
    single = frozenset(network.network_address for network in networks if network.num_addresses == 1)
    return Known(name, user, line, single, tuple(network for network in networks if network.num_addresses > 1))


def _address(ip: str) -> Address | None:
    try:
        return ipaddress.ip_address(ip)
    except ValueError:
        return None
