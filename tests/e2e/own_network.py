"""Runs a module in a network namespace of its own, where it may give addresses and lose packets."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run_in_own_network(module: str, *arguments: str, limit_s: float = 60) -> None:
    """Run `tests.e2e.<module>`; its assertions are those of the test that calls this."""
    own_network = ["unshare", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    command = [*own_network, sys.executable, "-m", f"tests.e2e.{module}", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=limit_s, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def loopback(state: str) -> None:
    """Let packets through, or lose each one: no answer comes then, no reset, nothing. It has no IPv6."""
    ipv6 = Path("/proc/sys/net/ipv6/conf/all/disable_ipv6")
    if ipv6.exists():
        ipv6.write_text("1")
    subprocess.run(["ip", "link", "set", "lo", state], check=True)


def have(address: str) -> None:
    """Give this network an IPv4 address."""
    subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)
