"""What a frame costs in a call's pipeline, beside pipecat doing the same in the same run: `make bench-pipeline`.

The same work on both sides: 20 ms frames at 8 kHz pass a pipeline with a number of stages that hand them on, and are
counted at the end. Ours is a `Conversation` on a leg without a wire, with its stages behind `on_audio`; pipecat's is a
`PipelineWorker` with as many pass-through processors. CPU time of the process, not the clock on the wall.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.provenance import report
from media.conversation.conversation import Conversation
from media.conversation.floor import BargeIn, BargeInSettings
from media.leg import Flushed, Leg, LegListener, LegTap, Pcm, Position

if TYPE_CHECKING:
    from bench.provenance import Json

RATE_HZ = 8_000
FRAME_SAMPLES = 160
STAGES = 5
MORE_STAGES = 25
BATCH = 50
PIPECAT = "pipecat-ai>=1.14,<2"
PIPECAT_SIDE = Path(__file__).with_name("pipecat_side.py")

Stage = Callable[[Pcm], None]


class NullLeg(Leg):
    """A leg that takes everything and plays it at once."""

    def __init__(self) -> None:
        self.listener: LegListener | None = None
        self._played = 0

    @property
    def rate_hz(self) -> int:
        """8 kHz."""
        return RATE_HZ

    def play(self, pcm: Pcm, mark: int | None = None) -> None:  # noqa: ARG002 - marks are not told
        """Play at once."""
        self._played += len(pcm)

    def flush(self) -> Flushed:
        """There is never anything to drop."""
        return Flushed(self._played, 0, ())

    def pause(self) -> None:
        """There is never anything to hold."""

    def resume(self) -> None:
        """There is never anything held."""

    def position(self) -> Position:
        """All is played."""
        return Position(self._played, 0, 0.0)

    def add_tap(self, tap: LegTap) -> None:
        """Nobody overhears."""

    def remove_tap(self, tap: LegTap) -> None:
        """Nobody does."""

    def sent(self, samples: int) -> Pcm:
        """An agent that is silent."""
        return np.zeros(samples, np.int16)


def voice_like(frames: int) -> list[Pcm]:
    """Frames of a buzz over noise, a second of it and a second of quiet in turn: half of a phone call is silence."""
    rng = np.random.default_rng(7)
    time_s = np.arange(frames * FRAME_SAMPLES) / RATE_HZ
    buzz = sum(np.sin(2 * np.pi * 140 * n * time_s) / n for n in range(1, 12)) * 4_000
    sound = np.where(time_s % 2 < 1, buzz, 0) + rng.normal(0, 5, len(time_s))
    pcm = sound.astype(np.int16)
    pcm.flags.writeable = False
    return list(pcm.reshape(frames, FRAME_SAMPLES))


def hand_on(following: Stage) -> Stage:
    """A stage that does nothing but hand on."""

    def stage(pcm: Pcm) -> None:
        following(pcm)

    return stage


def chain(stages: int) -> Stage:
    """Stages in a row; the last one counts."""
    count = 0

    def last(_pcm: Pcm) -> None:
        nonlocal count
        count += 1

    first: Stage = last
    for _ in range(stages - 1):
        first = hand_on(first)
    return first


def measured(work: Callable[[], None], frames: int, rounds: int) -> list[float]:
    """Microseconds of CPU per frame, one figure per round."""
    work()
    costs = []
    for _ in range(rounds):
        begin = time.process_time_ns()
        work()
        costs.append((time.process_time_ns() - begin) / frames / 1_000)
    return costs


async def inline_us(mode: BargeIn, stages: int, frames: list[Pcm], rounds: int) -> list[float]:
    """Through the conversation to an inline consumer with stages behind it; VAD runs unless the mode is off."""
    call = Conversation(NullLeg(), barge_in=BargeInSettings(mode=mode))
    call.on_audio(chain(stages))

    def work() -> None:
        for pcm in frames:
            call.on_frame(pcm)

    costs = measured(work, len(frames), rounds)
    call.close()
    return costs


async def echo_us(frames: list[Pcm], rounds: int) -> list[float]:
    """Through the conversation and back into the leg, with the news that it was played, as an echo call does."""
    call = Conversation(NullLeg(), barge_in=BargeInSettings(mode=BargeIn.OFF))
    call.on_audio(call.play)

    def work() -> None:
        for pcm in frames:
            call.on_frame(pcm)
            call.on_drained()

    costs = measured(work, len(frames), rounds)
    if call.failure is not None:
        raise call.failure
    call.close()
    return costs


async def hear_us(frames: list[Pcm], rounds: int) -> list[float]:
    """Through the lane to a coroutine that waits for each single frame: the agent's task wakes every time."""
    call = Conversation(NullLeg(), barge_in=BargeInSettings(mode=BargeIn.OFF))
    count = 0

    async def agent() -> None:
        nonlocal count
        async for _ in call.hear():
            count += 1

    listening = asyncio.create_task(agent())
    costs = []
    for _ in range(rounds + 1):
        begin = time.process_time_ns()
        for pcm in frames:
            call.on_frame(pcm)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        costs.append((time.process_time_ns() - begin) / len(frames) / 1_000)
    call.on_call_over()
    await listening
    call.close()
    assert count == len(frames) * (rounds + 1)  # noqa: S101 - a figure for frames that did not arrive is none
    return costs[1:]


def pipecat_python() -> Path:
    """Python of a virtual environment that holds pipecat, made on first use in Offhook's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = cache / "offhook" / "pipecat-venv"
    python = home / "bin" / "python"
    if python.exists() and _has_pipecat(python):
        return python
    print(f"installing pipecat from PyPI into {home} (once, about 2 minutes)", file=sys.stderr)
    venv.create(home, with_pip=True, clear=True)
    unconstrained = {name: value for name, value in os.environ.items() if name != "PIP_CONSTRAINT"}
    subprocess.run([python, "-m", "pip", "install", "--quiet", PIPECAT], check=True, env=unconstrained)
    return python


def _has_pipecat(python: Path) -> bool:
    return subprocess.run([python, "-c", "import pipecat"], capture_output=True, check=False).returncode == 0


def pipecat_us(frames: int, rounds: int) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Pipecat's figures by number of processors, and its versions."""
    command = [str(pipecat_python()), str(PIPECAT_SIDE), "--stages", str(STAGES), str(MORE_STAGES)]
    command += ["--frames", str(frames), "--batch", str(BATCH), "--rounds", str(rounds)]
    environment = {**os.environ, "LOGURU_AUTOINIT": "False"}  # its log lines would be part of the cost
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"pipecat did not run:\n{done.stderr[-2_000:]}")
    told = json.loads(done.stdout.splitlines()[-1])
    return told["us"], told["versions"]


def result(frames_count: int, pipecat_frames: int, rounds: int) -> dict[str, Json]:
    """Measure everything, pipecat last; the figures are medians of the samples."""
    frames = voice_like(frames_count)
    samples: dict[str, list[float]] = {
        "frame_us": asyncio.run(inline_us(BargeIn.OFF, STAGES, frames, rounds)),
        "frame_more_stages_us": asyncio.run(inline_us(BargeIn.OFF, MORE_STAGES, frames, rounds)),
        "frame_vad_us": asyncio.run(inline_us(BargeIn.PAUSE, STAGES, frames, rounds)),
        "frame_echo_us": asyncio.run(echo_us(frames, rounds)),
        "frame_hear_us": asyncio.run(hear_us(frames, rounds)),
    }
    pipecat, versions = pipecat_us(pipecat_frames, rounds)
    samples["pipecat_frame_us"] = pipecat[str(STAGES)]
    samples["pipecat_more_stages_us"] = pipecat[str(MORE_STAGES)]
    median = {name: statistics.median(values) for name, values in samples.items()}
    more = MORE_STAGES - STAGES
    figures: dict[str, Json] = {
        "stages": STAGES,
        "frame_us": round(median["frame_us"], 3),
        "stage_us": round((median["frame_more_stages_us"] - median["frame_us"]) / more, 4),
        "frame_vad_us": round(median["frame_vad_us"], 3),
        "frame_echo_us": round(median["frame_echo_us"], 3),
        "frame_hear_us": round(median["frame_hear_us"], 3),
        "pipecat_frame_us": round(median["pipecat_frame_us"], 1),
        "pipecat_stage_us": round((median["pipecat_more_stages_us"] - median["pipecat_frame_us"]) / more, 2),
        "ratio": round(median["pipecat_frame_us"] / median["frame_us"], 1),
        "pipecat_versions": dict(versions),
        "ratio_vad": round(median["pipecat_frame_us"] / median["frame_vad_us"], 1),
        "ratio_hear": round(median["pipecat_frame_us"] / median["frame_hear_us"], 1),
        "samples": {name: [round(value, 3) for value in values] for name, values in samples.items()},
    }
    return figures


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the result as the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--pipecat-frames", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args(arguments)
    report("pipeline", result(given.frames, given.pipecat_frames, given.rounds))


if __name__ == "__main__":
    main()
