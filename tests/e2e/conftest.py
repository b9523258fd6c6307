"""What holds for every end-to-end test: a limit in time, also for a wait that has none."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.e2e.gateway_process import FOUND_AT_THE_END
from tests.e2e.peers.caller import Caller

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from tests.e2e.gateway_process import GatewayProcess

LIMIT_S = 60
SLOW_LIMIT_S = 360


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail for what a gateway had done wrong by its end, whoever was tried again after it."""
    if FOUND_AT_THE_END and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell why."""
    for found in FOUND_AT_THE_END:
        terminalreporter.section("found at a gateway's end", red=True)
        terminalreporter.write_line(found)


@pytest.fixture(autouse=True)
def _limit(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every wait in these tests has a deadline; this one is for the fault in that."""
    limit_s = SLOW_LIMIT_S if request.node.get_closest_marker("slow") else LIMIT_S

    def expire(_signal: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"the test runs for more than {limit_s} s")

    before = signal.signal(signal.SIGALRM, expire)
    signal.alarm(limit_s)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def caller(gateway: GatewayProcess) -> Iterator[Caller]:
    """Somebody to call the module's gateway, where nothing of any call is left afterwards."""
    with Caller(gateway.address) as one:
        yield one
    gateway.wait_idle()
