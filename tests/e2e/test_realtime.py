"""Threads that calls wait for run at real-time priority, and one that computes without end loses it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.gateway_process import GatewayProcess, Setup, python_agent, to_agent
from tests.e2e.listening import assert_heard
from tests.e2e.peers.caller import Caller
from tests.e2e.peers.process import wait_until
from tests.e2e.peers.sound import tone

if TYPE_CHECKING:
    from collections.abc import Iterator

POLICIES = {os.SCHED_OTHER: "ordinary", os.SCHED_RR: "real-time"}


@pytest.fixture(scope="module")
def gateway() -> Iterator[GatewayProcess]:
    routes = (to_agent("echo", "echo"), to_agent("computes", "computes"), to_agent("parrot", "parrot"))
    agents = {
        "computes": python_agent("Computes", isolation="none"),
        "parrot": python_agent("Parrot", barge_in={"mode": "off"}),
    }
    with GatewayProcess(Setup(routes, agents)) as running:
        if not running.said("process", "realtime"):
            pytest.skip("this system grants no real-time priority")
        yield running


def policy(thread: int) -> str:
    return POLICIES[os.sched_getscheduler(thread) & ~os.SCHED_RESET_ON_FORK]


def policies(gateway: GatewayProcess) -> dict[str, str]:
    """Of each thread, by its name."""
    tasks = Path(f"/proc/{gateway.pid}/task").iterdir()
    return {(task / "comm").read_text().strip(): policy(int(task.name)) for task in tasks}


def test_those_that_every_call_waits_for_are_real_time(gateway: GatewayProcess) -> None:
    with Caller(gateway.address) as caller:
        call = caller.dial("parrot")
        call.wait_answered()
        found = policies(gateway)
        assert {found[name] for name in ("media", "media-clock-0")} == {"real-time"}
        assert policy(gateway.pid) == "real-time"
        others = {name for name, policy in found.items() if name.startswith("agent")}
        assert {found[name] for name in others} <= {"ordinary"}, "agents' threads stay ordinary"
        assert call.hangup() == 200


def test_an_agent_that_computes_without_a_pause_takes_the_priority_from_its_thread_and_gives_it_back(
    gateway: GatewayProcess,
) -> None:
    with Caller(gateway.address) as caller:
        call = caller.dial("computes")
        call.wait_answered()
        wait_until(lambda: policy(gateway.pid) == "ordinary", "the thread that computes is an ordinary one", 20)
        wait_until(lambda: policy(gateway.pid) == "real-time", "it has its priority again", 20)
        wait_until(lambda: gateway.events("process.lost_realtime"), "the log says so", 5)
        call.hangup()
        other = caller.dial("echo")
        other.wait_answered()
        other.send(tone(440, 400))
        assert_heard(other.wait_heard(600), [440])
        assert other.hangup() == 200
