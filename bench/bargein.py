"""bench-bargein: how soon the agent's voice stops on the wire when the caller speaks.

Measured twice: with an agent that hears, and with one whose media lane is full; both have over 10 s of audio queued.
"""

from __future__ import annotations

import argparse
import dataclasses
from typing import TYPE_CHECKING

from bench.errors import MeasurementFailedError
from bench.gateway_process import AgentConfig, running_gateway
from bench.generator import build_generator, run_generator
from bench.provenance import report
from bench.usage import Window

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.provenance import Json

RATE = 50
ROUND_LIMIT_S = 20


@dataclasses.dataclass(frozen=True, slots=True)
class Load:
    """What is asked of the generator and of the gateway."""

    calls: int
    rounds: int
    """Interruptions in each call."""
    mode: str
    """`cut` or `pause`."""
    min_speech_ms: int
    detector: str = "webrtcvad"
    """`webrtcvad` or `silero`, which hears the caller."""


def measure(load: Load, entry: str) -> dict[str, Json]:
    """One run with agents of one class, against a gateway of its own."""
    barge_in: dict[str, Json] = {
        "mode": load.mode,
        "min_speech": f"{load.min_speech_ms}ms",
        "detector": load.detector,
    }
    with running_gateway(AgentConfig(entry, {}, barge_in), calls=load.calls) as gateway:
        window = Window(gateway.pid)
        options: dict[str, str | float] = {
            "target": gateway.target,
            "calls": load.calls,
            "rate": RATE,
            "rounds": load.rounds,
            "min-speech-ms": load.min_speech_ms,
        }
        limit_s = load.calls / RATE + load.rounds * ROUND_LIMIT_S + 60
        generated = run_generator("bargein", options, limit_s, window.on_event)
        left = gateway.live_calls()
    return _result(generated, window) | {"live_after": left}


def _result(generated: Mapping[str, Json], window: Window) -> dict[str, Json]:
    counted = (
        "calls",
        "answered",
        "stop_ms",
        "interruptions",
        "not_stopped",
        "agent_never_spoke",
        "failed",
        "failures",
    )
    return {
        **{key: generated[key] for key in counted},
        "cpu_core_pct": round(window.core_pct, 2),
        "rest_core_pct": round(window.rest_core_pct, 2),
        "machine_stolen_ms": round(window.stolen_ms),
        "generator": generated["generator"],
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.bargein", description=__doc__)
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3, help="interruptions in each call")
    parser.add_argument("--mode", choices=("cut", "pause"), default="cut")
    parser.add_argument("--min-speech-ms", type=int, default=120)
    parser.add_argument("--detector", choices=("webrtcvad", "silero"), default="webrtcvad")
    return parser.parse_args()


def main() -> None:
    """Measure, print, keep."""
    arguments = _arguments()
    load = Load(arguments.calls, arguments.rounds, arguments.mode, arguments.min_speech_ms, arguments.detector)
    try:
        build_generator()
        result = {
            **measure(load, "bench.agents:Talker"),
            "mode": load.mode,
            "min_speech_ms": load.min_speech_ms,
            "detector": load.detector,
            "full_lane": measure(load, "bench.agents:DeafTalker"),
        }
    except MeasurementFailedError as error:
        raise SystemExit(str(error)) from None
    report(f"bargein-{load.detector}-{load.calls}", result)


if __name__ == "__main__":
    main()
