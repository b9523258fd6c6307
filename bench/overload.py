"""bench-overload: echo calls beside a hog, and more calls than the machine can carry.

Prints one line with `hog` and `over`: how calls sound while every core is also wanted by another program, and how many
calls are let in, and how those sound, when too many come.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from bench import echo
from bench.errors import MeasurementFailedError
from bench.generator import build_generator, count
from bench.provenance import report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.provenance import Json

HOG_CALLS, OVER_CALLS = 1000, 1600
_UNAVAILABLE = "503"


@contextlib.contextmanager
def hog() -> Iterator[None]:
    """A program that computes on every core, in a session of its own.

    With autogroups (sched(7)) a session gets as much as another one, whatever the niceness of what runs in it.
    """
    command = [sys.executable, "-c", "while True: pass"]
    cores = len(os.sched_getaffinity(0))
    busy = [subprocess.Popen(command, start_new_session=True, stdin=subprocess.DEVNULL) for _ in range(cores)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def beside_hog(run: dict[str, Json]) -> dict[str, Json]:
    """What the calls beside the hog sounded like."""
    return {
        "calls": run["calls"],
        "answered": run["answered"],
        "lost_pct": run["loss_pct"],
        "echo_p99_ms": _p99(run, "echo_ms"),
        "gap_p99_ms": _p99(run, "gap_ms"),
    }


def over_capacity(run: dict[str, Json]) -> dict[str, Json]:
    """How many of too many calls were let in, and what those sounded like."""
    failures = run["failures"]
    refused = failures.get(_UNAVAILABLE, 0) if isinstance(failures, dict) else 0
    return {
        "offered": run["calls"],
        "let_in": run["answered"],
        "refused": refused,
        "failed_otherwise": count(run, "failed") - (refused if isinstance(refused, int) else 0),
        "lost_pct_of_let_in": run["loss_pct"],
        "echo_p99_ms": _p99(run, "echo_ms"),
    }


def _p99(run: dict[str, Json], name: str) -> Json:
    found = run[name]
    return found.get("p99") if isinstance(found, dict) else None


def measure(calls: int, over: int, seconds: float) -> dict[str, Json]:
    """One run of both, against gateways of their own."""
    with hog():
        hogged = echo.measure(echo.Load(calls, seconds))
    crowded = echo.measure(echo.Load(over, seconds))
    return {
        "hog": beside_hog(hogged),
        "over": over_capacity(crowded),
        "beside_hog": hogged["beside"],
        "beside_over": crowded["beside"],
    }


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(prog="python -m bench.overload", description=__doc__)
    parser.add_argument("--calls", type=int, default=HOG_CALLS, help="beside the hog")
    parser.add_argument("--over", type=int, default=OVER_CALLS, help="offered, when too many come")
    parser.add_argument("--seconds", type=float, default=15.0, help="measured time of each")
    given = parser.parse_args()
    try:
        build_generator()
        result = measure(given.calls, given.over, given.seconds)
    except MeasurementFailedError as error:
        raise SystemExit(str(error)) from None
    report("overload", result)


if __name__ == "__main__":
    main()
