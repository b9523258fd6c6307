"""`make run` on a machine that nobody has configured."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_first_start_says_what_to_dial_and_answers() -> None:
    own_network = ["unshare", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    command = [*own_network, sys.executable, "-m", "tests.e2e.first_run"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "'602'" in done.stdout, "the agent that speaks is named too"
