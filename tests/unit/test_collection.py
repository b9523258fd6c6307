"""That the suites which `make check` does not run can still be read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OTHERS = ("tests/systemd", "tests/cold", "tests/hostile", "tests/e2e")


@pytest.mark.slow
def test_every_other_suite_is_collected() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "--collect-only", *OTHERS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(suite in done.stdout for suite in OTHERS)
