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


_decoder = msgspec.json.Decoder(_Message)


class MediaStreamsBot(WSListener):
    """As a bot for Twilio's media streams."""

    def __init__(self, durations: DurationFile) -> None:
        self._durations = durations

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Measure, and say it."""
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()
            return
        if frame.msg_type != WSMsgType.TEXT:
            return
        message = _decoder.decode(frame.get_payload_as_bytes())
        if message.media is not None:
            payload = binascii.b2a_base64(restamped(message.media.payload, self._durations), newline=False)
            transport.send(WSMsgType.TEXT, b'{"event":"media","media":{"payload":"%s"}}' % payload)


def restamped(audio: bytes, durations: DurationFile) -> bytes:
    """A frame of mu-law with the time of now; as it is if it has no stamp."""
    now_ns = time.monotonic_ns()
    stamp = read_stamp(mulaw_decoded(audio))
    if stamp is None:
        return audio
    durations.record(age_us(stamp, now_ns))
    return mulaw_encoded(write_stamp(Stamp(stamp.flow, stamp.sequence, now_ns // 1_000 % WRAP_US)))


KINDS = {"media-streams": MediaStreamsBot}


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
