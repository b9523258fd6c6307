"""The other side of `bench.pipeline`: pipecat moving frames through pass-through processors. Runs in its own venv.

Configured in pipecat's favour: no observers, no turn tracking, no RTVI, no idle watch; frames are queued in batches.
Prints one JSON object: microseconds per frame for each number of processors, one figure per round.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.metadata
import json
import platform
import time
from collections.abc import Sequence

from pipecat.frames.frames import EndFrame, Frame, InputAudioRawFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.workers.runner import WorkerRunner


class PassThrough(FrameProcessor):  # type: ignore[misc]  # mypy's environment has no pipecat
    """Hands every frame on."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Take one frame."""
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)


class Last(FrameProcessor):  # type: ignore[misc]
    """Counts audio frames and tells when enough have come."""

    def __init__(self) -> None:
        super().__init__()
        self.missing = 0
        self.all_came = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Take one frame."""
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            self.missing -= 1
            if self.missing == 0:
                self.all_came.set()
        await self.push_frame(frame, direction)


async def measure(stages: int, frames: int, batch: int, rounds: int) -> list[float]:
    """Microseconds of process CPU per frame through `stages` processors, the counting one included."""
    last = Last()
    pipeline = Pipeline([*(PassThrough() for _ in range(stages - 1)), last])
    worker = PipelineWorker(
        pipeline, enable_turn_tracking=False, enable_rtvi=False, idle_timeout_secs=None, check_dangling_tasks=False
    )
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    audio = bytes(320)

    async def send(count: int) -> None:
        for start in range(0, count, batch):
            size = min(batch, count - start)
            last.missing = size
            last.all_came.clear()
            for _ in range(size):
                await worker.queue_frame(InputAudioRawFrame(audio=audio, sample_rate=8_000, num_channels=1))
            await last.all_came.wait()

    await send(batch)
    costs: list[float] = []
    for _ in range(rounds):
        begin = time.process_time_ns()
        await send(frames)
        costs.append((time.process_time_ns() - begin) / frames / 1_000)
    await worker.queue_frame(EndFrame())
    await running
    return costs


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--stages", type=int, nargs="+", required=True)
    parser.add_argument("--frames", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--rounds", type=int, required=True)
    given = parser.parse_args(arguments)
    costs = {
        str(stages): asyncio.run(measure(stages, given.frames, given.batch, given.rounds)) for stages in given.stages
    }
    versions = {"pipecat-ai": importlib.metadata.version("pipecat-ai"), "pipecat_python": platform.python_version()}
    print(json.dumps({"us": costs, "versions": versions}))


if __name__ == "__main__":
    main()
