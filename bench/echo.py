"""bench-echo: many calls that hear their own packets again; latency, loss, gaps, CPU and memory per call."""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import MeasurementFailedError
from bench.gateway_process import AgentConfig, Gateway, running_gateway
from bench.generator import build_generator, count, run_generator, warm_up
from bench.histogram import MEMORY, DurationFile, Percentiles, percentiles
from bench.provenance import autogroup, report
from bench.usage import Usage, Window, read_usage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    import numpy.typing as npt

    from bench.provenance import Json

SIDE_FINDINGS = (
    "echo_least_ms",
    "rtp_duplicates",
    "rtp_unstamped",
    "rtp_of_other_calls",
    "rtp_wire_lost",
    "rtp_wire_disordered",
    "failed",
    "failures",
    "generator",
)
SETTLE_S = 2
LADDER = (1, 10, 100, 500, 1000)


@dataclasses.dataclass(frozen=True, slots=True)
class Load:
    """What is asked of the generator."""

    calls: int
    seconds: float
    rate: float = 50.0
    """Calls started per second."""
    phases: str = "random"
    """`random` or `uniform`: how the calls are spread over the 20 ms."""
    parrot: bool = False
    """Whether the README's Parrot answers, in a thread for each call, and not an agent on the gateway's loop."""
    realtime: str = "yes"
    """`yes` or `no`: whether the generator goes before the gateway's ordinary threads."""


def measure(load: Load) -> dict[str, Json]:
    """One run against a gateway of its own."""
    with tempfile.TemporaryDirectory(prefix="offhook-bench-", dir=MEMORY) as name:
        path = Path(name) / "ingest"
        durations = DurationFile.create(path)
        agent = AgentConfig("bench.agents:ProbeEcho", {"durations": str(path)}, {"mode": "off"})
        if load.parrot:
            agent = AgentConfig("bench.agents:Parrot", {}, {"mode": "off"}, isolation="thread")
        with running_gateway(agent, calls=load.calls) as gateway:
            warm_up(gateway.target)
            idle = read_usage(gateway.pid)
            window = Window(gateway.pid)
            bins: dict[str, npt.NDArray[np.uint64]] = {}

            def on_event(name: str) -> None:
                window.on_event(name)
                bins[name] = durations.snapshot()

            generated = _generate(gateway, load, on_event)
            realtime = gateway.has_realtime()
            left = gateway.live_calls()
    ingest = percentiles(bins["measured"] - bins["measuring"])
    result = _result(load, generated, window, idle, ingest)
    return {**result, "beside": _beside(generated, window, realtime=realtime), "live_after": left}


def _generate(gateway: Gateway, load: Load, on_event: Callable[[str], None]) -> Mapping[str, Json]:
    options: dict[str, str | float] = {
        "target": gateway.target,
        "calls": load.calls,
        "seconds": load.seconds,
        "rate": load.rate,
        "settle": SETTLE_S,
        "realtime": load.realtime,
        "phases": load.phases,
    }
    return run_generator("echo", options, load.calls / load.rate + load.seconds + 60, on_event)


def _result(
    load: Load, generated: Mapping[str, Json], window: Window, idle: Usage, ingest: Percentiles
) -> dict[str, Json]:
    answered = count(generated, "answered")
    own = _generator_core_pct(generated)
    return {
        "agent": "parrot" if load.parrot else "echo",
        **{key: generated[key] for key in ("calls", "answered", "rtp_tx", "rtp_rx", "loss_pct", "echo_ms")},
        "ingest_ms": dataclasses.asdict(ingest),
        "gap_ms": generated["gap_ms"],
        "cpu_core_pct_per_call": round(window.core_pct / answered, 4),
        "rss_kb_per_call": round((window.end.rss_kb - idle.rss_kb) / answered, 1),
        "seconds": load.seconds,
        "phases": load.phases,
        "cpu_core_pct": round(window.core_pct, 2),
        "cpu_core_pct_by_thread": {**window.thread_core_pct},
        "rest_core_pct": round(window.rest_core_pct, 2),
        "machine_stolen_ms": round(window.stolen_ms),
        "cpu_ratio": round(window.core_pct / own, 2) if own else None,
        "rss_kb_idle": idle.rss_kb,
        "rss_kb_loaded": window.end.rss_kb,
        "threads": window.end.threads,
        **{key: generated[key] for key in SIDE_FINDINGS},
    }


def _beside(generated: Mapping[str, Json], window: Window, *, realtime: bool) -> dict[str, Json]:
    """What else the machine did meanwhile, and whether the gateway went before it."""
    return {
        "others_core_pct": round(window.rest_core_pct - _generator_core_pct(generated), 2),
        "stolen_ms": round(window.stolen_ms),
        "realtime": realtime,
        "autogroup": autogroup(),
    }


def _generator_core_pct(generated: Mapping[str, Json]) -> float:
    """What the generator took for the same packets: a yardstick that no machine's speed changes."""
    own = generated["generator"]
    value = own.get("cpu_core_pct") if isinstance(own, dict) else None
    return value if isinstance(value, int | float) else 0.0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.echo", description=__doc__)
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=30.0, help="measured time, after all calls are up")
    parser.add_argument("--rate", type=float, default=50.0, help="calls started per second")
    parser.add_argument("--phases", choices=("random", "uniform"), default="random")
    parser.add_argument("--realtime", choices=("yes", "no"), default="yes", help="priority of the generator")
    parser.add_argument("--parrot", action="store_true", help="the README's Parrot answers, in a thread for each call")
    parser.add_argument("--ladder", action="store_true", help=f"measure {', '.join(map(str, LADDER))} calls in turn")
    return parser.parse_args()


def main() -> None:
    """Measure, print, keep."""
    arguments = _arguments()
    rungs = LADDER if arguments.ladder else (arguments.calls,)
    runs: list[Json] = []
    try:
        build_generator()
        for calls in rungs:
            result = measure(
                Load(calls, arguments.seconds, arguments.rate, arguments.phases, arguments.parrot, arguments.realtime)
            )
            report(f"{'parrot' if arguments.parrot else 'echo'}-{calls}", result)
            runs.append(result)
    except MeasurementFailedError as error:
        raise SystemExit(str(error)) from None
    if len(runs) > 1:
        print(json.dumps({"runs": runs}))


if __name__ == "__main__":
    main()
