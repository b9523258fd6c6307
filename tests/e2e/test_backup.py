"""Real calls whose agent's backend is down, or breaks off: the caller hears the next agent."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING

import pytest

from tests.bot import Bot, Message, Stream
from tests.e2e.gateway_process import GatewayProcess, Json, Setup, to_agent
from tests.e2e.listening import assert_heard
from tests.e2e.peers.sound import tone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.peers.caller import Caller

SORRY_HZ, BACKUP_HZ = 700, 350


async def breaks_off(stream: Stream, message: Message) -> None:
    """A bot that says something, and fails."""
    if message["event"] == "start":
        await stream.say(tone(1_000, 300))
    if message["event"] == "media" and len(stream.of("media")) == 25:
        await stream.close(1011, "out of memory")


@pytest.fixture(scope="module")
def gateway() -> Iterator[GatewayProcess]:
    with socket.socket() as unused, Bot(breaks_off) as bot:
        unused.bind(("127.0.0.1", 0))  # nobody listens there
        nobody = f"ws://127.0.0.1:{unused.getsockname()[1]}/"
        agents: dict[str, Json] = {
            "down": {"kind": "media-streams", "url": nobody, "backup": {"agents": ["low"], "failures": 2}},
            "dies": {"kind": "media-streams", "url": bot.url, "backup": {"agents": ["low"], "apology": "sorry.wav"}},
            "low": {"kind": "tone", "frequency": BACKUP_HZ},
        }
        routes = [to_agent("down", "down"), to_agent("dies", "dies")]
        with GatewayProcess(Setup(routes, agents, sounds={"sorry.wav": tone(SORRY_HZ, 500)})) as running:
            yield running


def test_a_backend_that_is_down(gateway: GatewayProcess, caller: Caller) -> None:
    for _ in range(2):
        call = caller.dial("down")
        call.wait_answered()
        assert_heard(call.wait_heard(600)[: 8 * 600], [BACKUP_HZ])
        assert call.hangup() == 200
        record = gateway.record(call.call_id)
        assert record["agents"] == ["low"]
        assert "agent-busy: agent 'down' is busy: prepare: BackendError: cannot connect" in str(record["failures"])
    assert re.search(r"agent +down: 0 calls, .*: calls go to its backup", gateway.command("status").stdout)
    call = caller.dial("down")
    call.wait_answered()
    assert_heard(call.wait_heard(600)[: 8 * 600], [BACKUP_HZ])
    assert call.hangup() == 200
    assert "2 calls in a row have failed" in str(gateway.record(call.call_id)["failures"])


def test_a_backend_that_breaks_off(gateway: GatewayProcess, caller: Caller) -> None:
    call = caller.dial("dies")
    call.wait_answered()
    call.send(tone(440, 1_000))
    heard = call.wait_heard(1_600)
    assert_heard(heard[: 8 * 1_600], [1_000, SORRY_HZ, BACKUP_HZ])
    assert call.hangup() == 200
    record = gateway.record(call.call_id)
    assert record["agents"] == ["dies", "low"]
    assert "closed the connection with 1011: out of memory" in str(record["failures"])
