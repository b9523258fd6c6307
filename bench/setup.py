"""bench-setup: calls set up per second without a failure, with many live; what the gateway keeps of them afterwards."""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import MeasurementFailedError
from bench.gateway_process import AgentConfig, running_gateway
from bench.generator import build_generator, run_generator, warm_up
from bench.histogram import MEMORY, DurationFile
from bench.provenance import report
from bench.usage import Usage, Window, read_usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.provenance import Json


STEP_KEYS = ("cps_offered", "cps", "failed", "failures", "setup_ms", "cpu_core_pct")


@dataclasses.dataclass(frozen=True, slots=True)
class Load:
    """What is asked of the generator."""

    cps: float
    live: int
    seconds: float


def measure(load: Load) -> dict[str, Json]:
    """One run against a gateway of its own; every call is echoed, so that its media works as well."""
    with tempfile.TemporaryDirectory(prefix="offhook-bench-", dir=MEMORY) as name:
        path = Path(name) / "ingest"
        DurationFile.create(path)
        agent = AgentConfig("bench.agents:ProbeEcho", {"durations": str(path)}, {"mode": "off"})
        # An ended call may keep its place for as long as the gateway takes to tidy up.
        with running_gateway(agent, calls=load.live * 2) as gateway:
            warm_up(gateway.target)
            idle = read_usage(gateway.pid)
            window = Window(gateway.pid)
            options: dict[str, str | float] = {
                "target": gateway.target,
                "rate": load.cps,
                "live": load.live,
                "seconds": load.seconds,
            }
            limit_s = load.live / load.cps * 2 + load.seconds + 60
            generated = run_generator("setup", options, limit_s, window.on_event)
            left = gateway.live_calls()
            after = read_usage(gateway.pid)
    return _result(load, generated, window, idle, after) | {"live_after": left}


def _result(load: Load, generated: Mapping[str, Json], window: Window, idle: Usage, after: Usage) -> dict[str, Json]:
    return {
        **{key: generated[key] for key in ("cps", "failed", "live")},
        "cps_offered": load.cps,
        "seconds": load.seconds,
        **{key: generated[key] for key in ("live_min", "calls", "answered", "failures", "setup_ms")},
        "cpu_core_pct": round(window.core_pct, 2),
        "cpu_core_pct_by_thread": {**window.thread_core_pct},
        "rest_core_pct": round(window.rest_core_pct, 2),
        "machine_stolen_ms": round(window.stolen_ms),
        "rss_kb": {"idle": idle.rss_kb, "loaded": window.end.rss_kb, "after": after.rss_kb},
        "threads": {"idle": idle.threads, "after": after.threads},
        "descriptors": {"idle": idle.descriptors, "after": after.descriptors},
        "generator": generated["generator"],
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.setup", description=__doc__)
    parser.add_argument(
        "--cps", default="50", help="calls per second; several with commas are tried in turn until one fails"
    )
    parser.add_argument("--live", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=20.0, help="measured time, after all live calls are up")
    return parser.parse_args()


def find_highest(arguments: argparse.Namespace) -> dict[str, Json]:
    """The result of the highest rate without a failure, or of the first; every rate tried is in `steps`."""
    best: dict[str, Json] = {}
    steps: list[Json] = []
    for cps in (float(text) for text in arguments.cps.split(",")):
        result = measure(Load(cps, arguments.live, arguments.seconds))
        steps.append({key: result[key] for key in STEP_KEYS})
        if not best or result["failed"] == 0:
            best = result
        if result["failed"] != 0:
            break
    return {**best, "steps": steps}


def main() -> None:
    """Measure, print, keep."""
    arguments = _arguments()
    try:
        build_generator()
        result = find_highest(arguments)
    except MeasurementFailedError as error:
        raise SystemExit(str(error)) from None
    report(f"setup-{arguments.live}", result)


if __name__ == "__main__":
    main()
