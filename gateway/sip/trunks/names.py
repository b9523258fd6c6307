"""Looks up the names of trunks' hosts repeatedly, each one separately: a slow one does not delay others."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from gateway.sip.registration import Patience
from gateway.sip.trunks.resolving import NameLookupError, PeerName, Resolver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from gateway.settings.values import Network

_log = structlog.get_logger("trunks")

_AT_MOST_EVERY_S, _AT_LEAST_EVERY_S = 30.0, 300.0
"""Records are kept for their time to live, within these limits in seconds."""
_RETRY = Patience(2.0, _AT_LEAST_EVERY_S)
"""Waiting times after a failed look-up: a trunk whose hosts are not known yet gets no calls."""
_FORGET_S = 3600.0
"""An answer may have only some of a name's addresses: an address counts until no answer had it for an hour."""
_MAX_ADDRESSES = 256


@dataclass(slots=True)
class _Watched:
    trunk: str
    name: PeerName
    seen: dict[Network, float] = field(default_factory=dict)
    """When an answer last had each address, in the loop's time."""
    failures: int = 0


class NameWatch:
    """Keeps the addresses behind names. For the asyncio thread only."""

    def __init__(
        self, names: Mapping[str, Iterable[PeerName]], resolve: Resolver, on_change: Callable[[], None]
    ) -> None:
        """`names` by trunk; `on_change` is called when any trunk's addresses have changed."""
        self._watched = [_Watched(trunk, name) for trunk, its in names.items() for name in its]
        self._resolve = resolve
        self._on_change = on_change

    def networks(self, trunk: str) -> frozenset[Network]:
        """The addresses of the trunk's names, as far as is known."""
        return frozenset(network for one in self._watched if one.trunk == trunk for network in one.seen)

    def start(self, tasks: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """Start. The tasks run until they are cancelled."""
        return [
            tasks.create_task(self._watch(one), name=f"trunk-name:{one.trunk}:{one.name.host}") for one in self._watched
        ]

    async def _watch(self, one: _Watched) -> None:
        while True:
            again_s = await self._look_up(one)
            await asyncio.sleep(again_s)

    async def _look_up(self, one: _Watched) -> float:
        """Look up the name once; returns the time until the next look-up, in seconds."""
        before = frozenset(one.seen)
        try:
            found = await self._resolve(one.name)
            why = "" if found.networks else "there is no such name"
            self._note(one, found.networks)
        except NameLookupError as error:  # addresses are kept: without name servers, trunks must not become strangers
            why = str(error)
        if frozenset(one.seen) != before:
            self._on_change()
        if why:
            one.failures += 1
            if one.failures == 1:
                keeps = sorted(map(str, one.seen))
                _log.warning("trunk.source_unresolved", trunk=one.trunk, source=one.name.host, why=why, keeps=keeps)
            return _RETRY.backoff_s(one.failures)
        if one.failures:
            _log.info("trunk.source_resolved", trunk=one.trunk, source=one.name.host)
        one.failures = 0
        return min(max(found.valid_s, _AT_MOST_EVERY_S), _AT_LEAST_EVERY_S)

    @staticmethod
    def _note(one: _Watched, given: frozenset[Network]) -> None:
        now = asyncio.get_running_loop().time()
        one.seen |= dict.fromkeys(given, now)
        newest = sorted(one.seen.items(), key=lambda item: item[1], reverse=True)[:_MAX_ADDRESSES]
        one.seen = {network: at for network, at in newest if now - at < _FORGET_S}
