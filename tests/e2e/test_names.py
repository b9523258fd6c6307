"""Names of SIP peers: nobody waits for a name server, and strangers do not choose where answers go."""

from __future__ import annotations

import socket
import subprocess
import time
from contextlib import ExitStack
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.dns_server import DnsServer
from tests.e2e.gateway_process import GatewayProcess, Json, Object, Setup, to_agent
from tests.e2e.peers.call import Manner
from tests.e2e.peers.caller import Caller
from tests.e2e.peers.process import LOOPBACK, wait_until
from tests.e2e.peers.registrar import Registrar

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUTES: tuple[Object, ...] = (
    {"name": "ends", "match": {"to": "ends"}, "steps": ["answer", {"pause": "100ms"}]},
    to_agent("stays", "echo"),
)
AT_ONCE_S = 1.0
"""Far below what one look-up would hold everybody up for."""
STRANGERS = 90
AT_ONCE = 64
"""How many names of strangers are looked up at once."""
CARRIER = "127.0.0.5"
DEADLINE_S = 3.0
"""After which a name is given up."""


def gateway_on(server: DnsServer, trunks: dict[str, Json] | None = None) -> GatewayProcess:
    return GatewayProcess(Setup(ROUTES, trunks=trunks or {}, sip={"nameservers": ["{}:{}".format(*server.address)]}))


def trunk(registrar: str, **others: Json) -> dict[str, Json]:
    return {"carrier": {"registrar": registrar, "user": "gateway", **others}}


def call_from_slow_names(caller: Caller) -> None:
    """Calls that we hang up, whose Contacts nobody ever says anything of."""
    calls = [
        caller.dial("ends", Manner(contact=f"<sip:caller@s{number}.slow.test:5060>", phone=False))
        for number in range(STRANGERS)
    ]
    for call in calls:
        call.wait_answered()


@pytest.fixture
def silent() -> Iterator[DnsServer]:
    with DnsServer({}) as server:
        server.silent = {"A", "AAAA", "SRV"}
        yield server


def test_an_answer_goes_to_whoever_asked(silent: DnsServer) -> None:
    with gateway_on(silent) as gateway, Caller(gateway.address) as caller:
        for place in ("slow.test", "127.0.0.9"):
            assert caller.request("OPTIONS", "600", via=f";maddr={place}").status == 200
    assert not silent.asked


def test_nobody_waits_for_a_name_server(silent: DnsServer) -> None:
    with gateway_on(silent) as gateway, Caller(gateway.address) as caller:
        began = time.monotonic()
        call_from_slow_names(caller)
        wait_until(lambda: silent.asked, "a look-up", 10)
        slowest_s, end = 0.0, time.monotonic() + 2
        while time.monotonic() < end:
            sent = time.monotonic()
            assert caller.request("OPTIONS", "600").status == 200
            slowest_s = max(slowest_s, time.monotonic() - sent)
        assert slowest_s < AT_ONCE_S
        rounds = 1 + int((time.monotonic() - began) / DEADLINE_S)
        assert len(set(silent.asked)) <= AT_ONCE * rounds


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Where a Contact leads over TCP."""
    with socket.create_server((LOOPBACK, 0)) as one:
        one.setblocking(False)
        yield one


@pytest.mark.parametrize("host", [LOOPBACK, CARRIER], ids=["strangers", "trunks"])
def test_a_name_that_is_called_over_tcp_is_not_asked_of_the_system(host: str, listener: socket.socket) -> None:
    """This machine knows `localhost`; the name server that is to be asked does not."""
    with ExitStack() as stack:
        registrar = stack.enter_context(Registrar("tcp", 300, host=CARRIER))
        server = stack.enter_context(DnsServer({}))
        gateway = stack.enter_context(gateway_on(server, trunk(registrar.address, transport="tcp")))
        gateway.wait_trunk("registered")
        caller = stack.enter_context(Caller(gateway.address, host))
        call = caller.dial("stays", Manner(contact=f"<sip:caller@localhost:{listener.getsockname()[1]};transport=tcp>"))
        call.wait_answered()
        with pytest.raises(BlockingIOError):
            listener.accept()
        assert call.hangup() == 200


@pytest.mark.parametrize(
    "contact",
    ["sip:caller@255.255.255.255", "sip:caller@240.0.0.1;transport=tcp", "sip:caller@localhost;transport=tcp"],
)
def test_a_call_asks_the_system_for_no_name(tmp_path: Path, contact: str) -> None:
    """Not even for this machine's own, which PJSUA wants to know where no route leads to the Contact."""
    library, asked = tmp_path / "told_lookups.so", tmp_path / "asked"
    build = ["gcc", "-shared", "-fPIC", "-o", str(library), str(Path(__file__).with_name("told_lookups.c")), "-ldl"]
    subprocess.run(build, check=True)
    setup = Setup(ROUTES, environment={"LD_PRELOAD": str(library), "LOOK_UPS": str(asked)})
    with GatewayProcess(setup) as gateway, Caller(gateway.address) as caller:
        caller.dial("ends").wait_ended()
        before = asked.read_text() if asked.exists() else ""
        call = caller.dial("stays", Manner(contact=f"<{contact}>"))
        call.wait_answered()
        assert call.hangup() == 200
        assert (asked.read_text() if asked.exists() else "") == before


def test_nobody_is_connected_to_for_a_stranger_who_is_refused(listener: socket.socket) -> None:
    """Whoever sends an INVITE would have us knock at any door."""
    with DnsServer({}) as server, gateway_on(server) as gateway, Caller(gateway.address) as caller:
        host, port = listener.getsockname()
        call = caller.dial("nobody", Manner(contact=f"<sip:caller@{host}:{port};transport=tcp>"))
        assert call.wait_rejected().status == 404
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_a_name_in_a_contact_is_looked_up() -> None:
    with (
        DnsServer({("phone.test.", "A"): [LOOPBACK]}) as server,
        gateway_on(server) as gateway,
        Caller(gateway.address) as caller,
    ):
        call = caller.dial("ends", Manner(contact=f"<sip:caller@phone.test:{caller.address[1]}>"))
        call.wait_ended()
        assert call.ended_by == "them"
        assert server.asked == [("phone.test.", "A")]


def test_a_trunk_is_found_while_strangers_ask() -> None:
    with ExitStack() as stack:
        registrar = stack.enter_context(Registrar("udp", 2))
        port = registrar.address.rpartition(":")[2]
        server = stack.enter_context(DnsServer({("carrier.test.", "A"): [LOOPBACK]}))
        server.ttl_s = 1
        server.silent = {f"s{number}.slow.test." for number in range(STRANGERS)}
        gateway = stack.enter_context(gateway_on(server, trunk(f"Carrier.test:{port}")))
        gateway.wait_trunk("registered")
        call_from_slow_names(stack.enter_context(Caller(gateway.address)))
        wait_until(lambda: len([name for name, _ in server.asked if "slow" in name]) >= AT_ONCE, "all places taken", 10)
        before = len([name for name, _ in server.asked if name == "carrier.test."])
        wait_until(
            lambda: len([name for name, _ in server.asked if name == "carrier.test."]) > before, "another look-up", 10
        )
        assert gateway.trunk()["state"] == "registered"


def test_a_carriers_call_is_hung_up_while_strangers_ask() -> None:
    """Its proxy is known by a name alone, and no place is left for the names that strangers write."""
    with ExitStack() as stack:
        server = stack.enter_context(DnsServer({("proxy.carrier.test.", "A"): [CARRIER]}))
        server.silent = {f"s{number}.slow.test." for number in range(STRANGERS)}
        peer: dict[str, Json] = {"carrier": {"register": False, "sources": [CARRIER]}}
        gateway = stack.enter_context(gateway_on(server, peer))
        carrier = stack.enter_context(Caller(gateway.address, CARRIER))
        stranger = stack.enter_context(Caller(gateway.address))
        route = {"Record-Route": f"<sip:Proxy.carrier.test:{carrier.address[1]};lr>"}
        call_from_slow_names(stranger)
        wait_until(lambda: len(set(server.asked)) >= AT_ONCE, "all places taken", 10)
        call = carrier.dial("ends", Manner(headers=route))
        call.wait_ended()
        assert call.ended_by == "them"
        assert ("proxy.carrier.test.", "A") in server.asked


def test_one_look_up_that_finds_nothing_is_one_failure() -> None:
    with DnsServer({}) as server, gateway_on(server, trunk("carrier.test", retry={"first": "1s"})) as gateway:
        wait_until(lambda: len(gateway.events("trunk.failed")) > 2, "three failures", 20)
        failures = gateway.events("trunk.failed")[:3]
        assert all("no address was found" in str(one["why"]) for one in failures)
        times = [datetime.fromisoformat(str(one["timestamp"])).timestamp() for one in failures]
        waits = [later - earlier for earlier, later in pairwise(times)]
        assert waits[0] > 0.9
        assert waits[1] > 1.9


def test_without_name_servers_a_trunk_on_this_machine_is_found() -> None:
    with Registrar("udp", 300) as registrar:
        port = registrar.address.rpartition(":")[2]
        with GatewayProcess(Setup(ROUTES, trunks=trunk(f"localhost:{port}"), sip={"nameservers": []})) as gateway:
            gateway.wait_trunk("registered")
            with Caller(gateway.address) as caller:
                call = caller.dial("ends", Manner(contact="<sip:caller@phone.test:5060>"))
                call.wait_answered()
                wait_until(lambda: not gateway.number("calls", "live"), "the call is over", 10)
