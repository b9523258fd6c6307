"""What holds for every end-to-end test: a limit in time, also for a wait that has none."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

LIMIT_S = 60
SLOW_LIMIT_S = 150


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line("markers", "slow: takes more than ten seconds by its nature")


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
