"""A TCP connection on which nothing comes back any more is noticed, though nobody closes it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_a_trunk_registers_anew_when_its_connection_has_died_silently() -> None:
    own_network = ["unshare", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    command = [*own_network, sys.executable, "-m", "tests.e2e.dead_flow"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=140, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
