"""The bot of `bench.peers`, a process of its own: `python -m bench.audiosocket_bot` prints its port.

A server for Asterisk's AudioSocket that says at once what it hears.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import cast

import uvloop

AUDIO_8K = 0x10
HEADER_BYTES = 3


class Parrot(asyncio.Protocol):
    """One connection, so one call."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep where to answer."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Send each whole message with audio back."""
        received = self._received
        received += data
        at = 0
        while len(received) - at >= HEADER_BYTES:
            end = at + HEADER_BYTES + int.from_bytes(received[at + 1 : at + HEADER_BYTES])
            if end > len(received):
                break
            if received[at] == AUDIO_8K and self._transport is not None:
                self._transport.write(bytes(received[at:end]))
            at = end
        del received[:at]


async def serve() -> None:
    """Take connections until the process is ended."""
    server = await asyncio.get_running_loop().create_server(Parrot, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(PermissionError):  # as the generator: a real bot does not wait for this machine
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())
