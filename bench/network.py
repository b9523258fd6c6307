"""bench-agents: calls whose agent is a bot behind a WebSocket, beside the echo agent; latency each way, CPU, loss.

The bot runs in a process of its own. `up_ms`: from the caller's packet to the bot; `down_ms`: from the bot's message to
the caller's packet, the wait for the next 20 ms included.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench.bot_side import KINDS
from bench.echo import SETTLE_S, Load
from bench.echo import measure as measure_echo
from bench.errors import MeasurementFailedError
from bench.gateway_process import running_gateway
from bench.generator import build_generator, count, run_generator, warm_up
from bench.histogram import MEMORY, DurationFile, percentiles
from bench.provenance import ROOT, report
from bench.usage import Window

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from bench.provenance import Json

RATE = 50.0


def measure(kind: str, calls: int, seconds: float) -> dict[str, Json]:
    """One run of one kind against a gateway and a bot of their own."""
    with tempfile.TemporaryDirectory(prefix="offhook-bench-", dir=MEMORY) as name:
        path = Path(name) / "up"
        durations = DurationFile.create(path)
        with _bot(kind, path) as port, running_gateway(_agent(kind, port), calls=calls) as gateway:
            warm_up(gateway.target)
            window = Window(gateway.pid)
            bins: dict[str, npt.NDArray[np.uint64]] = {}

            def on_event(name: str) -> None:
                window.on_event(name)
                bins[name] = durations.snapshot()

            options: dict[str, str | float] = {
                "target": gateway.target,
                "calls": calls,
                "seconds": seconds,
                "rate": RATE,
                "settle": SETTLE_S,
            }
            generated = run_generator("echo", options, calls / RATE + seconds + 60, on_event)
    return {
        "kind": kind,
        "calls": calls,
        "up_ms": dataclasses.asdict(percentiles(bins["measured"] - bins["measuring"])),
        "down_ms": generated["echo_ms"],
        "cpu_core_pct_per_call": round(window.core_pct / count(generated, "answered"), 4),
        "dropped": generated["loss_pct"],
        "gap_ms": generated["gap_ms"],
        "failed": generated["failed"],
        "rest_core_pct": round(window.rest_core_pct, 2),
        "machine_stolen_ms": round(window.stolen_ms),
    }


def _agent(kind: str, port: int) -> dict[str, Json]:
    return {"kind": kind, "url": f"ws://127.0.0.1:{port}/"}


@contextlib.contextmanager
def _bot(kind: str, durations: Path) -> Iterator[int]:
    command = [sys.executable, "-m", "bench.bot_side", kind, str(durations)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            port = process.stdout.readline().strip() if process.stdout else ""
            if not port:
                raise MeasurementFailedError("the bot did not start")
            yield int(port)
        finally:
            process.terminate()


def worst(runs: Sequence[Mapping[str, Json]]) -> dict[str, Json]:
    """The largest of each figure of several kinds, under the same keys."""
    found: dict[str, Json] = {}
    for key in ("cpu_core_pct_per_call", "dropped"):
        found[key] = max(_number(run[key]) for run in runs)
    for key in ("up_ms", "down_ms"):
        found[key] = {part: max(_number(_part(run[key], part)) for run in runs) for part in ("p50", "p99")}
    return found


def _part(figure: Json, name: str) -> Json:
    return figure.get(name) if isinstance(figure, dict) else None


def _number(value: Json) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise MeasurementFailedError(f"{value!r} is no number")
    return value


def main() -> None:
    """Measure each kind, then an echo of as many calls, print, keep."""
    parser = argparse.ArgumentParser(prog="python -m bench.network", description=__doc__)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=20.0, help="measured time, after all calls are up")
    parser.add_argument("--kind", choices=sorted(KINDS), action="append", help="may be given several times")
    given = parser.parse_args()
    try:
        build_generator()
        runs = [measure(kind, given.calls, given.seconds) for kind in given.kind or KINDS]
        echo = measure_echo(Load(given.calls, given.seconds))
        cost = _number(echo["cpu_core_pct_per_call"])
        most = worst(runs)
    except MeasurementFailedError as error:
        raise SystemExit(str(error)) from None
    times_echo = round(_number(most["cpu_core_pct_per_call"]) / cost, 2)
    kinds: list[Json] = list(runs)
    compared: dict[str, Json] = {"echo_cpu_core_pct_per_call": cost, "times_echo": times_echo}
    report(f"agents-{given.calls}", {"calls": given.calls, "kinds": kinds, **most, **compared})


if __name__ == "__main__":
    main()
