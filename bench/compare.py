"""bench-compare: this tree beside another commit, in turns on one machine; medians, spread and their ratio.

The other commit is checked out and installed under build/compare. Each benchmark runs there and here in turn, so that
what the machine does meanwhile meets both alike. Every tree measures itself with its own benchmarks.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from typing import TYPE_CHECKING

from bench.errors import MeasurementFailedError
from bench.provenance import LAST_RUNS, ROOT, report

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bench.provenance import Json

TREES = ROOT / "build" / "compare"
COMMANDS = {
    "echo-500": ("bench.echo", "--calls", "500", "--seconds", "15"),
    "echo-1000": ("bench.echo", "--calls", "1000", "--seconds", "15"),
    "setup-300": ("bench.setup", "--seconds", "15"),
    "bargein-300": ("bench.bargein", "--calls", "300"),
}
COMPARED = {
    "echo-500": ("loss_pct", "echo_ms.p50", "echo_ms.p99", "gap_ms.p99", "cpu_core_pct_per_call", "rss_kb_per_call"),
    "echo-1000": ("loss_pct", "echo_ms.p50", "echo_ms.p99", "gap_ms.p99", "cpu_core_pct_per_call", "rss_kb_per_call"),
    "setup-300": ("cps", "setup_ms.p50", "setup_ms.p99", "cpu_core_pct"),
    "bargein-300": ("stop_ms.p50", "stop_ms.p99"),
}


def figure(result: Mapping[str, Json], name: str) -> float | None:
    """A number of a result by its dotted name; None where it has none."""
    value: Json = dict(result)
    for key in name.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def compared(names: Sequence[str], theirs: Sequence[Mapping[str, Json]], ours: Sequence[Mapping[str, Json]]) -> Json:
    """For each figure the medians and spreads of both, and ours divided by theirs."""
    return {name: _both(name, theirs, ours) for name in names}


def _both(name: str, theirs: Sequence[Mapping[str, Json]], ours: Sequence[Mapping[str, Json]]) -> Json:
    before, after = _values(name, theirs), _values(name, ours)
    if not before or not after:
        return None
    base, here = statistics.median(before), statistics.median(after)
    return {
        "base": base,
        "here": here,
        "ratio": round(here / base, 3) if base else None,
        "spread_base": [min(before), max(before)],
        "spread_here": [min(after), max(after)],
    }


def _values(name: str, runs: Sequence[Mapping[str, Json]]) -> list[float]:
    found = (figure(run, name) for run in runs)
    return [value for value in found if value is not None]


def prepare(commit: str) -> Path:
    """A checkout of the commit with an environment of its own.

    Raises:
        MeasurementFailedError: there is no such commit, or it does not install.
    """
    name = _run(["git", "rev-parse", "--short=12", f"{commit}^{{commit}}"], ROOT).strip()
    tree = TREES / name
    if not tree.exists():
        _run(["git", "clone", "-q", "--shared", str(ROOT), str(tree)], ROOT)
        _run(["git", "checkout", "-q", "--detach", name], tree)
    _run(["make", "-s", "bench-ready"], tree)
    return tree


def run(tree: Path, command: Sequence[str]) -> Mapping[str, Json]:
    """What the benchmark of a tree printed.

    Raises:
        MeasurementFailedError: it failed.
    """
    # A tree may keep modules of its benchmarks where only its own make finds them.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(tree), str(tree / "media" / "pjsip")))}
    out = _run([str(tree / ".venv" / "bin" / "python"), "-m", *command], tree, environment)
    found = json.loads(out.splitlines()[-1])
    if not isinstance(found, dict):
        raise MeasurementFailedError(out)
    return found


def _run(command: Sequence[str], directory: Path, environment: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        message = f"{' '.join(command)} in {directory} ended with {done.returncode}\n{done.stderr}"
        raise MeasurementFailedError(message)
    return done.stdout


def main() -> None:
    """Measure both, print, keep."""
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description=__doc__)
    parser.add_argument("base", help="the commit to compare with")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", choices=sorted(COMMANDS), action="append", help="may be given several times")
    given = parser.parse_args()
    names = given.only or list(COMMANDS)
    result: dict[str, Json] = {"base": given.base, "runs": given.runs}
    try:
        tree = prepare(given.base)
        for name in names:
            theirs, ours = [], []
            for turn in range(given.runs):
                sys.stderr.write(f"{name}, run {turn + 1} of {given.runs}\n")
                theirs.append(run(tree, COMMANDS[name]))
                ours.append(run(ROOT, COMMANDS[name]))
            result[name] = compared(COMPARED[name], theirs, ours)
    except MeasurementFailedError as error:
        raise SystemExit(str(error)) from None
    report("compare", result, directory=LAST_RUNS)


if __name__ == "__main__":
    main()
