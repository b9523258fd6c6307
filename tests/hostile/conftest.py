"""The gateway that is attacked, and the call beside it that must not notice."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.e2e.gateway_process import ROUTES, GatewayProcess, Object, Setup
from tests.hostile.budget import SECONDS
from tests.hostile.canary import Canary

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import FrameType

SANITIZED = "HOSTILE_OFFHOOK" in os.environ
"""`make test-hostile SANITIZE=1`: it names an `offhook` that was built with AddressSanitizer."""
LIMIT_S = 120 + 2 * SECONDS
AFTERLIFE_S = 45.0
"""For how long what is never acknowledged may stand (RFC 3261: 64 T1), and some."""
GROWTH_KB = 60_000
"""Of memory, by an attack: 500 messages a second that stand for 32 s each are 16,000 transactions."""
LOG_BYTES, LOG_BYTES_PER_S = 500_000, 30_000
"""What the limits of the log let pass at once, and from then on, in lines of 300 bytes."""

REFUSED: Object = {"name": "refused", "match": {"any": True}, "steps": [{"reject": {"code": 404}}]}


@pytest.fixture(autouse=True)
def _limit() -> Iterator[None]:
    def expire(_signal: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"the test runs for more than {LIMIT_S:g} s")

    before = signal.signal(signal.SIGALRM, expire)
    signal.alarm(round(LIMIT_S))
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def gateway() -> Iterator[GatewayProcess]:
    """One for each attack, so that what it has done is known."""
    with GatewayProcess(Setup((*ROUTES, REFUSED), limits={"calls": 100}, environment=sanitized())) as running:
        yield running
        running.wait_idle(AFTERLIFE_S)


@pytest.fixture
def growth_kb() -> float:
    """How much memory the attack may take."""
    return GROWTH_KB


@pytest.fixture
def canary(gateway: GatewayProcess, growth_kb: float, tmp_path: Path) -> Iterator[Canary]:
    """A call that is up all the time."""
    rss_kb, log_bytes = gateway.rss_kb(), gateway.process.log_path.stat().st_size
    with Canary(gateway, tmp_path) as one:
        yield one
    if not SANITIZED:
        grown_kb = gateway.rss_kb() - rss_kb
        assert grown_kb < growth_kb, f"memory has grown by {grown_kb} kB"
    written = gateway.process.log_path.stat().st_size - log_bytes
    assert written < LOG_BYTES + LOG_BYTES_PER_S * SECONDS, gateway.explain(f"{written} bytes of log")


def sanitized() -> dict[str, str]:
    """What a gateway needs that was built with AddressSanitizer; empty when it was not."""
    if not SANITIZED:
        return {}
    # Python knows nothing of C++: without its library at the start, AddressSanitizer could not follow an exception.
    libraries = ":".join(_library(name) for name in ("libasan.so", "libstdc++.so"))
    return {
        "LD_PRELOAD": libraries,
        "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1",
    }  # Python itself leaks at its end


def _library(name: str) -> str:
    found = subprocess.run(["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True)
    return found.stdout.strip()
