"""Strangers who take more than their share: of memory, of places, of packets."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from typing import TYPE_CHECKING

from tests.e2e.gateway_process import GatewayProcess, Object, Setup
from tests.e2e.peers.caller import Caller
from tests.hostile.budget import SECONDS
from tests.hostile.conftest import GROWTH_KB, SANITIZED, sanitized
from tests.hostile.corpus import message

if TYPE_CHECKING:
    from tests.hostile.canary import Canary

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
