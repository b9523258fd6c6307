"""Draws bench/results/*.svg from the JSON results beside them, and from nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure

from bench.provenance import RESULTS

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

TARGETS = {"p50": 18.0, "p99": 32.0}
"""The echo latency that 500 calls are held to, in ms."""


def echo_runs(results: Path) -> list[dict[str, Any]]:
    """The results of bench-echo, by number of calls."""
    runs = [json.loads(path.read_text(encoding="utf-8")) for path in results.glob("echo-*.json")]
    return sorted(runs, key=lambda run: int(run["calls"]))


def _calls_axis(axes: Axes, calls: list[int]) -> None:
    axes.set_xscale("log")
    axes.set_xticks(calls, [str(count) for count in calls])
    axes.minorticks_off()
    axes.set_xlabel("calls")
    axes.grid(visible=True, alpha=0.3)


def _origin(run: dict[str, Any]) -> str:
    machine = run["machine"]
    return f"{machine['cpu']}, {machine['cores']} cores, generator on the same machine; commit {run['commit']}"


def _draw_times(axes: Axes, runs: list[dict[str, Any]], key: str, title: str, lines: tuple[str, ...]) -> None:
    calls = [run["calls"] for run in runs]
    for line in lines:
        axes.plot(calls, [run[key][line] for run in runs], marker="o", label=line.replace("_", "."))
    _calls_axis(axes, calls)
    axes.set_ylim(0, 1.1 * max(run[key][line] for run in runs for line in lines))
    axes.set_ylabel("ms")
    axes.set_title(title)
    axes.legend()


def draw_latency(runs: list[dict[str, Any]]) -> Figure:
    """Echo, ingest and gaps against the number of calls."""
    figure = Figure(figsize=(12, 4), layout="constrained")
    echo, ingest, gap = figure.subplots(1, 3)
    _draw_times(echo, runs, "echo_ms", "echo: wire to wire", ("p50", "p99", "p99_9"))
    for line, target in TARGETS.items():
        echo.axhline(target, linestyle=":", color="grey", linewidth=1)
        echo.annotate(f"{line} target", (runs[0]["calls"], target), fontsize=7, color="grey", va="bottom")
    _draw_times(ingest, runs, "ingest_ms", "ingest: wire to agent", ("p50", "p99"))
    _draw_times(gap, runs, "gap_ms", "gap between packets received", ("p50", "p99"))
    figure.supxlabel(_origin(runs[-1]), fontsize=7)
    return figure


def draw_cost(runs: list[dict[str, Any]]) -> Figure:
    """CPU and memory per call against the number of calls."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    cpu, memory = figure.subplots(1, 2)
    calls = [run["calls"] for run in runs]
    cpu.plot(calls, [run["cpu_core_pct_per_call"] for run in runs], marker="o", label="gateway")
    own = [run["generator"]["cpu_core_pct_per_call"] for run in runs]
    cpu.plot(calls, own, marker="o", linestyle="--", color="grey", label="generator")
    cpu.set_yscale("log")
    cpu.set_ylabel("% of a core per call")
    cpu.legend()
    memory.plot(calls, [run["rss_kb_per_call"] for run in runs], marker="o")
    memory.set_ylabel("KB per call")
    memory.set_ylim(bottom=0)
    for axes in (cpu, memory):
        _calls_axis(axes, calls)
    figure.supxlabel(_origin(runs[-1]), fontsize=7)
    return figure


def main() -> None:
    """Draw what there are results for."""
    mpl.rcParams["svg.hashsalt"] = "offhook"  # the same results draw the same file
    runs = echo_runs(RESULTS)
    if not runs:
        message = f"no echo-*.json in {RESULTS}: run the benchmark first"
        raise SystemExit(message)
    for name, figure in (("echo-latency", draw_latency(runs)), ("echo-cost", draw_cost(runs))):
        figure.savefig(RESULTS / f"{name}.svg", metadata={"Date": None})
        print(RESULTS / f"{name}.svg")


if __name__ == "__main__":
    main()
