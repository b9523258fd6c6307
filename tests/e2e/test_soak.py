"""Thousands of short calls, hundreds at once: nothing of them is left behind."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pytest

from bench.generator import build_generator, run_generator, warm_up
from tests.e2e.gateway_process import GatewayProcess, Setup, python_agent, to_agent
from tests.e2e.listening import assert_heard
from tests.e2e.peers.caller import Caller
from tests.e2e.peers.process import wait_until
from tests.e2e.peers.sound import tone

CALLS_PER_SECOND, AT_ONCE = 50, 300
FIRST_CALLS, CALLS = 1000, 3000
GROWTH_KB = 3000
"""A kilobyte and a half for each call after the first thousand would be a leak; less is the allocator's play."""

GROWTH_BLOCKS = 2000
"""Of the interpreter's memory: one object for each call."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a gateway without calls holds."""

    descriptors: Counter[str]
    threads: Counter[str]
    tasks: float
    rss_kb: int
    memory_blocks: float


def footprint(gateway: GatewayProcess) -> Footprint:
    gateway.wait_idle()
    wait_until(lambda: not gateway.rtp_ports_in_use(), "all RTP ports are free", 5)
    return Footprint(
        gateway.descriptors(),
        gateway.threads(),
        gateway.number("process", "tasks"),
        gateway.rss_kb(),
        gateway.number("process", "memory_blocks"),
    )


def make_calls(gateway: GatewayProcess, calls: int) -> None:
    """So many calls at the rate, each as long as it takes to have AT_ONCE of them, and RTP both ways in all of them."""
    hold_s = AT_ONCE / CALLS_PER_SECOND
    seconds = calls / CALLS_PER_SECOND - hold_s
    options: dict[str, str | float] = {"target": gateway.target, "rate": CALLS_PER_SECOND, "live": AT_ONCE}
    options["seconds"] = seconds
    result = run_generator("setup", options, limit_s=calls / CALLS_PER_SECOND + 30)
    assert result["failed"] == 0, result


@pytest.mark.slow
def test_nothing_is_left_of_3000_calls() -> None:
    build_generator()
    setup = Setup(
        ({"name": "all", "match": {"any": True}, "steps": ["answer", {"agent": "echo"}]},),
        limits={"calls": 2 * AT_ONCE},
        rtp_ports=4000,
    )
    with GatewayProcess(setup) as gateway:
        warm_up(gateway.target)
        began = gateway.number("calls", "total")
        before = footprint(gateway)
        make_calls(gateway, FIRST_CALLS)
        after_first = footprint(gateway)
        make_calls(gateway, CALLS - FIRST_CALLS)
        after = footprint(gateway)
        assert gateway.number("calls", "total") - began == pytest.approx(CALLS, abs=20)
        assert gateway.number("calls", "refused") == 0
        assert after.descriptors == after_first.descriptors == before.descriptors
        assert after.threads == after_first.threads == before.threads
        assert after.tasks == after_first.tasks == before.tasks
        assert after.memory_blocks - after_first.memory_blocks < GROWTH_BLOCKS
        assert after.rss_kb - after_first.rss_kb < GROWTH_KB, (before.rss_kb, after_first.rss_kb, after.rss_kb)
        with Caller(gateway.address) as caller:
            call = caller.dial("600")
            call.wait_answered()
            call.send(tone(440, 400))
            assert_heard(call.wait_heard(600), [440])
            assert call.hangup() == 200


def test_nothing_is_left_of_agents_in_threads() -> None:
    setup = Setup((to_agent("own", "parrot"),), {"parrot": python_agent("Parrot", barge_in={"mode": "off"})})
    with GatewayProcess(setup) as gateway, Caller(gateway.address) as caller:

        def ten_calls() -> None:
            calls = [caller.dial("own") for _ in range(10)]
            for call in calls:
                call.wait_answered()
                call.wait_heard(200)
                assert call.hangup() == 200

        ten_calls()
        before = footprint(gateway)
        for _ in range(3):
            ten_calls()
        after = footprint(gateway)
        assert after.descriptors == before.descriptors
        assert after.threads == before.threads
        assert after.tasks == before.tasks
