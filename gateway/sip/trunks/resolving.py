"""The addresses behind a SIP peer's name (RFC 3263 section 4), asked of the system's name servers with a deadline.

PJSIP resolves for itself where it sends. Here it is about whose requests are a trunk's: every address that the name's
SRV and address records give counts, whichever of them is in use.
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
"""More servers than that in one SRV record set are not looked at."""
_HOSTS = Path("/etc/hosts")
_FOREVER_S = 3600.0
_NO_SUCH = (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer)


@dataclass(frozen=True, slots=True)
class PeerName:
    """What the settings say of a peer or a source."""

    host: str
    transport: str | None = None
    """ "udp" or "tcp" where SRV records are to be asked for; None where the settings name a port (section 4.2)."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a name was resolved to."""

    networks: frozenset[Network]
    """Networks of one address each; none where there is no such name."""
    valid_s: float
    """How long the records may be kept."""


class NameLookupError(Exception):
    """The name servers did not answer, or not in a way that says what is and what is not."""


class Resolver(Protocol):
    """Looks names up."""

    async def __call__(self, name: PeerName) -> Found:
        """What stands behind the name.

        Raises:
            NameLookupError: nobody can say.
        """


class SystemResolver:
    """Asks /etc/hosts, then name servers. For the asyncio thread only."""

    def __init__(self, servers: Sequence[tuple[str, int]] = (), hosts: Path = _HOSTS) -> None:
        """`servers` by address and port; without any, those of /etc/resolv.conf are asked."""
        self._servers = [Do53Nameserver(address, port) for address, port in servers]
        self._hosts = hosts
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def __call__(self, name: PeerName) -> Found:
        """What /etc/hosts says of the name, or else its SRV, A and AAAA records.

        Raises:
            NameLookupError: no name server has answered within five seconds, or they have with an error.
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
        """Made anew each time: the system's name servers change when its network does."""
        resolver = dns.asyncresolver.Resolver(configure=not self._servers)
        resolver.lifetime = DEADLINE_S
        if self._servers:
            resolver.nameservers = list(self._servers)
        return resolver


class _Questions:
    """One name's questions to the name servers. "No such thing" is an answer, and empty."""

    def __init__(self, resolver: dns.asyncresolver.Resolver) -> None:
        self._resolver = resolver

    async def servers(self, host: str, transport: str) -> Rdataset | None:
        """The SRV records."""
        return await self._records(f"_sip._{transport}.{host}", dns.rdatatype.SRV, search="." not in host)

    async def addresses(self, host: str) -> list[Rdataset | None]:
        """The A and AAAA records. A name server that fails on AAAA is no reason to forget A: not all know it."""
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
    """The addresses of a name in /etc/hosts (hosts(5)), in its order; a name server may not know them."""
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
