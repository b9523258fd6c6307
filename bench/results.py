"""bench-results: every published figure in one go, each the median of several runs, with its spread beside it.

Runs take turns: one of each benchmark, then one of each again, so that what the machine does meanwhile meets all alike.
Writes bench/results, the plots and the figures in README.md. A run that fails is reported and left out.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import sys
import time
from typing import TYPE_CHECKING

from bench import bargein, echo, figures, overload, pipeline, plot, setup, vad
from bench.errors import MeasurementFailedError
from bench.generator import build_generator
from bench.provenance import RESULTS, report

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.provenance import Json

RUNS = 5
ECHO_CALLS = (1, 10, 100, 500, 1000)
PARROT_CALLS = 20
LIVE, CALLS_PER_SECOND = 300, 50
BARGE_IN_CALLS = {"webrtcvad": 300, "silero": 100}
"""As many as each detector can judge here, the generator beside it."""
SECONDS = 15.0
VAD, VAD_CALLS, VAD_SECONDS = "vad", 300, 5.0
"""It takes turns among its own loads: what it hears is the same in every run, and measured once."""


def _echo(calls: int, *, parrot: bool = False) -> dict[str, Json]:
    return echo.measure(echo.Load(calls, SECONDS, 50.0, "random", parrot, "yes"))


def _bargein(detector: str, calls: int) -> dict[str, Json]:
    load = bargein.Load(calls, 2, "cut", 120, detector)
    return {
        **bargein.measure(load, "bench.agents:Talker"),
        "mode": load.mode,
        "min_speech_ms": load.min_speech_ms,
        "detector": detector,
    }


BENCHMARKS: dict[str, Callable[[], dict[str, Json]]] = {
    **{f"echo-{calls}": lambda calls=calls: _echo(calls) for calls in ECHO_CALLS},  # type: ignore[misc]
    f"parrot-{PARROT_CALLS}": lambda: _echo(PARROT_CALLS, parrot=True),
    f"setup-{LIVE}": lambda: setup.measure(setup.Load(CALLS_PER_SECOND, LIVE, SECONDS)),
    **{
        f"bargein-{detector}-{calls}": functools.partial(_bargein, detector, calls)
        for detector, calls in BARGE_IN_CALLS.items()
    },
    "overload": lambda: overload.measure(overload.HOG_CALLS, overload.OVER_CALLS, SECONDS),
    "pipeline": lambda: pipeline.result(10_000, 2_500, 3),
}


def merged(runs: Sequence[Json]) -> Json:
    """One result out of several: the median of each number; of anything else the first run's."""
    first = runs[0]
    if isinstance(first, dict):
        dicts = [run for run in runs if isinstance(run, dict)]
        return {key: merged([run[key] for run in dicts if key in run]) for key in first}
    numbers = [run for run in runs if isinstance(run, int | float) and not isinstance(run, bool)]
    if len(numbers) == len(runs):
        middle = statistics.median(numbers)
        return int(middle) if all(isinstance(one, int) for one in numbers) and middle == int(middle) else middle
    return first


def spread(runs: Sequence[Json], name: str = "") -> dict[str, Json]:
    """The least and the most of each number, by its dotted name."""
    first = runs[0]
    if isinstance(first, dict):
        dicts = [run for run in runs if isinstance(run, dict)]
        found: dict[str, Json] = {}
        for key in first:
            found |= spread([run[key] for run in dicts if key in run], f"{name}.{key}" if name else key)
        return found
    numbers = [run for run in runs if isinstance(run, int | float) and not isinstance(run, bool)]
    return {name: [min(numbers), max(numbers)]} if len(numbers) == len(runs) else {}


def publish(name: str, runs: Sequence[Json]) -> None:
    """Write the result of the runs so far: a machine that stops in the middle keeps them."""
    middle = merged(runs)
    if isinstance(middle, dict):
        report(name, {**middle, "runs": len(runs), "spread": spread(runs)}, directory=RESULTS)


def main() -> int:
    """Measure all, and publish."""
    parser = argparse.ArgumentParser(prog="python -m bench.results", description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    choices = [*BENCHMARKS, VAD]
    parser.add_argument("--only", choices=sorted(choices), action="append", help="may be given several times")
    given = parser.parse_args()
    chosen = given.only or choices
    names = [name for name in chosen if name != VAD]
    runs: dict[str, list[Json]] = {name: [] for name in names}
    began_s = time.monotonic()
    failures = 0
    build_generator()
    for turn in range(given.runs):
        for name in names:
            sys.stderr.write(f"[{time.monotonic() - began_s:6.0f} s] {name}, run {turn + 1} of {given.runs}\n")
            try:
                runs[name].append(BENCHMARKS[name]())
            except MeasurementFailedError as error:
                failures += 1
                sys.stderr.write(f"{name}, run {turn + 1} failed and is left out: {error}\n")
                continue
            publish(name, runs[name])
    if VAD in chosen:
        sys.stderr.write(f"[{time.monotonic() - began_s:6.0f} s] {VAD}, {given.runs} runs\n")
        report(VAD, vad.measure(VAD_CALLS, VAD_SECONDS, given.runs), directory=RESULTS)
    plot.main()
    return figures.main() or min(failures, 1)


if __name__ == "__main__":
    sys.exit(main())
