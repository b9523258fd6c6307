"""Writes the figures of bench/results into README.md, so that none stands there that was not measured."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from bench.provenance import RESULTS, ROOT, Json

if TYPE_CHECKING:
    from collections.abc import Iterator

README = ROOT / "README.md"
_SPANS = ("echo_ms", "ingest_ms", "gap_ms")
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
    return "\n".join([*_echo_lines(echoes), "", *_other_lines(), "", *_pipeline_lines(), ""])


def _echo_lines(echoes: list[dict[str, Json]]) -> Iterator[str]:
    machine = echoes[-1]["machine"]
    cores = machine["cores"] if isinstance(machine, dict) else "?"
    cpu = machine["cpu"] if isinstance(machine, dict) else "?"
    yield (
        f"Echo, wire to wire, on {cores} cores ({cpu}), the generator on the same ones. Each figure is the median of "
        f"{_int(echoes[-1], 'runs') or 1} runs, with the least and the most in brackets; ms are p50 / p99:"
    )
    yield ""
    yield "| calls | lost % | echo ms | wire to pipeline ms | between packets ms | % of a core per call | KB per call |"
    yield "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for one in [*echoes, *(_read(path.stem) for path in sorted(RESULTS.glob("parrot-*.json")))]:
        parrot = _is_parrot(one)
        spans = " | ".join("-" if parrot and key == "ingest_ms" else _span(one, key) for key in _SPANS)
        cost = f"{_figure(one, 'cpu_core_pct_per_call', 3)} | {_figure(one, 'rss_kb_per_call', 0)}"
        calls = f"{one['calls']}, the `Parrot` above" if parrot else str(one["calls"])
        yield f"| {calls} | {_figure(one, 'loss_pct', 3)} | {spans} | {cost} |"


def _is_parrot(result: dict[str, Json]) -> bool:
    return result.get("agent") == "parrot"


def _other_lines() -> Iterator[str]:
    for path in sorted(RESULTS.glob("setup-*.json")):
        setup = _read(path.stem)
        per_second = _figure(setup, "cps", 1)
        yield f"- Calls set up per second with {setup['live']} live: {per_second}, {setup['failed']} failed."
    for path in sorted(RESULTS.glob("bargein-*.json")):
        result = _read(path.stem)
        p50, p99 = (_after_speech_ms(result, percentile) for percentile in ("p50", "p99"))
        yield (
            f"- Barge-in over {result['calls']} calls, `detector: {result['detector']}`: the agent's voice stops {p50} "
            f"/ {p99} ms after the caller's speech begins (p50 / p99; `min_speech` is {result['min_speech_ms']} ms, "
            f"less the packet that carries the beginning)."
        )
    for path in sorted(RESULTS.glob("overload.json")):
        yield from _overload_lines(_read(path.stem))
    for path in sorted(RESULTS.glob("vad.json")):
        yield from _detector_lines(_read(path.stem))


def _overload_lines(result: dict[str, Json]) -> Iterator[str]:
    hog, over = _object(result, "hog"), _object(result, "over")
    yield (
        f"- Beside a program that computes on every core, in a session of its own: {hog['calls']} echo calls lose "
        f"{_figure(result, 'hog.lost_pct', 3)} %, echo p99 {_figure(result, 'hog.echo_p99_ms', 0)} ms."
    )
    yield (
        f"- Of {over['offered']} calls at once {_figure(result, 'over.let_in', 0)} are let in, and lose "
        f"{_figure(result, 'over.lost_pct_of_let_in', 3)} %, echo p99 {_figure(result, 'over.echo_p99_ms', 0)} ms; the "
        f"others get 503."
    )


def _pipeline_lines() -> Iterator[str]:
    for path in sorted(RESULTS.glob("pipeline*.json")):
        result = _read(path.stem)
        pipecat = _figure(result, "pipecat_frame_us", 0)
        yield "| a frame of 20 ms through five stages that hand it on, CPU | Offhook µs | pipecat µs | times |"
        yield "| --- | ---: | ---: | ---: |"
        rows = (
            ("bare: the stages are plain calls; pipecat's are tasks with queues", "frame_us", "ratio"),
            ("with voice detection here, and none in pipecat", "frame_vad_us", "ratio_vad"),
            ("to an agent that waits for each frame in a task of its own", "frame_hear_us", "ratio_hear"),
        )
        for what, key, ratio in rows:
            yield f"| {what} | {_figure(result, key, 2)} | {pipecat} | {_figure(result, ratio, 0)} |"


def _detector_lines(result: dict[str, Json]) -> Iterator[str]:
    cost = _object(result, "cost")
    rows = _object(result, "accuracy")
    for detector, kind in (("webrtcvad", "webrtcvad_2"), ("silero", "silero")):
        found = [_object(_object(rows, row), kind) for row in ("car_20", "car_10", "car_5")]
        recall = " / ".join(f"{one['recall_pct']:.0f}" for one in found)
        wrong = " / ".join(f"{one['false_pct']:.1f}" for one in found)
        paid = _object(cost, detector)
        least, most = paid["cpu_core_pct_per_call_least"], paid["cpu_core_pct_per_call_most"]
        line = (
            f"- `detector: {detector}` in a car, 20 / 10 / 5 dB over its noise: hears {recall} % of speech, "
            f"takes {wrong} % of the rest for speech; {paid['cpu_core_pct_per_call']:.2f} % of a core per call of "
            f"{result['calls']} ({least:.2f} to {most:.2f}, load {_object(result, 'machine')['load_1m']:.1f})"
        )
        shares = paid["fallback_pct"]
        late = [one for one in shares if isinstance(one, float) and one > 0] if isinstance(shares, list) else []
        runs = len(shares) if isinstance(shares, list) else 0
        yield line + (
            f"; in {len(late)} of {runs} runs its thread fell behind, and webrtcvad judged up to {max(late):.0f} %."
            if late
            else "."
        )


def _object(result: dict[str, Json], key: str) -> dict[str, Json]:
    value = result[key]
    if not isinstance(value, dict):
        raise TypeError(f"{key} is no object: measure it again")
    return value


def _read(name: str) -> dict[str, Json]:
    result = json.loads((RESULTS / f"{name}.json").read_text())
    if not isinstance(result, dict):
        raise TypeError(f"bench/results/{name}.json holds no object: measure it again")
    return result


def _int(result: dict[str, Json], key: str) -> int:
    value = result.get(key)
    return value if isinstance(value, int) else 0


def _figure(result: dict[str, Json], name: str, digits: int, *, plus: int = 0) -> str:
    """A number, and how it was spread over the runs; `plus` is added to each."""
    value: Json = result
    for key in name.split("."):
        value = value[key] if isinstance(value, dict) else None
    if not isinstance(value, int | float):
        return "-"
    spreads = result.get("spread")
    ends = spreads.get(name) if isinstance(spreads, dict) else None
    middle = f"{value + plus:.{digits}f}"
    if not isinstance(ends, list):
        return middle
    least, most = (f"{end + plus:.{digits}f}" for end in ends if isinstance(end, int | float))
    return f"{middle} ({least} to {most})" if least != most else middle


def _span(result: dict[str, Json], name: str) -> str:
    return f"{_figure(result, f'{name}.p50', 1)} / {_capped(result, name)}{_figure(result, f'{name}.p99', 1)}"


def _capped(result: dict[str, Json], name: str) -> str:
    """`≥ ` where the p99 is the longest duration that is told apart."""
    found = _object(result, name)
    p99, capped_at = found.get("p99"), found.get("capped_at")
    if isinstance(p99, int | float) and isinstance(capped_at, int | float) and p99 > 0.999 * capped_at:
        return "≥ "
    return ""


def _after_speech_ms(result: dict[str, Json], percentile: str) -> str:
    """From the beginning of speech; the measurement leaves `min_speech` out."""
    speech = result["min_speech_ms"]
    return _figure(result, f"stop_ms.{percentile}", 0, plus=speech) if isinstance(speech, int) else "-"


if __name__ == "__main__":
    sys.exit(main())
