"""Readings of a process from outside."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from bench.usage import core_pct, read_usage, thread_core_pct


def spin(seconds: float) -> None:
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def test_cpu_time_is_that_of_the_process() -> None:
    before = read_usage(os.getpid())
    used = time.process_time()
    spin(0.05)
    after = read_usage(os.getpid())
    used = time.process_time() - used
    assert used * 0.9 <= after.cpu_s - before.cpu_s <= used * 1.5 + 0.02
    assert 0 < core_pct(before, after) <= 100 * (os.cpu_count() or 1)
    assert sum(thread_core_pct(before, after).values()) == pytest.approx(core_pct(before, after), rel=0.3)


def test_memory_threads_and_descriptors_are_counted() -> None:
    before = read_usage(os.getpid())
    block = bytearray(os.urandom(8 << 20))
    with open(os.devnull, "rb"):  # noqa: PTH123 - a descriptor is the point
        after = read_usage(os.getpid())
    assert after.rss_kb - before.rss_kb >= len(block) // 2048
    assert after.descriptors == before.descriptors + 1
    assert after.threads >= 1


def test_a_process_that_is_gone_is_an_error() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with pytest.raises(OSError, match=r".+"):
        read_usage(gone.pid)
