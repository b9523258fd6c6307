"""A bot's WebSocket server as a provider knows it, in a thread of its own: it does what a test says, and keeps all."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import numpy as np
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from media.g711 import mulaw_decoded, mulaw_encoded

if TYPE_CHECKING:
    import ssl
    from types import TracebackType

    from media.leg import Pcm

DEADLINE_S = 5.0

Message: TypeAlias = dict[str, Any]


@dataclass
class Stream:
    """One connection of the gateway."""

    connection: ServerConnection
    headers: Mapping[str, str]
    received: list[Message] = field(default_factory=list)
    """Every message, in order."""
    ended_with: int | None = None
    """The code with which the gateway closed it."""

    async def send(self, message: Message | str | bytes) -> None:
        """Send a message; text and bytes as they are."""
        await self.connection.send(json.dumps(message) if isinstance(message, dict) else message)

    def read(self, data: str | bytes) -> Message:
        """A message that has come."""
        message: Message = json.loads(data)
        return message

    async def greet(self) -> None:
        """What the server says before anything else."""

    async def say(self, pcm: Pcm) -> None:
        """Say this in one message, as with Twilio."""
        payload = base64.b64encode(mulaw_encoded(pcm)).decode()
        await self.send({"event": "media", "streamSid": self.stream_sid, "media": {"payload": payload}})

    async def mark(self, name: str) -> None:
        """Ask for a mark."""
        await self.send({"event": "mark", "streamSid": self.stream_sid, "mark": {"name": name}})

    async def clear(self) -> None:
        """Be silent."""
        await self.send({"event": "clear", "streamSid": self.stream_sid})

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """End the connection."""
        await self.connection.close(code, reason)

    def of(self, event: str) -> list[Message]:
        """The messages of one kind."""
        return [message for message in list(self.received) if message.get("event") == event]

    @property
    def stream_sid(self) -> str:
        """As Twilio names the stream; empty before it has begun."""
        starts = self.of("start")
        return str(starts[0].get("streamSid", "")) if starts else ""

    @property
    def marks(self) -> list[str]:
        """Those that came back."""
        return [message["mark"]["name"] for message in self.of("mark")]

    @property
    def heard(self) -> Pcm:
        """The caller's voice so far."""
        data = b"".join(base64.b64decode(message["media"]["payload"]) for message in self.of("media"))
        return mulaw_decoded(data) if data else np.zeros(0, np.int16)


Behaviour: TypeAlias = Callable[[Stream, Message], Awaitable[None]]


async def listens(stream: Stream, message: Message) -> None:
    """A bot that says nothing."""


async def parrots(stream: Stream, message: Message) -> None:
    """A bot that says what it hears."""
    if message["event"] == "media":
        media = {"payload": message["media"]["payload"]}
        await stream.send({"event": "media", "streamSid": stream.stream_sid, "media": media})


class Bot:
    """`with Bot(behaviour) as bot:` listens on a free port of loopback; the behaviour gets every message that comes."""

    def __init__(
        self,
        behave: Behaviour = listens,
        *,
        refuse: tuple[HTTPStatus, Mapping[str, str]] | None = None,
        tls: ssl.SSLContext | None = None,
        reads: bool = True,
        stream: type[Stream] = Stream,
    ) -> None:
        self.streams: list[Stream] = []
        self._make_stream = stream
        self.port = 0
        self._behave = behave
        self._refuse = refuse
        self._tls = tls
        self._reads = reads
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()), name="bot")

    @property
    def url(self) -> str:
        """Where it is."""
        return f"{'ws' if self._tls is None else 'wss'}://127.0.0.1:{self.port}/stream"

    @property
    def stream(self) -> Stream:
        """The newest connection."""
        return self.streams[-1]

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(DEADLINE_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(DEADLINE_S)
        self._loop.close()

    def do(self, work: Callable[[Stream], Awaitable[None]]) -> None:
        """Have the bot do something on its newest connection; returns when it has."""

        async def now() -> None:
            await work(self.stream)

        asyncio.run_coroutine_threadsafe(now(), self._loop).result(DEADLINE_S)

    async def until(self, what: Callable[[Stream], object]) -> None:
        """Wait for what the bot has been sent, or has done.

        Raises:
            TimeoutError: it has not come in time.
        """
        deadline_s = time.monotonic() + DEADLINE_S
        while not (self.streams and what(self.streams[-1])):
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"it did not come: {[one.received[-5:] for one in self.streams]}")
            await asyncio.sleep(0.005)

    async def _serve(self) -> None:
        def answer(connection: ServerConnection, _request: Request) -> Response | None:
            if self._refuse is None:
                return None
            status, headers = self._refuse
            response = connection.respond(status, "")
            for name, value in headers.items():
                response.headers[name] = value
            return response

        async with serve(
            self._take, "127.0.0.1", 0, ssl=self._tls, process_request=answer, close_timeout=0.2, max_size=None
        ) as server:
            self.port = server.sockets[0].getsockname()[1]
            self._ready.set()
            await self._stop.wait()

    async def _take(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        stream = self._make_stream(connection, dict(connection.request.headers.raw_items()))
        self.streams.append(stream)
        if not self._reads:
            connection.transport.pause_reading()
            await self._stop.wait()
        try:
            await stream.greet()
            async for text in connection:
                message = stream.read(text)
                stream.received.append(message)
                await self._behave(stream, message)
        except ConnectionClosed:
            pass
        stream.ended_with = connection.close_code
