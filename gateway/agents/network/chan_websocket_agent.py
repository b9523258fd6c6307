"""Connects one call to an application for Asterisk's WebSocket channel; the gateway takes the role of Asterisk."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from gateway.agents.agent import Call
from gateway.agents.errors import AgentUnavailableError
from gateway.agents.network.chan_websocket import (
    FORMATS,
    PTIME_MS,
    QUEUE_MAX,
    XOFF_LEVEL,
    XON_LEVEL,
    BadCommandError,
    ControlMessages,
    MediaCommand,
    Verb,
    frame_bytes,
)
from gateway.agents.network.coding import DECODED, Encoder
from gateway.agents.network.early import EarlyMessages
from gateway.agents.network.errors import BackendError
from gateway.agents.network.parameters import filled
from gateway.agents.network.voice import Voice, carry
from gateway.agents.network.websocket import Endpoint, WebSocket, connect
from media.conversation.events import Dtmf, MarkReached
from media.leg import Pcm

BUFFER_MS = QUEUE_MAX * PTIME_MS

_log = structlog.get_logger("agents")


@dataclass(frozen=True, slots=True)
class ChanWebSocketOptions:
    """The options that all connections of one agent share."""

    endpoint: Endpoint
    format: str
    """A key of `FORMATS`."""
    as_json: bool
    """Whether control messages are JSON."""
    variables: Mapping[str, str]
    """The channel variables; their values are templates for `gateway.agents.network.parameters.filled`."""
    connect_timeout_s: float


class ChanWebSocketAgent:
    """Connects while the call rings, then passes audio, keys and marks between the call and the application.

    The application ends its part with HANGUP, which silences it at once, or by closing the connection; then what it has
    sent is played to the end.
    """

    def __init__(self, options: ChanWebSocketOptions) -> None:
        self._options = options
        self._audio = FORMATS[options.format]
        self._decode = DECODED[self._audio.coding]
        self._frame_bytes = frame_bytes(self._audio)
        self._voice = Voice(self._audio.rate_hz, BUFFER_MS)
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[BackendError | None] = self._loop.create_future()
        """Done when the connection has ended, or the application has ended its part."""
        self._socket: WebSocket | None = None
        self._call: Call | None = None
        self._control: ControlMessages | None = None
        self._encoder: Encoder | None = None
        self._early = EarlyMessages()
        self._heard_rest = b""
        self._said_rest = b""
        self._buffering = False
        self._full = False
        """Whether the application was asked to stop sending (MEDIA_XOFF)."""
        self._room: asyncio.TimerHandle | None = None
        """The timer of the next check for room in the queue."""
        self._reports_drained = False
        self._ignored = 0
        self._malformed = 0

    async def prepare(self) -> None:
        """Connect.

        Raises:
            BackendError: the application cannot be reached.
        """
        self._socket = await connect(self._options.endpoint, self, self._options.connect_timeout_s)

    def discard(self) -> None:
        """Close a connection that no call will use."""
        self._over.cancel()
        if self._socket is not None:
            self._socket.abort()

    async def run(self, call: Call) -> None:
        """Pass audio both ways until the caller hangs up or the application ends its part.

        Raises:
            BackendError: the connection was lost.
        """
        socket = self._socket
        if socket is None:
            raise AgentUnavailableError("not connected: prepare() comes first")
        control = self._begin(call, socket)
        for early in self._early.take():
            self.on_text(early)
        call.on_audio(self._on_frame)
        try:
            error = await carry(call, self._voice, self._listen(call, socket, control), self._over)
            await socket.close()
        finally:
            call.on_audio(None)
            if self._room is not None:
                self._room.cancel()
            socket.abort()
            self._report(call, socket)
        if error is not None:
            raise error

    def _begin(self, call: Call, socket: WebSocket) -> ControlMessages:
        options, info = self._options, call.info
        channel_id = info.id or str(uuid.uuid4())
        self._call = call
        self._control = control = ControlMessages(channel_id, as_json=options.as_json)
        self._encoder = Encoder(call.rate_hz, self._audio)
        variables = {name: filled(text, info) for name, text in options.variables.items()}
        socket.send_text(control.started(f"WebSocket/{channel_id}", options.format, self._audio, variables))
        socket.over.add_done_callback(lambda over: self._end(over.result()))
        self._voice.begin(call)
        self._look_for_excess()
        return control

    def _end(self, error: BackendError | None) -> None:
        if not self._over.done():
            self._over.set_result(error)

    # -- the caller is heard ------------------------------------------------------------------------------------------

    def _on_frame(self, pcm: Pcm) -> None:
        if self._encoder is None or self._socket is None:
            return
        data = self._heard_rest + self._encoder.encoded(pcm)
        size = self._frame_bytes
        whole = len(data) - len(data) % size
        for start in range(0, whole, size):  # like Asterisk, always 20 ms, whatever the frame length of the line
            self._socket.send_binary(data[start : start + size])
        self._heard_rest = data[whole:]

    async def _listen(self, call: Call, socket: WebSocket, control: ControlMessages) -> None:
        async for event in call.events(speech=False):
            match event:
                case Dtmf():
                    socket.send_text(control.key(event.digit))
                case MarkReached():
                    answer = self._voice.reached(event.name)
                    if answer is not None:
                        socket.send_text(answer.encode())
                case _:
                    # Marks dropped by an interruption are answered, as the application did not ask to drop them.
                    for answer in self._voice.on_event(event, self._loop.time()):
                        socket.send_text(answer.encode())
                    self._tell_drained()
        await socket.close()

    # -- the application is heard -------------------------------------------------------------------------------------

    def on_binary(self, data: bytes) -> None:
        """Play audio, any number of bytes; ignored after HANGUP."""
        if self._over.done():
            return
        if self._audio.coding == "l16":
            data = self._said_rest + data
            self._said_rest = data[len(data) & ~1 :] if self._buffering else b""
            data = data[: len(data) & ~1]
        self._voice.play(self._decode(data))
        self._look_for_excess()

    def _look_for_excess(self) -> None:
        if self._call is not None and not self._full and self._queued_frames >= XOFF_LEVEL:
            self._full = True
            self._tell(ControlMessages.wait)
            self._look_for_room()

    def _look_for_room(self) -> None:
        """Send MEDIA_XON once the queue is short enough; when to look again follows from the queue's length."""
        excess = self._queued_frames - XON_LEVEL
        if excess >= 0:
            self._room = self._loop.call_later((excess + 1) * PTIME_MS / 1_000, self._look_for_room)
            return
        self._full = False
        self._tell(ControlMessages.go_on)

    @property
    def _queued_frames(self) -> int:
        return self._voice.queued_ms // PTIME_MS

    def on_text(self, text: bytes) -> None:
        """Execute a command; invalid messages are counted and ignored."""
        control, socket = self._control, self._socket
        if control is None or socket is None:
            self._early.keep(text)
            return
        if self._over.done():
            return
        try:
            command = control.command(text)
        except BadCommandError as error:
            self._malformed += 1
            if self._options.as_json and str(error) == "not JSON":
                socket.send_text(control.error("Unable to parse JSON command"))
            return
        self._obey(command, control, socket)

    def _obey(self, command: MediaCommand, control: ControlMessages, socket: WebSocket) -> None:
        match command.verb:
            case Verb.ANSWER:
                pass  # the call is already answered
            case Verb.HANGUP:
                self._voice.clear()
                self._end(None)
            case Verb.START_MEDIA_BUFFERING:
                self._buffering = True
            case Verb.STOP_MEDIA_BUFFERING:
                self._buffering = False
                self._said_rest = b""
                self._mark(control.buffered(command.correlation_id), socket)
            case Verb.MARK_MEDIA:
                self._mark(control.marked(command.correlation_id), socket)
            case Verb.FLUSH_MEDIA:
                self._buffering = False
                self._said_rest = b""
                self._voice.clear()  # also drops the marks, like Asterisk
                self._tell_drained()
            case Verb.GET_STATUS:
                status = control.status(self._queued_frames, full=self._full, buffering=self._buffering)
                socket.send_text(status)
            case Verb.REPORT_QUEUE_DRAINED:
                self._reports_drained = True
                self._tell_drained()
            case Verb.PAUSE_MEDIA | Verb.CONTINUE_MEDIA:
                self._ignored += 1
                socket.send_text(control.error(f"{command.verb.value} not supported"))

    def _mark(self, answer: bytes, socket: WebSocket) -> None:
        """Send the answer when all earlier audio was heard; at once if an interruption dropped that audio."""
        for now in self._voice.mark(answer.decode()):
            socket.send_text(now.encode())

    def _tell_drained(self) -> None:
        if self._reports_drained and self._voice.queued_ms == 0:
            self._reports_drained = False
            self._tell(ControlMessages.drained)

    def _tell(self, event: Callable[[ControlMessages], bytes]) -> None:
        if self._socket is not None and self._control is not None:
            self._socket.send_text(event(self._control))

    def _report(self, call: Call, socket: WebSocket) -> None:
        lost = {
            "messages_ignored": self._ignored + self._early.lost,
            "messages_malformed": self._malformed,
            "messages_not_sent": socket.dropped,
            "bot_dropped_ms": self._voice.dropped_ms,
        }
        if any(lost.values()):
            _log.warning("agent.stream_impaired", call_id=call.info.call_id, **lost)
