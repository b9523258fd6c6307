"""A pipecat bot as its documentation has it for Twilio, run in an environment of its own: `pipecat_bot.py PORT`.

It says what it hears; on the key 1 it plays five seconds of tone, and on 2 it interrupts itself.
"""

# mypy: ignore-errors
# ruff: noqa: ANN001, ANN201, ANN202, T201

import math
import struct
import sys

import uvicorn
from fastapi import FastAPI, WebSocket
from pipecat.frames.frames import InputAudioRawFrame, InputDTMFFrame, OutputAudioRawFrame, TTSAudioRawFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.runner.utils import parse_telephony_websocket
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport
from pipecat.workers.runner import WorkerRunner

RATE_HZ = 8_000
TONE_HZ = 1_000
TONE_S = 5

app = FastAPI()


class Answers(FrameProcessor):
    """Stands where a bot has its recogniser, its model and its synthesis."""

    async def process_frame(self, frame, direction):
        """Hear, and speak."""
        await super().process_frame(frame, direction)
        match frame:
            case InputAudioRawFrame():
                await self.push_frame(OutputAudioRawFrame(frame.audio, frame.sample_rate, frame.num_channels))
            case InputDTMFFrame() if frame.button.value == "1":
                await self.push_frame(TTSAudioRawFrame(tone(), RATE_HZ, 1))
            case InputDTMFFrame() if frame.button.value == "2":
                await self.broadcast_interruption()
            case _:
                await self.push_frame(frame, direction)


def tone():
    """The five seconds."""
    samples = (round(8_000 * math.sin(2 * math.pi * TONE_HZ * at / RATE_HZ)) for at in range(TONE_S * RATE_HZ))
    return struct.pack(f"<{TONE_S * RATE_HZ}h", *samples)


@app.websocket("/ws")
async def take(websocket: WebSocket):
    """One call."""
    await websocket.accept()
    provider, call = await parse_telephony_websocket(websocket)
    print("provider", provider, "body", dict(call["body"]), flush=True)
    serializer = TwilioFrameSerializer(
        stream_sid=call["stream_id"],
        call_sid=call["call_id"],
        params=TwilioFrameSerializer.InputParams(auto_hang_up=False),
    )
    params = FastAPIWebsocketParams(
        audio_in_enabled=True, audio_out_enabled=True, add_wav_header=False, serializer=serializer
    )
    transport = FastAPIWebsocketTransport(websocket=websocket, params=params)
    worker = PipelineWorker(
        Pipeline([transport.input(), Answers(), transport.output()]),
        params=PipelineParams(audio_in_sample_rate=RATE_HZ, audio_out_sample_rate=RATE_HZ),
    )

    @transport.event_handler("on_client_disconnected")
    async def gone(_transport, _client):
        print("disconnected", flush=True)
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="info")
