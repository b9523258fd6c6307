"""The bot of `bench.network`, a process of its own: `python -m bench.bot_side KIND DURATIONS` prints its port.

It says what it hears at once, and measures on each frame how long it was under way from the generator. What it says
has the time of its saying in the place of the generator's, so that the generator measures the way back alone.
"""

from __future__ import annotations

import asyncio
import binascii
import contextlib
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server

from bench.histogram import DurationFile
from bench.stamp import Stamp, age_us, read_stamp, write_stamp
from media.g711 import mulaw_decoded, mulaw_encoded

if TYPE_CHECKING:
    from picows import WSUpgradeRequest

WRAP_US = 1 << 32


class _Media(msgspec.Struct):
    payload: bytes = b""


class _Message(msgspec.Struct):
    event: str = ""
    media: _Media | None = None


class _Event(msgspec.Struct):
    type: str = ""
    audio: bytes = b""


_decoder = msgspec.json.Decoder(_Message)
_realtime_decoder = msgspec.json.Decoder(_Event)


class _Bot(WSListener):
    def __init__(self, durations: DurationFile) -> None:
        self._durations = durations

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Answer what comes."""
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        elif frame.msg_type == WSMsgType.TEXT:
            answer = self.answer(frame.get_payload_as_bytes())
            if answer is not None:
                transport.send(WSMsgType.TEXT, answer)

    def answer(self, text: bytes) -> bytes | None:
        """What is said to a message."""
        raise NotImplementedError

    def restamped(self, audio: bytes) -> bytes:
        """A frame of mu-law with the time of now, as base64; as it is if it has no stamp."""
        now_ns = time.monotonic_ns()
        stamp = read_stamp(mulaw_decoded(audio))
        if stamp is not None:
            self._durations.record(age_us(stamp, now_ns))
            audio = mulaw_encoded(write_stamp(Stamp(stamp.flow, stamp.sequence, now_ns // 1_000 % WRAP_US)))
        return binascii.b2a_base64(audio, newline=False)


class MediaStreamsBot(_Bot):
    """As a bot for Twilio's media streams."""

    def answer(self, text: bytes) -> bytes | None:
        """Each frame again."""
        message = _decoder.decode(text)
        if message.media is None:
            return None
        return b'{"event":"media","media":{"payload":"%s"}}' % self.restamped(message.media.payload)


class RealtimeBot(_Bot):
    """As a server of OpenAI's Realtime API, one response without end."""

    def answer(self, text: bytes) -> bytes | None:
        """Each frame again, once the session is accepted."""
        event = _realtime_decoder.decode(text)
        match event.type:
            case "session.update":
                return b'{"type":"session.updated","session":{}}'
            case "input_audio_buffer.append":
                delta = self.restamped(event.audio)
                return b'{"type":"response.output_audio.delta","item_id":"a","response_id":"r","delta":"%s"}' % delta
            case _:
                return None


KINDS = {"media-streams": MediaStreamsBot, "openai-realtime": RealtimeBot}


async def serve(kind: str, durations: DurationFile) -> None:
    """Take connections until the process is ended."""

    def listener(_request: WSUpgradeRequest) -> WSListener:
        return KINDS[kind](durations)

    server = await ws_create_server(listener, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(PermissionError):  # as the generator: a real bot does not wait for this machine
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(sys.argv[1], DurationFile.open(Path(sys.argv[2]))))
