"""Writes the figures of bench/results into README.md, so that none stands there that was not measured."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from bench.provenance import RESULTS, ROOT, Json

if TYPE_CHECKING:
    from collections.abc import Iterator

README = ROOT / "README.md"
_BEGIN, _END = "<!-- figures: begin -->\n", "<!-- figures: end -->"


def main() -> int:
    """Replace what stands between the marks; 1 when there are no results."""
    text = table()
    if text is None:
        sys.stderr.write(f"no results in {RESULTS}: run the benchmarks first\n")
        return 1
    before, rest = README.read_text().split(_BEGIN, 1)
    _, after = rest.split(_END, 1)
    README.write_text(before + _BEGIN + text + _END + after)
    return 0


def table() -> str | None:
    """The figures as Markdown, or None without results."""
    echoes = sorted(
        (_read(path.stem) for path in RESULTS.glob("echo-*.json")), key=lambda result: _int(result, "calls")
    )
    if not echoes:
        return None
    return "\n".join([*_echo_lines(echoes), "", *_other_lines(), ""])


def _echo_lines(echoes: list[dict[str, Json]]) -> Iterator[str]:
    machine = echoes[-1]["machine"]
    cores = machine["cores"] if isinstance(machine, dict) else "?"
    cpu = machine["cpu"] if isinstance(machine, dict) else "?"
    yield f"Echo, wire to wire, on {cores} cores ({cpu}), the generator on the same ones; ms are p50 / p99:"
    yield ""
    yield "| calls | lost % | echo ms | wire to pipeline ms | between packets ms | % of a core per call | KB per call |"
    yield "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for one in echoes:
        spans = " | ".join(_span(one, key) for key in ("echo_ms", "ingest_ms", "gap_ms"))
        cost = f"{one['cpu_core_pct_per_call']:.3f} | {one['rss_kb_per_call']:.0f}"
        yield f"| {one['calls']} | {one['loss_pct']:.3f} | {spans} | {cost} |"


def _other_lines() -> Iterator[str]:
    for path in sorted(RESULTS.glob("setup-*.json")):
        setup = _read(path.stem)
        yield f"- Calls set up per second with {setup['live']} live: {setup['cps']}, {setup['failed']} failed."
    for path in sorted(RESULTS.glob("bargein-*.json")):
        result = _read(path.stem)
        yield (
            f"- Barge-in over {result['calls']} calls, from the first packet of speech to the last of the agent's "
            f"voice, less `min_speech`: {_span(result, 'stop_ms')} ms."
        )
    for path in sorted(RESULTS.glob("pipeline*.json")):
        result = _read(path.stem)
        yield (
            f"- A frame through the pipeline: {result['frame_us']:.2f} µs, one more stage {result['stage_us']:.2f} µs;"
            f" the same work in pipecat, same run: {result['pipecat_frame_us']:.0f} µs, {result['ratio']:.0f} times as"
            " much."
        )


def _read(name: str) -> dict[str, Json]:
    result = json.loads((RESULTS / f"{name}.json").read_text())
    if not isinstance(result, dict):
        raise TypeError(f"bench/results/{name}.json holds no object: measure it again")
    return result


def _int(result: dict[str, Json], key: str) -> int:
    value = result[key]
    return value if isinstance(value, int) else 0


def _span(result: dict[str, Json], key: str) -> str:
    spread = result[key]
    if not isinstance(spread, dict):
        return "-"
    return f"{spread['p50']:.1f} / {spread['p99']:.1f}"


if __name__ == "__main__":
    sys.exit(main())
