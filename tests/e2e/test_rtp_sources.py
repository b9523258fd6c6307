"""Whose RTP is heard, and where ours goes: the caller's, whoever else sends."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.e2e.gateway_process import GatewayProcess, Setup
from tests.e2e.peers.call import Manner
from tests.e2e.peers.caller import Caller

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def gateway() -> Iterator[GatewayProcess]:
    with GatewayProcess(Setup()) as running:
        yield running


def test_ports_begin_at_a_random_place_after_a_start() -> None:
    """The telephone of a call that a restart has ended goes on sending to its port: the next call gets another."""
    first_ports = set()
    with GatewayProcess(Setup()) as gateway:
        for start in range(4):
            if start:
                gateway.kill()
                gateway.start()
            with Caller(gateway.address) as caller:
                call = caller.dial("600")
                call.wait_answered()
                assert call.stream.remote is not None
                first_ports.add(call.stream.remote[1])
                assert call.hangup() == 200
    assert len(first_ports) > 1


def test_talk_spurts_come_back_whole(caller: Caller) -> None:
    """A caller that sends nothing while it is silent; every spurt begins with a marker (RFC 3551 section 4.1)."""
    call = caller.dial("600", Manner(phone=False))
    call.wait_answered()
    noise = np.random.default_rng(1).integers(100, 8000, size=(8, 4000), dtype=np.int16)  # no frame is like another
    for spurt in noise:
        call.send(spurt)
        call.stream.wait_sent()
        time.sleep(0.2)  # the rest
    call.wait_heard(300, since_s=time.monotonic())
    heard = {packet.payload for packet in call.received}
    lost = [number for number, packet in enumerate(call.stream.sent) if packet.payload not in heard]
    assert not lost, f"of {len(call.stream.sent)} frames"
    assert call.hangup() == 200
