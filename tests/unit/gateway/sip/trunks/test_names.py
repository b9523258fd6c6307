from __future__ import annotations

import asyncio
import ipaddress
from itertools import pairwise
from typing import Self

import pytest
from structlog.testing import capture_logs

from gateway.sip.trunks.names import NameWatch
from gateway.sip.trunks.resolving import Found, NameLookupError, PeerName
from tests.virtual_time import virtual


class Names:
    """A name server whose records a test changes."""

    def __init__(self) -> None:
        self.records: dict[str, tuple[str, ...]] = {}
        self.valid_s = 3600.0
        self.slow_s: dict[str, float] = {}
        self.asked: list[tuple[str, float]] = []

    async def __call__(self, name: PeerName) -> Found:
        self.asked.append((name.host, asyncio.get_running_loop().time()))
        await asyncio.sleep(self.slow_s.get(name.host, 0))
        if name.host not in self.records:
            raise NameLookupError("nobody answers")
        return Found(frozenset(map(ipaddress.ip_network, self.records[name.host])), self.valid_s)

    def when(self, host: str) -> list[float]:
        return [at for name, at in self.asked if name == host]


class Watching:
    """Names of a trunk called `peer`, being watched."""

    def __init__(self, names: Names, *hosts: str) -> None:
        self.changes = 0
        self.watch = NameWatch({"peer": [PeerName(host) for host in hosts]}, names, self._on_change)

    def _on_change(self) -> None:
        self.changes += 1

    @property
    def last(self) -> set[int]:
        """The last numbers of all addresses."""
        return {int(network.network_address) & 0xFF for network in self.watch.networks("peer")}

    async def __aenter__(self) -> Self:
        self._tasks = asyncio.TaskGroup()
        await self._tasks.__aenter__()
        self._watches = self.watch.start(self._tasks)
        return self

    async def __aexit__(self, *error: object) -> None:
        for task in self._watches:
            task.cancel()
        await self._tasks.__aexit__(None, None, None)


@virtual
async def test_a_slow_name_delays_no_other() -> None:
    names = Names()
    names.records = {"a.example": ("192.0.2.1",), "b.example": ("192.0.2.2",)}
    names.slow_s = {"a.example": 60.0}
    async with Watching(names, "a.example", "b.example") as watching:
        await asyncio.sleep(1)
        assert watching.last == {2}
        await asyncio.sleep(60)
        assert watching.last == {1, 2}


@virtual
async def test_an_address_counts_until_none_has_given_it_for_an_hour() -> None:
    names = Names()
    names.records = {"a.example": ("192.0.2.1", "192.0.2.2")}
    async with Watching(names, "a.example") as watching:
        await asyncio.sleep(1)
        names.records = {"a.example": ("192.0.2.2", "192.0.2.3")}
        await asyncio.sleep(600)
        assert watching.last == {1, 2, 3}, "each answer may give some only"
        await asyncio.sleep(3600)
        assert watching.last == {2, 3}
        assert watching.changes == 3


@virtual
async def test_name_servers_that_are_away_make_no_strangers() -> None:
    names = Names()
    names.records = {"a.example": ("192.0.2.1",)}
    async with Watching(names, "a.example") as watching:
        await asyncio.sleep(1)
        names.records = {}
        await asyncio.sleep(100_000)
        assert watching.last == {1}
        names.records = {"a.example": ()}
        await asyncio.sleep(300)
        assert watching.last == set(), "they are back, and know no such name"


@virtual
async def test_a_name_with_ever_new_addresses_has_an_end() -> None:
    names = Names()
    names.valid_s = 0
    async with Watching(names, "a.example") as watching:
        for first in range(0, 2560, 16):
            addresses = (str(ipaddress.ip_address("10.0.0.0") + number) for number in range(first, first + 16))
            names.records = {"a.example": tuple(addresses)}
            await asyncio.sleep(30)
        assert len(watching.watch.networks("peer")) <= 256
        assert ipaddress.ip_network("10.0.9.240") in watching.watch.networks("peer")


@pytest.mark.parametrize(("valid_s", "every_s"), [(0.0, 30), (60.0, 60), (86400.0, 300)])
def test_records_are_kept_as_long_as_they_say_within_bounds(valid_s: float, every_s: float) -> None:
    @virtual
    async def main() -> None:
        names = Names()
        names.records, names.valid_s = {"a.example": ("192.0.2.1",)}, valid_s
        async with Watching(names, "a.example"):
            await asyncio.sleep(1000)
            steps = [later - before for before, later in pairwise(names.when("a.example"))]
            assert steps == pytest.approx([every_s] * len(steps), abs=0.1)

    main()


def test_a_name_that_was_not_found_is_looked_up_again_soon_and_told_of_once() -> None:
    names = Names()

    @virtual
    async def main() -> None:
        began = asyncio.get_running_loop().time()
        async with Watching(names, "a.example") as watching:
            await asyncio.sleep(20)
            assert [at - began for at in names.when("a.example")] == pytest.approx([0, 2, 6, 14], abs=0.5)
            names.records = {"a.example": ("192.0.2.1",)}
            await asyncio.sleep(20)
            assert watching.last == {1}
            names.records = {}
            await asyncio.sleep(3000)
            assert watching.last == {1}
            asked = names.when("a.example")
            assert max(later - before for before, later in pairwise(asked)) < 301

    with capture_logs() as logs:
        main()
    told = [(line["log_level"], line["event"], line.get("why"), line.get("keeps")) for line in logs]
    assert told == [
        ("warning", "trunk.source_unresolved", "nobody answers", []),
        ("info", "trunk.source_resolved", None, None),
        ("warning", "trunk.source_unresolved", "nobody answers", ["192.0.2.1/32"]),
    ]
