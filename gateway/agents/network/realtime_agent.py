"""One call of a speech-to-speech model behind OpenAI's Realtime API, or a server of the same shape."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from gateway.agents.agent import Call
from gateway.agents.errors import AgentUnavailableError
from gateway.agents.network import realtime
from gateway.agents.network.answers import Answers
from gateway.agents.network.early import EarlyMessages
from gateway.agents.network.errors import BackendError
from gateway.agents.network.history import History, heard_words
from gateway.agents.network.keys import Keypad
from gateway.agents.network.parameters import filled
from gateway.agents.network.realtime import (
    AudioFormat,
    BadEventError,
    CallerBegan,
    CallerEnded,
    CallerSaid,
    ModelSaid,
    ResponseAudio,
    ResponseBegan,
    ResponseDone,
    ServerEvent,
    ServerFault,
    SessionFacts,
    SessionUpdated,
    ToolCalled,
)
from gateway.agents.network.tools import ToolSet, ToolUse
from gateway.agents.network.voice import Voice
from gateway.agents.network.websocket import Endpoint, WebSocket, connect
from gateway.agents.outcome import Outcome
from media.conversation.events import Dtmf, Interrupted
from media.g711 import RATE_HZ as G711_RATE_HZ
from media.g711 import alaw_decoded, alaw_encoded, mulaw_decoded, mulaw_encoded
from media.leg import Pcm
from media.pcm_bytes import pcm16_decoded, pcm16_encoded
from media.resample import Resampler

BUFFER_MS = 120_000
"""A model sends its answer as fast as it can: two minutes of it may wait."""
EARLY_FRAMES = 250
"""Frames of the caller's voice that are kept while there is no session: five seconds."""
SESSION_S = 10.0
"""A server must have accepted a session within this."""
RENEWALS_MAX = 5
"""Sessions of one call in a row, without an answer between them."""
RENEWAL_PAUSE_S = 0.5

_log = structlog.get_logger("agents")


@dataclass(frozen=True, slots=True)
class RealtimeOptions:
    """What the sessions of one agent have in common."""

    endpoint: Endpoint
    instructions: str
    """A template, as `gateway.agents.network.parameters` fills it."""
    greeting: str | None
    """As `instructions`: what the model is told to say first; None lets the caller speak first."""
    audio_format: AudioFormat | None
    """None: that of the line."""
    voice: str | None
    transcription: str | None
    turn_detection: Mapping[str, Any] | None
    tools: ToolSet
    connect_timeout_s: float


class ModelFailedError(BackendError):
    """The server refuses the session, or the model cannot answer: a new session would not help."""


class RealtimeAgent:
    """Connects while it rings, and lets the model talk; a session that ends in mid-call is followed by another one.

    The server or the gateway notices that the caller interrupts; the first one silences the model. The model then
    learns how much of its answer was heard.
    """

    def __init__(self, options: RealtimeOptions) -> None:
        self._options = options
        self._socket: WebSocket | None = None
        self._early = EarlyMessages()
        self._call: Call | None = None
        self._voice = Voice(G711_RATE_HZ, BUFFER_MS)
        self._answers = Answers(self._voice)
        self._encode: Callable[[Pcm], bytes] = mulaw_encoded
        self._decode: Callable[[bytes], Pcm] = mulaw_decoded
        self._heard_hz = self._said_hz = G711_RATE_HZ
        self._to_server: Resampler | None = None
        self._waiting: deque[Pcm] = deque(maxlen=EARLY_FRAMES)
        """The caller's voice while there is no session."""
        self._session: asyncio.Future[None] | None = None
        """Done when the session is as asked; the caller's voice waits for it."""
        self._response: str | None = None
        """The answer that is being made."""
        self._tools_called: list[ToolCalled] = []
        self._tool_use = ToolUse(options.tools)
        self._finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the model has ended its part in the call."""
        self._keypad = Keypad(self._tell_keys)
        self._history = History()
        self._caller_waits = False
        """Whether the caller has said something that no answer followed; the server answers by itself."""
        self._keys_wait = False
        """Whether the caller has pressed keys during an answer; the server must be asked for the next one."""
        self._failed_responses = 0
        self._renewals = 0
        self._ignored = 0
        self._malformed = 0

    async def prepare(self) -> None:
        """Connect.

        Raises:
            BackendError: the server cannot be reached.
        """
        self._socket = await self._connected()

    async def _connected(self) -> WebSocket:
        return await connect(self._options.endpoint, self, self._options.connect_timeout_s)

    def discard(self) -> None:
        """Let go of a connection that no call will have."""
        if self._socket is not None:
            self._socket.abort()

    async def run(self, call: Call) -> Outcome | None:
        """Let the model talk until the caller hangs up, or a tool ends its part.

        Raises:
            BackendError: the server refuses the session, fails, or is lost and cannot be reached again.
        """
        if self._socket is None:
            raise AgentUnavailableError("not connected: prepare() comes first")
        self._call = call
        self._voice.begin(call)
        self._to_server = Resampler(call.rate_hz, self._heard_hz)
        asked = self._options.audio_format or _format_of(call)
        self._hear_as(asked)
        self._say_as(asked)
        call.on_audio(self._on_frame)
        error: BackendError | None = None
        try:
            async with asyncio.TaskGroup() as tasks:
                pumping = tasks.create_task(self._voice.pump(), name="realtime:voice")
                listening = tasks.create_task(self._listen(call), name="realtime:events")
                talking = tasks.create_task(self._sessions(call), name="realtime:session")
                await asyncio.wait({listening, talking}, return_when=asyncio.FIRST_COMPLETED)
                error = talking.result() if talking.done() else None
                if error is None and not call.over:
                    await self._voice.until_empty()
                    if self._tool_use.hangs_up:
                        call.hang_up()
                for task in (pumping, listening, talking):
                    task.cancel()
            await self._socket.close()
        finally:
            call.on_audio(None)
            self._keypad.close()
            self.discard()
            self._report(call)
        if error is not None:
            raise error
        return self._tool_use.outcome

    # -- sessions -----------------------------------------------------------------------------------------------------

    async def _sessions(self, call: Call) -> BackendError | None:
        """Talk, in one session after the other; returns why it cannot go on, or None when the model's part is over."""
        try:
            await self._open_session(call, greet=True)
            while True:
                assert self._socket is not None  # noqa: S101 - it was just opened
                over = self._socket.over
                either: set[asyncio.Future[Any]] = {over, self._finished}
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                if self._finished.done() or call.over:
                    return None
                await self._renew(call, over.result())
        except BackendError as error:
            return error

    async def _open_session(self, call: Call, *, greet: bool) -> None:
        socket, options, info = self._socket, self._options, call.info
        assert socket is not None  # noqa: S101 - it was just opened
        self._session = asyncio.get_running_loop().create_future()
        facts = SessionFacts(
            filled(options.instructions, info),
            options.audio_format or _format_of(call),
            options.voice,
            options.transcription,
            options.turn_detection,
            options.tools.declared(),
        )
        socket.send_text(realtime.session_update(facts))
        for text in self._early.take():
            self.on_text(text)
        either: set[asyncio.Future[Any]] = {self._session, socket.over}
        await asyncio.wait(either, timeout=SESSION_S, return_when=asyncio.FIRST_COMPLETED)
        if not self._session.done():
            error = socket.over.result() if socket.over.done() else None
            raise error or BackendError(f"{options.endpoint.shown} did not accept a session within {SESSION_S:g} s")
        for role, said in self._history:
            socket.send_text(realtime.said_before(role, said))
        while self._waiting:
            self._send_frame(socket, self._waiting.popleft())
        if greet and options.greeting is not None:
            socket.send_text(realtime.create_response(f"{facts.instructions}\n\n{filled(options.greeting, info)}"))
        elif self._caller_waits or self._keys_wait:
            self._respond()

    async def _renew(self, call: Call, error: BackendError | None) -> None:
        """Go on in a new session, which is told what was said so far.

        Raises:
            BackendError: there is none to be had.
        """
        why = str(error or "it was closed")
        self._tools_called.clear()
        self._answers = Answers(self._voice)
        while True:
            self._renewals += 1
            if self._renewals > RENEWALS_MAX or isinstance(error, ModelFailedError):
                raise error or BackendError(f"{self._options.endpoint.shown} closes every session")
            _log.info("agent.session_renewed", call_id=call.info.call_id, why=why, renewals=self._renewals)
            if self._response is not None:  # what was cut off is asked for again
                self._response, self._caller_waits = None, True
            self._session = None
            self.discard()
            self._early.take()
            try:
                self._socket = await self._connected()
                await self._open_session(call, greet=False)
            except BackendError as again:
                error = again
                await asyncio.sleep(RENEWAL_PAUSE_S)
            else:
                return

    # -- the caller is heard ------------------------------------------------------------------------------------------

    @property
    def _accepted(self) -> bool:
        """Whether the server has accepted the session; until then nothing but the session is sent."""
        return self._session is not None and self._session.done()

    def _on_frame(self, pcm: Pcm) -> None:
        if self._accepted and self._socket is not None:
            self._send_frame(self._socket, pcm)
        else:
            self._waiting.append(pcm.copy())  # a view would keep the frames of all calls that came with it

    def _send_frame(self, socket: WebSocket, pcm: Pcm) -> None:
        if self._to_server is not None:
            pcm = self._to_server.process(pcm)
        socket.send_text(realtime.append_audio(self._encode(pcm)))

    async def _listen(self, call: Call) -> None:
        async for event in call.events(speech=False):
            match event:
                case Interrupted():
                    self._voice.interrupted()
                    self._tell_what_was_heard()
                case Dtmf():
                    self._keypad.press(event.digit)
                case _:
                    pass

    def _tell_keys(self, number: str) -> None:
        text = f"(pressed on the telephone: {number})"
        self._history.add("user", text)
        if self._accepted:
            self._send(realtime.said_before("user", text))
        if self._accepted and self._response is None:
            self._respond()
        else:
            self._keys_wait = True

    def _tell_what_was_heard(self) -> None:
        socket = self._socket
        if socket is None:
            return
        if self._response is not None:
            socket.send_text(realtime.cancel_response())
        for unheard in self._answers.interrupted():
            socket.send_text(realtime.truncate(unheard.item, unheard.content_index, unheard.heard_ms))
            self._history.cut(unheard.item, unheard.share)

    # -- the model is heard -------------------------------------------------------------------------------------------

    def on_text(self, text: bytes) -> None:
        """A message of the server; what is none of the API's is counted, and does no harm."""
        if self._session is None:
            self._early.keep(text)
            return
        try:
            event = realtime.event_of(text)
        except BadEventError:
            self._malformed += 1
            return
        if event is None:
            self._ignored += 1
        else:
            self._on_event(event)

    def on_binary(self, data: bytes) -> None:  # noqa: ARG002 - the API has none
        """Not of this protocol."""
        self._malformed += 1

    def _on_event(self, event: ServerEvent) -> None:
        match event:
            case ResponseAudio():
                self._answers.play(event.item, event.content_index, self._decode(event.audio))
            case CallerBegan():
                self._on_caller_began()
            case CallerEnded():
                self._caller_waits = True
            case CallerSaid(text):
                self._history.add("user", text)
            case SessionUpdated():
                self._on_session_updated(event)
            case ServerFault():
                self._on_fault(event)
            case _:
                self._on_answer_event(event)

    def _on_answer_event(self, event: ResponseBegan | ModelSaid | ToolCalled | ResponseDone) -> None:
        match event:
            case ResponseBegan(response):
                self._response = response
                self._caller_waits = self._keys_wait = False
            case ModelSaid(item, text):
                self._history.add("assistant", heard_words(text, self._answers.share_heard(item)), item)
            case ToolCalled():
                self._tools_called.append(event)
            case ResponseDone():
                self._on_response_done(event)

    def _on_caller_began(self) -> None:
        call = self._call
        if call is not None and (call.speaking or self._response is not None):
            self._voice.clear()
            self._tell_what_was_heard()

    def _on_session_updated(self, event: SessionUpdated) -> None:
        for name, use in ((event.input_format, self._hear_as), (event.output_format, self._say_as)):
            known = realtime.known_format(name)
            if known is not None:
                use(known)
            elif name:
                fault = f"the server's audio is {name}: it must be G.711 or PCM"
                raise ModelFailedError(fault, retryable=False)
        if self._session is not None and not self._session.done():
            self._session.set_result(None)

    def _hear_as(self, audio_format: AudioFormat) -> None:
        """Code the caller's voice as the server wants it, which may not be what was asked for."""
        rate_hz = realtime.RATES_HZ[audio_format]
        self._encode = _ENCODED[audio_format]
        if self._call is not None and rate_hz != self._heard_hz:
            self._heard_hz = rate_hz
            self._to_server = Resampler(self._call.rate_hz, rate_hz)

    def _say_as(self, audio_format: AudioFormat) -> None:
        """As `_hear_as`, for what the server says."""
        rate_hz = realtime.RATES_HZ[audio_format]
        self._decode = _DECODED[audio_format]
        if rate_hz != self._said_hz:
            self._said_hz = rate_hz
            self._voice.use_rate(rate_hz)

    def _on_response_done(self, event: ResponseDone) -> None:
        self._response = None
        called, self._tools_called = self._tools_called, []
        if event.status == "failed":
            self._failed_responses += 1
            if self._failed_responses > 1:
                raise ModelFailedError(f"the model cannot answer: {event.error or 'no reason given'}")
            self._respond()
            return
        self._failed_responses = self._renewals = 0
        if event.status == "completed":
            self._use_tools(called)
        by_itself = event.reason == "turn_detected"  # the server answers what the caller says
        if self._keys_wait and not by_itself and not self._finished.done():
            self._respond()

    def _use_tools(self, called: list[ToolCalled]) -> None:
        for tool in called:
            self._send(realtime.tool_output(tool.call, self._tool_use.use(tool.name, tool.arguments)))
        if self._tool_use.outcome is not None:
            if not self._finished.done():
                self._finished.set_result(None)
        elif called:
            self._respond()

    def _respond(self) -> None:
        self._keys_wait = False
        self._send(realtime.RESPOND)

    def _on_fault(self, event: ServerFault) -> None:
        said = f"{event.code}: {event.message}"[:300]
        if event.code == "response_cancel_not_active":
            return  # it had ended by itself
        if event.code == "session_expired":
            raise BackendError(said)
        if not self._accepted:
            why = f"the server refuses the session: {said}"
            raise ModelFailedError(why, retryable=False) if event.permanent else BackendError(why)
        _log.warning("agent.server_fault", call_id=self._call.info.call_id if self._call else "", said=said)

    def _send(self, message: bytes) -> None:
        if self._socket is not None:
            self._socket.send_text(message)

    def _report(self, call: Call) -> None:
        lost = {
            "messages_malformed": self._malformed,
            "messages_not_sent": self._socket.dropped if self._socket is not None else 0,
            "bot_dropped_ms": self._voice.dropped_ms,
        }
        if any(lost.values()):
            _log.warning("agent.stream_impaired", call_id=call.info.call_id, **lost)


def _format_of(call: Call) -> AudioFormat:
    """What loses nothing of the line."""
    if call.rate_hz != G711_RATE_HZ:
        return "audio/pcm"
    return "audio/pcma" if "PCMA" in call.info.codec else "audio/pcmu"


_ENCODED: Mapping[AudioFormat, Callable[[Pcm], bytes]] = {
    "audio/pcmu": mulaw_encoded,
    "audio/pcma": alaw_encoded,
    "audio/pcm": pcm16_encoded,
}
_DECODED: Mapping[AudioFormat, Callable[[bytes], Pcm]] = {
    "audio/pcmu": mulaw_decoded,
    "audio/pcma": alaw_decoded,
    "audio/pcm": pcm16_decoded,
}
