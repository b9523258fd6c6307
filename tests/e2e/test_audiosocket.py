"""Real calls to a server that was written for Asterisk's AudioSocket."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.audiosocket_server import DTMF, HANG_UP, UUID, AudioSocketServer, Session, parrots
from tests.e2e.gateway_process import GatewayProcess, Json, Setup, to_agent
from tests.e2e.listening import assert_heard, echo_delays_ms
from tests.e2e.peers.process import wait_until
from tests.e2e.peers.rtp import decode_ulaw, encode_ulaw
from tests.e2e.peers.sound import silence, tone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.peers.caller import Caller


def answers(session: Session, kind: int, payload: bytes) -> None:
    """On 1 it says a tone and hangs up; else it is a parrot."""
    if (kind, payload) == (DTMF, b"1"):
        session.say(tone(600, 300))
        session.send(HANG_UP)
    else:
        parrots(session, kind, payload)


@pytest.fixture(scope="module")
def server() -> Iterator[AudioSocketServer]:
    with AudioSocketServer(answers) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(server: AudioSocketServer) -> Iterator[GatewayProcess]:
    agents: dict[str, Json] = {"bot": {"kind": "audiosocket", "server": server.address}}
    with GatewayProcess(Setup([to_agent("600", "bot")], agents)) as running:
        yield running


def test_a_server_hears_and_speaks(server: AudioSocketServer, gateway: GatewayProcess, caller: Caller) -> None:
    call = caller.dial("600")
    call.wait_answered()
    sent = np.concatenate((tone(440, 500), silence(200), tone(1000, 400)))
    call.send(sent)
    assert_heard(call.wait_heard(1400), [440, 1000])
    assert float(np.median(echo_delays_ms(call))) < 60
    assert call.hangup() == 200
    session = server.session
    assert session.closed.wait(5)
    (call_id,) = session.of(UUID)
    assert str(uuid.UUID(bytes=call_id)) == gateway.record(call.call_id)["id"]
    assert session.received[-1] == (HANG_UP, b"")
    heard, wire = session.heard, decode_ulaw(encode_ulaw(sent))
    start = int(np.flatnonzero(heard)[0]) - int(np.flatnonzero(wire)[0])
    np.testing.assert_array_equal(heard[start : start + len(wire)], wire)


def test_a_server_that_hangs_up_has_finished(gateway: GatewayProcess, caller: Caller) -> None:
    call = caller.dial("600")
    call.wait_answered()
    call.press("1", 100)
    assert call.wait_ended() == "them"
    wait_until(lambda: len(call.heard()) > 8 * 300, "the tone", 5)
    assert_heard(call.heard(), [600])
    assert gateway.record(call.call_id)["cause"] == "steps-ran-out"
