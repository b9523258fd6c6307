"""The overload benchmark: what it says of its two runs, and the hog beside the first."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from bench.overload import beside_hog, hog, over_capacity

if TYPE_CHECKING:
    from bench.provenance import Json


def a_run(answered: int, failures: dict[str, Json], failed: int) -> dict[str, Json]:
    return {
        "calls": 1600,
        "answered": answered,
        "failed": failed,
        "failures": failures,
        "loss_pct": 0.25,
        "echo_ms": {"p50": 20.0, "p99": 31.5},
        "gap_ms": {"p50": 20.0, "p99": 25.0},
    }


def test_what_calls_beside_a_hog_sound_like() -> None:
    told = {"calls": 1600, "answered": 1599, "lost_pct": 0.25, "echo_p99_ms": 31.5, "gap_p99_ms": 25.0}
    assert beside_hog(a_run(1599, {"timeout": 1}, 1)) == told


def test_refusals_are_told_from_other_failures() -> None:
    assert over_capacity(a_run(1200, {"503": 390, "timeout": 10}, 400)) == {
        "offered": 1600,
        "let_in": 1200,
        "refused": 390,
        "failed_otherwise": 10,
        "lost_pct_of_let_in": 0.25,
        "echo_p99_ms": 31.5,
    }


def test_all_let_in_is_no_refusal() -> None:
    assert over_capacity(a_run(1600, {}, 0))["refused"] == 0


def test_the_hog_has_a_session_of_its_own_and_ends() -> None:
    def children() -> set[int]:
        found: set[int] = set()
        for task in Path("/proc/self/task").iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that has ended meanwhile
                found.update(map(int, (task / "children").read_text().split()))
        return found

    before = children()
    with hog():
        hogs = children() - before
        assert len(hogs) == len(os.sched_getaffinity(0))
        assert {os.getsid(pid) for pid in hogs} == hogs
    assert children() == before
