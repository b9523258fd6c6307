"""Names of SIP peers, looked up at a real DNS server on loopback."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
import uvloop

from gateway.sip.trunks import resolving
from gateway.sip.trunks.resolving import Found, NameLookupError, PeerName, SystemResolver
from tests.dns_server import DnsServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RECORDS = {
    ("_sip._udp.carrier.example.", "SRV"): ["10 60 5060 a.carrier.example.", "20 0 5080 b.carrier.example."],
    ("_sip._tcp.carrier.example.", "SRV"): ["10 60 5060 c.carrier.example."],
    ("carrier.example.", "A"): ["192.0.2.1"],
    ("a.carrier.example.", "A"): ["192.0.2.10", "192.0.2.11"],
    ("b.carrier.example.", "A"): ["192.0.2.20"],
    ("b.carrier.example.", "AAAA"): ["2001:db8::20"],
    ("c.carrier.example.", "A"): ["192.0.2.30"],
    ("_sip._udp.only.example.", "SRV"): ["10 60 5060 a.carrier.example."],
    ("_sip._udp.none.example.", "SRV"): ["0 0 0 ."],
    ("blocked.example.", "A"): ["0.0.0.0", "224.0.0.1"],
    ("alias.example.", "CNAME"): ["a.carrier.example."],
    ("mail.example.", "MX"): ["10 mail.example."],
}


@pytest.fixture
def server() -> Iterator[DnsServer]:
    with DnsServer(dict(RECORDS)) as running:
        yield running


def look_up(server: DnsServer, name: PeerName, hosts: Path | None = None) -> Found:
    async def main() -> Found:
        resolver = SystemResolver([server.address]) if hosts is None else SystemResolver([server.address], hosts)
        return await resolver(name)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())


def addresses(found: Found) -> set[str]:
    return {str(network.network_address) for network in found.networks}


@pytest.mark.parametrize(
    ("name", "found"),
    [
        (PeerName("carrier.example", "udp"), {"192.0.2.1", "192.0.2.10", "192.0.2.11", "192.0.2.20", "2001:db8::20"}),
        (PeerName("carrier.example", "tcp"), {"192.0.2.1", "192.0.2.30"}),
        (PeerName("carrier.example"), {"192.0.2.1"}),
        (PeerName("only.example", "udp"), {"192.0.2.10", "192.0.2.11"}),
        (PeerName("none.example", "udp"), set()),
        (PeerName("nothing.example", "udp"), set()),
        (PeerName("mail.example", "udp"), set()),
        (PeerName("blocked.example"), set()),
    ],
)
def test_a_name_is_all_that_its_records_give(name: PeerName, found: set[str], server: DnsServer) -> None:
    assert addresses(look_up(server, name)) == found


def test_the_shortest_time_to_live_counts(server: DnsServer) -> None:
    server.ttl_s = 42
    assert look_up(server, PeerName("carrier.example", "udp")).valid_s == 42


@pytest.mark.parametrize("kind", ["A", "SRV", "a.carrier.example."])
def test_a_failure_is_no_answer(kind: str, server: DnsServer) -> None:
    """An answer that lacks something would make its hosts strangers, in time."""
    server.failing.add(kind)
    with pytest.raises(NameLookupError):
        look_up(server, PeerName("carrier.example", "udp"))


def test_name_servers_that_do_not_know_of_ipv6_will_do(server: DnsServer) -> None:
    server.failing.add("AAAA")
    assert addresses(look_up(server, PeerName("a.carrier.example"))) == {"192.0.2.10", "192.0.2.11"}


def test_silence_has_an_end_and_delays_nobody_else(server: DnsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolving, "DEADLINE_S", 1.5)
    server.silent.add("a.carrier.example.")

    async def main() -> tuple[Found, float]:
        resolver = SystemResolver([server.address])
        slow = [asyncio.create_task(resolver(PeerName("a.carrier.example"))) for _ in range(8)]
        await asyncio.sleep(0)
        found = await resolver(PeerName("b.carrier.example"))
        assert not any(task.done() for task in slow)
        began = time.monotonic()
        failures = await asyncio.gather(*slow, return_exceptions=True)
        assert all(isinstance(failure, NameLookupError) for failure in failures)
        return found, time.monotonic() - began

    found, waited_s = asyncio.run(main())
    assert addresses(found) == {"192.0.2.20", "2001:db8::20"}
    assert waited_s < 5, "they wait beside each other, not one after the other"


@pytest.mark.slow
def test_nobody_there() -> None:
    with DnsServer({}) as gone:
        nowhere = gone.address
    with pytest.raises(NameLookupError):
        asyncio.run(SystemResolver([nowhere])(PeerName("carrier.example")))


def test_what_the_machine_itself_knows_is_not_asked_for(server: DnsServer, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n192.0.2.7\tpbx.example pbx  # ours\nnonsense pbx\n2001:db8::7 PBX\n")
    assert addresses(look_up(server, PeerName("PBX", "udp"), hosts)) == {"192.0.2.7", "2001:db8::7"}
    assert server.asked == []
    assert addresses(look_up(server, PeerName("b.carrier.example"), tmp_path / "none")) == {
        "192.0.2.20",
        "2001:db8::20",
    }
