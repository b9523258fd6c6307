"""Strangers who take more than their share: of memory, of places, of packets."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from typing import TYPE_CHECKING

from tests.e2e.gateway_process import ROUTES, GatewayProcess, Object, Setup
from tests.e2e.peers.call import Manner
from tests.e2e.peers.caller import Caller
from tests.hostile.budget import SECONDS
from tests.hostile.canary import Canary
from tests.hostile.conftest import GROWTH_KB, REFUSED, SANITIZED, sanitized
from tests.hostile.corpus import message

if TYPE_CHECKING:
    from pathlib import Path

BATCH = 50
PLACES = 20
HALF = PLACES // 2
CARRIER, STRANGER = "127.0.0.5", "127.0.0.66"


def test_answers_that_nobody_reads(gateway: GatewayProcess, canary: Canary) -> None:
    """On several connections, as fast as the gateway takes the requests."""
    before_kb = gateway.rss_kb()
    most_kb = number = 0
    until_s = time.monotonic() + SECONDS
    with contextlib.ExitStack() as open_ones:
        deaf = [open_ones.enter_context(connection(gateway)) for _ in range(4)]
        while time.monotonic() < until_s:
            _, writable, _ = select.select([], deaf, [], 0.1)
            for one in writable:
                requests = (
                    message("OPTIONS sip:600@127.0.0.1 SIP/2.0", "OPTIONS", number + i, "TCP") for i in range(BATCH)
                )
                number += BATCH
                try:
                    one.send(b"".join(requests))
                except OSError:  # it is closed, as it should be
                    deaf.remove(one)
                    deaf.append(open_ones.enter_context(connection(gateway)))
            most_kb = max(most_kb, gateway.rss_kb() - before_kb)
    if not SANITIZED:
        assert most_kb < GROWTH_KB, f"memory has grown by {most_kb} kB"


def connection(gateway: GatewayProcess) -> socket.socket:
    """One that takes a few kB of answers and no more."""
    deaf = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1_000)
    deaf.settimeout(2.0)
    deaf.connect(gateway.address)
    deaf.setblocking(False)
    return deaf


def test_strangers_leave_a_carrier_its_places() -> None:
    trunks: Object = {"carrier": {"register": False, "sources": [CARRIER]}}
    with (
        GatewayProcess(Setup(limits={"calls": PLACES}, trunks=trunks, environment=sanitized())) as gateway,
        Caller(gateway.address, host=STRANGER) as stranger,
        Caller(gateway.address, host=CARRIER) as carrier,
    ):
        strangers = [stranger.dial("600") for _ in range(PLACES)]
        assert sorted(call.wait_final().status or 0 for call in strangers) == [200] * HALF + [503] * HALF
        for call in [carrier.dial("600") for _ in range(HALF)]:
            call.wait_answered()
        refused = gateway.wait_event("call.refused")
        assert refused["why"] == "strangers"


def test_requests_that_nobody_acknowledges_leave_a_carrier_its_connections(tmp_path: Path) -> None:
    """Over TCP: a refusal waits for its ACK for 32 s, and its connection cannot be closed before."""
    trunks: Object = {"carrier": {"register": False, "sources": [CARRIER]}}
    limits: Object = {"calls": 1_200, "strangers": 1_100}
    with (
        GatewayProcess(Setup((*ROUTES, REFUSED), limits=limits, trunks=trunks, environment=sanitized())) as gateway,
        Canary(gateway, tmp_path),
        contextlib.ExitStack() as open_ones,
    ):
        for number in range(14 * 64):
            one = open_ones.enter_context(connected(gateway, f"127.0.2.{number // 64 + 1}"))
            one.sendall(message("INVITE sip:refused@127.0.0.1 SIP/2.0", "INVITE", number, "TCP"))
            if number % 8 == 0:
                time.sleep(0.05)  # so that each is accepted
        gateway.wait_event("call.ended")
        assert not gateway.events("call.refused"), "else their connections are not in use"
        for number in range(3):
            with connected(gateway, CARRIER) as carriers:
                assert options(carriers, 10_000 + number).startswith(b"SIP/2.0 200")
        with connected(gateway, "127.0.0.77") as of_another:
            assert options(of_another, 20_000).startswith(b"SIP/2.0 200"), "nor does a stranger with one connection"


def connected(gateway: GatewayProcess, source: str) -> socket.socket:
    return socket.create_connection(gateway.address, 2.0, (source, 0))


def options(connection: socket.socket, number: int) -> bytes:
    """Ask, and return the answer; b"" if the connection was closed."""
    connection.settimeout(3.0)
    try:
        connection.sendall(message("OPTIONS sip:127.0.0.1 SIP/2.0", "OPTIONS", number, "TCP"))
        return connection.recv(4_096)
    except OSError:
        return b""


def test_byes_that_nobody_answers_leave_a_carrier_its_places(tmp_path: Path) -> None:
    """Each occupies a place in PJSIP for half a minute, which no limit of live calls counts."""
    trunks: Object = {"carrier": {"register": False, "sources": [CARRIER]}}
    gone: Object = {"name": "gone", "match": {"to": "gone"}, "steps": ["answer", "hangup"]}
    setup = Setup((*ROUTES, gone), limits={"calls": PLACES}, trunks=trunks, environment=sanitized())
    with (
        GatewayProcess(setup) as gateway,
        Canary(gateway, tmp_path),
        Caller(gateway.address, host=STRANGER) as stranger,
        Caller(gateway.address, host=CARRIER) as carrier,
    ):
        statuses = []
        for _ in range(5 * PLACES):
            call = stranger.dial("gone", Manner(unanswered=("BYE",)))
            statuses.append(call.wait_final().status)
        assert 503 in statuses, "the strangers have used their places up"
        gateway.wait_event("call.refused", why="strangers")
        for _ in range(HALF):
            carrier.dial("gone").wait_answered()


def test_strangers_who_call_too_often_leave_a_carrier_its_part() -> None:
    """More calls than can be set up in a second would make all others wait."""
    trunks: Object = {"carrier": {"register": False, "sources": [CARRIER]}}
    limits: Object = {"calls": 4_000, "strangers": 2_000}
    with (
        GatewayProcess(Setup((REFUSED,), limits=limits, trunks=trunks, environment=sanitized())) as gateway,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger,
        Caller(gateway.address, host=CARRIER) as carrier,
    ):
        stranger.bind((STRANGER, 0))
        for number in range(1_000):
            stranger.sendto(message("INVITE sip:refused@127.0.0.1 SIP/2.0", "INVITE", number, "UDP"), gateway.address)
            time.sleep(0.0005)
        gateway.wait_event("call.refused", why="rate")
        assert carrier.dial("refused").wait_final().status == 404


def test_a_carriers_many_calls_leave_strangers_their_places() -> None:
    trunks: Object = {"carrier": {"register": False, "sources": [CARRIER]}}
    limits: Object = {"calls": PLACES, "strangers": 2}
    with (
        GatewayProcess(Setup(limits=limits, trunks=trunks, environment=sanitized())) as gateway,
        Caller(gateway.address, host=STRANGER) as stranger,
        Caller(gateway.address, host=CARRIER) as carrier,
    ):
        for call in [carrier.dial("600") for _ in range(PLACES - 1)]:
            call.wait_answered()
        stranger.dial("600").wait_answered()
