"""Good messages, and far too many of them."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

import pytest

from tests.e2e.peers.caller import Caller
from tests.e2e.peers.storm import Attempt, Storm
from tests.hostile.budget import SECONDS, rounds
from tests.hostile.conftest import GROWTH_KB
from tests.hostile.corpus import SDP, message

if TYPE_CHECKING:
    from tests.e2e.gateway_process import GatewayProcess
    from tests.hostile.canary import Canary

INVITES_PER_S = 400
REQUESTS_PER_S = 2_000
CONNECTIONS = 1_000
STANDING_S, STANDING_KB_PER_S = 32, 6_000
"""For so long a refusal stands that nobody acknowledges. Of strangers 200 a second are taken, 28 kB each: memory grows
by so much in a longer attack, and is level from then on."""
UNACKNOWLEDGED_KB = GROWTH_KB + STANDING_KB_PER_S * max(0.0, min(SECONDS, STANDING_S) - 5)


@pytest.mark.parametrize("growth_kb", [UNACKNOWLEDGED_KB], ids=["of-strangers"])
def test_calls_without_an_ack(gateway: GatewayProcess, canary: Canary) -> None:
    """Each is answered, and none of them ends anybody else's call: the canary is up at the end."""
    count = round(INVITES_PER_S * SECONDS)
    for _ in range(max(1, count // 2_000)):
        with Storm(gateway.address, "127.0.0.66") as storm:  # it keeps all attempts: in an hour, a million and a half
            done = storm.blow((Attempt("refused", ack=False) for _ in range(min(count, 2_000))), every_s=0.0025)
        statuses = {attempt.answer.status for attempt in done if attempt.answer is not None}
        assert statuses, "nobody was answered"
        assert statuses <= {404, 503}, statuses


@pytest.mark.parametrize("method", ["OPTIONS", "REGISTER", "BYE", "CANCEL", "MESSAGE", "ACK", "SUBSCRIBE"])
def test_requests(gateway: GatewayProcess, canary: Canary, method: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for number in rounds(REQUESTS_PER_S, SECONDS / 4):
            datagram = message(f"{method} sip:600@127.0.0.1 SIP/2.0", method, number, "UDP")
            stranger.sendto(datagram, gateway.address)
    with Caller(gateway.address) as caller:
        assert caller.request("OPTIONS").status == 200


def test_answers_that_nobody_asked_for(gateway: GatewayProcess, canary: Canary) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for number in rounds(REQUESTS_PER_S, SECONDS / 4):
            stranger.sendto(message("SIP/2.0 200 OK", "INVITE", number, "UDP", SDP), gateway.address)


def test_idle_connections(gateway: GatewayProcess, canary: Canary) -> None:
    """They take no place from those who have something to say."""
    with contextlib.ExitStack() as open_ones:
        for number in range(CONNECTIONS):
            idle = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            open_ones.enter_context(contextlib.closing(idle))
            idle.bind((f"127.0.0.{66 + number % 20}", 0))
            idle.settimeout(0.5)
            with contextlib.suppress(OSError):  # refused is as good
                idle.connect(gateway.address)
                idle.sendall(b"INVITE sip:600@127.0.0.1 SIP/2.0\r\nVia: ")
        canary.assert_unhurt()
        with Caller(gateway.address) as caller:
            call = caller.dial("600")
            call.wait_answered()
            call.hangup()
