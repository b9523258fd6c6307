"""Keys, in every way in which telephones send them."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.gateway_process import GatewayProcess, Setup, python_agent, to_agent
from tests.e2e.peers.process import wait_until
from tests.e2e.peers.sound import silence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.peers.call import Call
    from tests.e2e.peers.caller import Caller

RELAY = "application/dtmf-relay"
PLAIN = "application/dtmf"


@pytest.fixture(scope="module")
def gateway() -> Iterator[GatewayProcess]:
    with GatewayProcess(Setup((to_agent("diary", "diary"),), {"diary": python_agent("Diary")})) as running:
        yield running


def listening(gateway: GatewayProcess, caller: Caller) -> Call:
    """A call whose agent has begun: it alone is told of keys."""
    call = caller.dial("diary")
    call.wait_answered()
    diary = gateway.directory / f"diary-{call.call_id}"
    wait_until(lambda: diary.exists() and "CallInfo" in diary.read_text(), "the agent has begun", 5)
    return call


def keys(gateway: GatewayProcess, call: Call) -> list[tuple[str, int]]:
    diary = gateway.directory / f"diary-{call.call_id}"
    notes = [json.loads(line) for line in diary.read_text().splitlines()] if diary.exists() else []
    return [(note["digit"], note["duration_ms"]) for note in notes if note["event"] == "Dtmf"]


def info(call: Call, kind: str, body: str) -> int | None:
    return call.request("INFO", {"Content-Type": kind}, body).status


def relay(signal: str, duration_ms: int = 250) -> str:
    return f"Signal={signal}\nDuration={duration_ms}\n"


def test_keys_by_info(gateway: GatewayProcess, caller: Caller) -> None:
    call = listening(gateway, caller)
    told = [(RELAY, relay("5")), (RELAY, "Signal= 6 \nDuration= 160 "), (RELAY, relay("*")), (RELAY, relay("11")),
            (RELAY, relay("12")), (RELAY, relay("b")), (RELAY, "Signal=7"), (PLAIN, "8"), (PLAIN, "#\n"),
            (PLAIN, "Signal=9")]  # fmt: skip
    assert {info(call, kind, body) for kind, body in told} == {200}
    wait_until(lambda: len(keys(gateway, call)) >= len(told), "all keys", 5)
    assert call.hangup() == 200
    gateway.record(call.call_id)
    pressed = keys(gateway, call)
    assert "".join(digit for digit, _ in pressed) == "56*#AB78#9"
    assert [duration_ms for _, duration_ms in pressed[:3]] == [250, 160, 250]


def test_what_is_no_key_is_none(gateway: GatewayProcess, caller: Caller) -> None:
    call = listening(gateway, caller)
    assert info(call, RELAY, relay("16")) == 200  # a flash
    assert info(call, RELAY, relay("hf")) == 200
    assert info(call, PLAIN, "x") == 400
    assert info(call, RELAY, "Duration=250") == 400
    assert info(call, RELAY, "Signal=") == 400
    assert info(call, RELAY, relay("1")) == 200
    wait_until(lambda: keys(gateway, call), "the one key", 5)
    assert call.hangup() == 200
    gateway.record(call.call_id)
    assert keys(gateway, call) == [("1", 250)]


@pytest.mark.parametrize("info_first", [True, False])
def test_a_key_that_is_sent_in_both_ways_is_told_once(
    gateway: GatewayProcess, caller: Caller, *, info_first: bool
) -> None:
    call = listening(gateway, caller)
    for count, digit in enumerate("1223", 1):
        if info_first:
            assert info(call, RELAY, relay(digit)) == 200
        call.press(digit, 100)
        call.send(silence(60))
        call.stream.wait_sent()
        if not info_first:
            assert info(call, RELAY, relay(digit)) == 200
        wait_until(lambda count=count: len(keys(gateway, call)) >= count, "the key", 5)  # type: ignore[misc]
    time.sleep(0.3)  # long enough for a key too many
    assert call.hangup() == 200
    gateway.record(call.call_id)
    assert "".join(digit for digit, _ in keys(gateway, call)) == "1223"


def test_info_is_offered(caller: Caller) -> None:
    call = caller.dial("diary")
    answer = call.wait_answered()
    assert "INFO" in re.split(r",\s*", answer.header("Allow") or "")
    assert call.hangup() == 200
