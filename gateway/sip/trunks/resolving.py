"""Looks up the addresses of a SIP peer's name (RFC 3263 section 4) with a deadline.

PJSIP itself resolves the names that it sends to. This module finds the hosts whose requests belong to a trunk: every
address in the name's SRV, A and AAAA records counts, whether it is in use or not.
"""

from __future__ import annotations

import asyncio
import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import dns.asyncresolver
import dns.exception
import dns.rdatatype
import dns.resolver
from dns.nameserver import Do53Nameserver

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dns.rdataset import Rdataset

    from gateway.settings.values import Network

DEADLINE_S = 5.0
_AT_ONCE = 16
_MAX_TARGETS = 16
"""The most servers that are used from one SRV record set; the rest are ignored."""
_HOSTS = Path("/etc/hosts")
_FOREVER_S = 3600.0
_NO_SUCH = (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer)


@dataclass(frozen=True, slots=True)
class PeerName:
    """The name of a peer or a source in the settings."""

    host: str
    transport: str | None = None
    """ "udp" or "tcp" to look up SRV records; None for a source, or if the settings give a port (section 4.2)."""


@dataclass(frozen=True, slots=True)
class Found:
    """The result of a look-up."""

    networks: frozenset[Network]
    """Networks of one address each; empty if there is no such name."""
    valid_s: float
    """How long the records may be kept, in seconds."""


class NameLookupError(Exception):
    """The name servers did not answer, or their answer does not say whether the name exists."""


class Resolver(Protocol):
    """Looks up names."""

    async def __call__(self, name: PeerName) -> Found:
        """The addresses of the name.

        Raises:
            NameLookupError: the look-up failed.
        """


class SystemResolver:
    """Asks /etc/hosts, then name servers. For the asyncio thread only."""

    def __init__(self, servers: Sequence[tuple[str, int]] = (), hosts: Path = _HOSTS) -> None:
        """`servers` by address and port; if it is empty, those of /etc/resolv.conf are asked."""
        self._servers = [Do53Nameserver(address, port) for address, port in servers]
        self._hosts = hosts
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def __call__(self, name: PeerName) -> Found:
        """The addresses of the name in /etc/hosts, or else in its SRV, A and AAAA records.

        Raises:
            NameLookupError: no name server answered within five seconds, or the answer was an error.
        """
        own = in_hosts(self._hosts, name.host)
        if own:
            return Found(frozenset(own), _FOREVER_S)
        try:
            async with self._places, asyncio.timeout(DEADLINE_S):
                return await self._ask(name)
        except TimeoutError:
            raise NameLookupError(f"no name server answered within {DEADLINE_S:g} s") from None
        except dns.exception.DNSException as error:
            raise NameLookupError(str(error) or type(error).__name__) from None
        except OSError as error:
            raise NameLookupError(f"the name servers cannot be reached: {error.strerror}") from None

    async def _ask(self, name: PeerName) -> Found:
        ask = _Questions(self._resolver())
        addresses = ask.addresses(name.host)
        if name.transport is None:
            return _found([await addresses])
        direct, servers = await asyncio.gather(addresses, ask.servers(name.host, name.transport))
        targets = sorted({str(server.target) for server in servers or ()} - {"."})[:_MAX_TARGETS]
        behind = await asyncio.gather(*(ask.addresses(target) for target in targets))
        return _found([direct, *behind], servers)

    def _resolver(self) -> dns.asyncresolver.Resolver:
        """A new resolver each time: the system's name servers change when its network changes."""
        resolver = dns.asyncresolver.Resolver(configure=not self._servers)
        resolver.lifetime = DEADLINE_S
        if self._servers:
            resolver.nameservers = list(self._servers)
        return resolver


class _Questions:
    """The queries for one name. If a name or record does not exist, that is an answer, and empty."""

    def __init__(self, resolver: dns.asyncresolver.Resolver) -> None:
        self._resolver = resolver

    async def servers(self, host: str, transport: str) -> Rdataset | None:
        """The SRV records."""
        return await self._records(f"_sip._{transport}.{host}", dns.rdatatype.SRV, search="." not in host)

    async def addresses(self, host: str) -> list[Rdataset | None]:
        """The A and AAAA records. If the AAAA query fails, A still counts: not all name servers know AAAA."""
        search = "." not in host
        v4, v6 = await asyncio.gather(
            self._records(host, dns.rdatatype.A, search=search),
            self._records(host, dns.rdatatype.AAAA, search=search),
            return_exceptions=True,
        )
        if isinstance(v4, BaseException):
            raise v4
        return [v4, None if isinstance(v6, BaseException) else v6]

    async def _records(self, name: str, kind: dns.rdatatype.RdataType, *, search: bool) -> Rdataset | None:
        try:
            answer = await self._resolver.resolve(name, kind, search=search)
        except _NO_SUCH:
            return None
        return answer.rrset


def _found(addresses: Iterable[Sequence[Rdataset | None]], servers: Rdataset | None = None) -> Found:
    records = [one for both in addresses for one in both if one is not None]
    found = {ipaddress.ip_network(str(record.address)) for one in records for record in one}
    usable = {network for network in found if not (network.is_unspecified or network.is_multicast)}
    kept = [*records, *([servers] if servers is not None else [])]
    return Found(frozenset(usable), min((float(one.ttl) for one in kept), default=_FOREVER_S))


def in_hosts(path: Path, name: str) -> tuple[Network, ...]:
    """The addresses of a name in /etc/hosts (hosts(5)), in the file's order; name servers may not know them."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return ()
    found = []
    for line in lines:
        address, *names = line.partition("#")[0].lower().split() or [""]
        if name.lower().rstrip(".") in names:
            try:
                found.append(ipaddress.ip_network(address))
            except ValueError:
                continue
    return tuple(found)
