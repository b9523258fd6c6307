"""Connects one call to a bot for a provider's media streams; the gateway takes the role of the provider."""

from __future__ import annotations

import asyncio
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from gateway.agents.agent import Call
from gateway.agents.errors import AgentUnavailableError
from gateway.agents.network.coding import DECODED, ENCODED, Coding
from gateway.agents.network.dialects import MakeDialect
from gateway.agents.network.early import EarlyMessages
from gateway.agents.network.parameters import filled
from gateway.agents.network.twilio import BadMessageError, BotAudio, Clear, Dialect, Mark, StreamFacts
from gateway.agents.network.voice import Voice, carry
from gateway.agents.network.websocket import Endpoint, WebSocket, connect
from media.conversation.events import Dtmf, MarkReached
from media.g711 import RATE_HZ
from media.leg import Pcm
from media.resample import Resampler

FRAME_MS = 20
_FRAME_BYTES: Mapping[Coding, int] = {"mulaw": 160, "alaw": 160, "l16": 320}

_log = structlog.get_logger("agents")


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """The options that all streams of one agent share."""

    endpoint: Endpoint
    make_dialect: MakeDialect
    account: str
    parameters: Mapping[str, str]
    """Their values are templates for `gateway.agents.network.parameters.filled`."""
    connect_timeout_s: float
    buffer_ms: int


class MediaStreamsAgent:
    """Connects while the call rings, then passes audio, keys and marks between the call and the bot.

    The bot ends its part by closing the connection; then what it has sent is played to the end. A lost connection is a
    failure of the agent.
    """

    def __init__(self, options: StreamOptions) -> None:
        self._options = options
        self._voice = Voice(RATE_HZ, options.buffer_ms)
        self._loop = asyncio.get_running_loop()
        self._socket: WebSocket | None = None
        self._stream: Dialect | None = None
        self._encode: Callable[[Pcm], bytes] = ENCODED["mulaw"]
        self._decode: Callable[[bytes], Pcm] = DECODED["mulaw"]
        self._frame_bytes = _FRAME_BYTES["mulaw"]
        self._rest = b""
        self._early = EarlyMessages()
        self._resampler: Resampler | None = None
        self._ignored = 0
        self._malformed = 0

    async def prepare(self) -> None:
        """Connect.

        Raises:
            BackendError: the bot cannot be reached.
        """
        self._socket = await connect(self._options.endpoint, self, self._options.connect_timeout_s)

    def discard(self) -> None:
        """Close a connection that no call will use."""
        if self._socket is not None:
            self._socket.abort()

    async def run(self, call: Call) -> None:
        """Pass audio both ways until the caller hangs up or the bot closes the connection.

        Raises:
            BackendError: the connection was lost.
        """
        socket = self._socket
        if socket is None:
            raise AgentUnavailableError("not connected: prepare() comes first")
        stream = self._begin(call)
        for message in stream.opening():
            socket.send_text(message)
        for early in self._early.take():
            self.on_text(early)
        call.on_audio(self._on_frame)
        try:
            error = await carry(call, self._voice, self._listen(call, socket, stream), socket.over)
        finally:
            call.on_audio(None)
            socket.abort()
            self._report(call, socket)
        if error is not None:
            raise error

    def _begin(self, call: Call) -> Dialect:
        info, options = call.info, self._options
        parameters = {name: filled(text, info) for name, text in options.parameters.items()}
        facts = StreamFacts(info.id.replace("-", ""), options.account, info.from_, info.to, parameters)
        self._stream = stream = options.make_dialect(facts)
        self._encode, self._decode = ENCODED[stream.coding], DECODED[stream.coding]
        self._frame_bytes = _FRAME_BYTES[stream.coding]
        if call.rate_hz != RATE_HZ:
            self._resampler = Resampler(call.rate_hz, RATE_HZ)
        self._voice.begin(call)
        return stream

    # -- the caller is heard ------------------------------------------------------------------------------------------

    def _on_frame(self, pcm: Pcm) -> None:
        if self._resampler is not None:
            pcm = self._resampler.process(pcm)
        data = self._encode(pcm)
        if self._rest or len(data) != self._frame_bytes:  # providers always send 20 ms, whatever the line's frames are
            data = self._rest + data
            while len(data) >= self._frame_bytes:
                self._send_frame(data[: self._frame_bytes])
                data = data[self._frame_bytes :]
            self._rest = data
        else:
            self._send_frame(data)

    def _send_frame(self, data: bytes) -> None:
        if self._socket is not None and self._stream is not None:
            payload = binascii.b2a_base64(data, newline=False)
            self._socket.send_text(self._stream.media(payload, FRAME_MS))

    async def _listen(self, call: Call, socket: WebSocket, stream: Dialect) -> None:
        async for event in call.events(speech=False):
            match event:
                case Dtmf():
                    socket.send_text(stream.dtmf(event.digit, event.duration_ms))
                case MarkReached():
                    name = self._voice.reached(event.name)
                    if name is not None:
                        socket.send_text(stream.mark(name))
                case _:
                    self._send_marks(self._voice.on_event(event, self._loop.time()))
        socket.send_text(stream.stop())
        await socket.close()

    # -- the bot is heard ---------------------------------------------------------------------------------------------

    def on_text(self, text: bytes) -> None:
        """Handle a message of the bot; invalid messages are counted and ignored."""
        if self._stream is None:
            self._early.keep(text)
            return
        try:
            self._obey(self._stream, text)
        except BadMessageError:
            self._malformed += 1

    def on_binary(self, data: bytes) -> None:  # noqa: ARG002 - the protocol has none
        """Count it: the protocol has no binary messages."""
        self._malformed += 1

    def _obey(self, stream: Dialect, text: bytes) -> None:
        match stream.command(text):
            case BotAudio(audio):
                self._voice.play(self._decode(audio))
            case Mark(name):
                self._send_marks(self._voice.mark(name))
            case Clear():
                dropped = self._voice.clear()
                answer = stream.cleared()
                if answer is not None and self._socket is not None:
                    self._socket.send_text(answer)
                self._send_marks(dropped)
            case None:
                self._ignored += 1

    def _send_marks(self, names: list[str]) -> None:
        if self._socket is not None and self._stream is not None:
            for name in names:
                self._socket.send_text(self._stream.mark(name))

    def _report(self, call: Call, socket: WebSocket) -> None:
        lost = {
            "messages_ignored": self._ignored + self._early.lost,
            "messages_malformed": self._malformed,
            "messages_not_sent": socket.dropped,
            "bot_dropped_ms": self._voice.dropped_ms,
        }
        if any(lost.values()):
            _log.warning("agent.stream_impaired", call_id=call.info.call_id, **lost)
