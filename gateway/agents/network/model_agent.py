"""Connects one call to a speech-to-speech model of any vendor."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from gateway.agents.agent import Call
from gateway.agents.errors import AgentUnavailableError
from gateway.agents.network.answers import Answers
from gateway.agents.network.coding import DECODED, MULAW_8K, Encoder, line_format
from gateway.agents.network.early import EarlyMessages
from gateway.agents.network.errors import BackendError
from gateway.agents.network.keys import Keypad
from gateway.agents.network.leaving import Leaving
from gateway.agents.network.model_session import (
    AnswerAudio,
    AnswerBegan,
    AnswerEnded,
    AnswerText,
    BadEventError,
    CallerBegan,
    CallerEnded,
    CallerSaid,
    MakeSession,
    Messages,
    ModelEvent,
    ModelSession,
    ReplyWanted,
    SessionAccepted,
    SessionEnding,
    SessionFacts,
    SessionFault,
    ToolCalled,
    UnusableFormatError,
)
from gateway.agents.network.parameters import filled
from gateway.agents.network.presence import Presence
from gateway.agents.network.tools import ToolSet, ToolUse
from gateway.agents.network.voice import Voice
from gateway.agents.network.websocket import Endpoint, Receiver, WebSocket, connect
from gateway.agents.outcome import Outcome
from media.conversation.events import Dtmf, Interrupted, SpeechEnded, SpeechStarted
from media.conversation.history import History, split_unanswered
from media.leg import Pcm

BUFFER_MS = 120_000
"""A model sends its answers faster than speech: up to two minutes may wait to be played."""
EARLY_FRAMES = 250
"""How many frames of the caller's voice are kept while there is no session: five seconds."""
SESSION_S = 10.0
"""A server must accept a session within this time."""
RENEWALS_MAX = 5
"""How many new sessions one call opens in a row without an answer between them."""
RENEWAL_PAUSE_S = 0.5
TOOLS_MAX = 64
"""How many of the tools that one answer calls are run: the last ones."""

_log = structlog.get_logger("agents")


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """The options that all calls of one agent share."""

    endpoint: Endpoint
    make_session: MakeSession
    instructions: str
    """A template for `gateway.agents.network.parameters.filled`."""
    greeting: str | None
    """A template: what the model says first, or an instruction for that; with None, the caller speaks first."""
    tools: ToolSet
    connect_timeout_s: float
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Templates by name: more facts of the call, for vendors that accept them."""
    connect: Callable[[Endpoint, Receiver, float], Awaitable[WebSocket]] = connect
    """Opens the connection; replaced for vendors that need more than the endpoint."""
    closing_ends: bool = False
    """Whether the model's part ends when the server closes the connection normally; otherwise a new session follows."""


class ModelFailedError(BackendError):
    """The server refuses the session, or the model cannot answer; a new session would not help."""


class ModelAgent:
    """Connects while the call rings, and lets the model talk; if a session ends during the call, a new one follows.

    The server and the gateway both detect that the caller interrupts; the first to do so silences the model. If the
    vendor has a message for it, the model is then told how much of its answer was heard.
    """

    def __init__(self, options: ModelOptions) -> None:
        self._options = options
        self._socket: WebSocket | None = None
        self._early = EarlyMessages()
        self._call: Call | None = None
        self._session: ModelSession | None = None
        self._encoder: Encoder | None = None
        self._voice = Voice(MULAW_8K.rate_hz, BUFFER_MS)
        self._answers = Answers(self._voice)
        self._waiting: deque[Pcm] = deque(maxlen=EARLY_FRAMES)
        """The caller's voice while there is no session."""
        self._acceptance: asyncio.Future[None] | None = None
        """Done when the server has accepted the session. None while there is no connection."""
        self._answering = False
        """Whether an answer is being made."""
        self._tools_called: deque[ToolCalled] = deque(maxlen=TOOLS_MAX)
        self._tool_use = ToolUse(options.tools)
        self._finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the model has ended its part in the call."""
        self._keypad = Keypad(self._tell_keys)
        self._history = History()
        """The history of the whole call, once the call has begun."""
        self._caller_waits = False
        """Whether the caller has said something that is not answered yet; the server answers it by itself."""
        self._keys_wait = False
        """Whether the caller has pressed keys during an answer; then the next answer must be requested."""
        self._keys_untold: list[str] = []
        """Numbers that the caller typed while there was no session."""
        self._caller_spoke = False
        """Whether the gateway has heard the caller since the last answer began; used only with voice detection."""
        self._leaving = Leaving()
        self._presence = Presence()
        self._failed_answers = 0
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
        options = self._options
        return await options.connect(options.endpoint, self, options.connect_timeout_s)

    def discard(self) -> None:
        """Close a connection that no call will use."""
        if self._socket is not None:
            self._socket.abort()

    async def run(self, call: Call) -> Outcome | None:
        """Let the model talk until the caller hangs up, or a tool ends its part.

        Raises:
            BackendError: the server refuses the session, fails, or is lost and cannot be reached again.
        """
        if self._socket is None:
            raise AgentUnavailableError("not connected: prepare() comes first")
        self._begin(call)
        call.on_audio(self._on_frame)
        error: BackendError | None = None
        try:
            async with asyncio.TaskGroup() as tasks:
                pumping = tasks.create_task(self._voice.pump(), name="model:voice")
                listening = tasks.create_task(self._listen(call), name="model:events")
                talking = tasks.create_task(self._sessions(call), name="model:session")
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
            self._leaving.reset()
            self.discard()
            self._report(call)
        if error is not None:
            raise error
        return self._tool_use.outcome

    def _begin(self, call: Call) -> None:
        options, info = self._options, call.info
        greeting = None if options.greeting is None else filled(options.greeting, info)
        line = line_format(info.codec, call.rate_hz)
        parameters = {name: filled(text, info) for name, text in options.parameters.items()}
        facts = SessionFacts(filled(options.instructions, info), greeting, line, parameters)
        self._call = call
        self._history = info.history
        self._session = session = options.make_session(facts)
        self._encoder = Encoder(call.rate_hz, session.heard)
        self._voice.begin(call)

    # -- sessions -----------------------------------------------------------------------------------------------------

    async def _sessions(self, call: Call) -> BackendError | None:
        """Talk, in one session after another; returns the final error, or None if the model has finished."""
        try:
            await self._open_session(greet=True)
            while True:
                assert self._socket is not None  # noqa: S101 - it was just opened
                over = self._socket.over
                either: set[asyncio.Future[Any]] = {over, self._finished, self._leaving.due}
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                if self._finished.done() or call.over:
                    return None
                ended = over.result() if over.done() else None
                if self._options.closing_ends and over.done() and ended is None:
                    return None
                await self._renew(call, ended)
        except BackendError as error:
            return error

    async def _open_session(self, *, greet: bool) -> None:
        socket, session = self._socket, self._session
        assert socket is not None  # noqa: S101 - it was just opened
        assert session is not None  # noqa: S101 - the call has begun
        self._acceptance = acceptance = asyncio.get_running_loop().create_future()
        self._send(session.opening(self._history))
        for text in self._early.take():
            self.on_text(text)
        either: set[asyncio.Future[Any]] = {acceptance, socket.over}
        await asyncio.wait(either, timeout=SESSION_S, return_when=asyncio.FIRST_COMPLETED)
        if not acceptance.done():
            error = socket.over.result() if socket.over.done() else None
            shown = self._options.endpoint.shown
            raise error or BackendError(f"{shown} did not accept a session within {SESSION_S:g} s")
        self._send(session.accepted(self._history))
        for number in self._keys_untold:
            self._tell(session, number)
            self._keys_wait = True
        self._keys_untold.clear()
        while self._waiting:
            self._send_frame(self._waiting.popleft())
        if greet and split_unanswered(self._history)[1]:
            self._respond()  # the call comes from another agent: answer what the caller said last to it
        elif greet:
            self._send(session.greet())
        elif self._caller_waits or self._keys_wait:
            self._respond()

    async def _renew(self, call: Call, error: BackendError | None) -> None:
        """Open a new session, which gets the conversation so far.

        Raises:
            BackendError: no new session could be opened.
        """
        why = str(error or ("the server ends it soon" if self._leaving.due.done() else "it was closed"))
        self._tools_called.clear()
        self._answers = Answers(self._voice)
        while True:
            self._renewals += 1
            if self._renewals > RENEWALS_MAX or isinstance(error, ModelFailedError):
                raise error or BackendError(f"{self._options.endpoint.shown} closes every session")
            _log.info("agent.session_renewed", call_id=call.info.call_id, why=why, renewals=self._renewals)
            if self._answering:  # the answer was cut off: request it again
                self._answering, self._caller_waits = False, True
            self._acceptance = None
            if self._socket is not None:
                await self._socket.close()  # some servers accept only one connection of a session at a time
            self._early.take()
            self._leaving.reset()
            try:
                self._socket = await self._connected()
                await self._open_session(greet=False)
            except BackendError as again:
                error = again
                self._acceptance = None  # if the server accepts it later, it is too late
                await asyncio.sleep(RENEWAL_PAUSE_S)
            else:
                return

    # -- the caller is heard ------------------------------------------------------------------------------------------

    @property
    def _accepted(self) -> bool:
        """Whether the server has accepted the session; before that, no audio and no text is sent."""
        return self._acceptance is not None and self._acceptance.done()

    def _on_frame(self, pcm: Pcm) -> None:
        if self._accepted:
            self._send_frame(pcm)
        else:
            self._waiting.append(pcm.copy())  # a view would keep the whole batch in memory, with frames of all calls

    def _send_frame(self, pcm: Pcm) -> None:
        socket, session, encoder = self._socket, self._session, self._encoder
        if socket is None or session is None or encoder is None:
            return
        message = session.audio(encoder.encoded(pcm))
        if session.binary_audio:
            socket.send_binary(message)
        else:
            socket.send_text(message)

    async def _listen(self, call: Call) -> None:
        loop = asyncio.get_running_loop()
        phantoms = self._session is not None and self._session.hears_phantoms
        async for event in call.events(speech=phantoms):
            match event:
                case Interrupted():
                    self._voice.interrupted()
                    self._tell_what_was_heard()
                case Dtmf():
                    self._keypad.press(event.digit)
                case SpeechStarted():
                    self._caller_spoke = True
                    if self._presence.began(loop.time()):
                        self._interrupt()
                case SpeechEnded():
                    self._presence.ended(loop.time())
                case _:
                    pass

    def _tell_keys(self, number: str) -> None:
        if not self._accepted or self._session is None:
            self._keys_untold.append(number)
            return
        self._tell(self._session, number)
        if self._answering:
            self._keys_wait = True
        else:
            self._respond()

    def _tell(self, session: ModelSession, number: str) -> None:
        text = f"(pressed on the telephone: {number})"
        self._history.add("user", text)
        self._send(session.text(text))

    def _interrupt(self) -> None:
        """The caller has begun to speak: silence the model if it speaks or makes an answer."""
        call = self._call
        if call is not None and (call.speaking or self._answering):
            self._voice.clear()
            self._tell_what_was_heard()

    def _tell_what_was_heard(self) -> None:
        session = self._session
        if session is None:
            return
        if self._answering:
            self._send(session.cancel())
        for unheard in self._answers.interrupted():
            self._send(session.unheard(unheard.item, unheard.content_index, unheard.heard_ms))

    # -- the model is heard -------------------------------------------------------------------------------------------

    def on_text(self, text: bytes) -> None:
        """Handle a message of the server; invalid messages are counted and ignored."""
        if self._acceptance is None:
            self._early.keep(text)
        elif self._session is not None:
            self._take(self._session.events, text)

    def on_binary(self, data: bytes) -> None:
        """Like `on_text`, for a binary message."""
        if self._acceptance is not None and self._session is not None:
            self._take(self._session.binary, data)

    def _take(self, read: Callable[[bytes], Sequence[ModelEvent]], data: bytes) -> None:
        try:
            events = read(data)
        except UnusableFormatError as error:
            raise ModelFailedError(str(error), retryable=False) from error
        except BadEventError:
            self._malformed += 1
            return
        if not events:
            self._ignored += 1
        for event in events:
            self._on_event(event)
        if self._leaving.is_announced and self._is_quiet():
            self._leaving.now()

    def _on_event(self, event: ModelEvent) -> None:
        match event:
            case AnswerAudio(item, audio, content_index):
                assert self._session is not None  # noqa: S101 - events come only from a session
                self._answers.play(item, content_index, DECODED[self._session.said.coding](audio))
            case CallerBegan():
                certain = self._session is None or not self._session.hears_phantoms
                if certain or self._presence.is_confirmed(asyncio.get_running_loop().time()):
                    self._interrupt()
            case CallerEnded():
                self._caller_waits = True
            case CallerSaid(text):
                self._history.add("user", text)
            case SessionAccepted():
                self._on_accepted()
            case SessionFault():
                self._on_fault(event)
            case SessionEnding(left_s):
                self._leaving.announce(left_s)
            case ReplyWanted(message):
                self._send([message])
            case _:
                self._on_answer_event(event)

    def _on_answer_event(self, event: AnswerBegan | AnswerText | ToolCalled | AnswerEnded) -> None:
        match event:
            case AnswerBegan():
                self._answering = True
                self._caller_waits = self._keys_wait = self._caller_spoke = False
            case AnswerText(item, text):
                self._answers.wrote(item, self._history.add("assistant", text))
            case ToolCalled():
                self._tools_called.append(event)
            case AnswerEnded():
                self._on_answer_ended(event)

    def _on_accepted(self) -> None:
        session = self._session
        if session is not None and self._encoder is not None:
            self._encoder.use(session.heard)
            self._voice.use_rate(session.said.rate_hz)
        if self._acceptance is not None and not self._acceptance.done():
            self._acceptance.set_result(None)

    def _on_answer_ended(self, event: AnswerEnded) -> None:
        self._answering = False
        called = list(self._tools_called)
        self._tools_called.clear()
        if event.status == "failed":
            self._failed_answers += 1
            if self._failed_answers > 1:
                raise ModelFailedError(f"the model cannot answer: {event.error or 'no reason given'}")
            self._respond()
            return
        self._failed_answers = self._renewals = 0
        if event.status == "completed":
            self._use_tools(called)
        if self._keys_wait and not event.by_caller and not self._finished.done():
            self._respond()

    def _use_tools(self, called: Sequence[ToolCalled]) -> None:
        for tool in called:
            output = self._tool_use.use(tool.name, tool.arguments)
            if self._session is not None:
                self._send(self._session.tool_output(tool, output))
        if self._tool_use.outcome is not None:
            if not self._finished.done():
                self._finished.set_result(None)
        elif called:
            self._respond()

    def _on_fault(self, event: SessionFault) -> None:
        refused = "the server refuses the session: " if not self._accepted else ""
        if event.ends_session and event.permanent:
            raise ModelFailedError(refused + event.message, retryable=False)
        if event.ends_session:
            raise BackendError(refused + event.message)
        _log.warning("agent.server_fault", call_id=self._call.info.call_id if self._call else "", said=event.message)

    def _is_quiet(self) -> bool:
        """Whether nobody speaks, no answer is due, and a new session would know all that was said."""
        waits = self._answering or self._caller_waits or self._keys_wait or self._caller_spoke
        return not waits and self._session is not None and self._session.covered

    # -- messages to the server ---------------------------------------------------------------------------------------

    def _respond(self) -> None:
        self._keys_wait = False
        if self._session is not None:
            self._send(self._session.respond())

    def _send(self, messages: Messages) -> None:
        if self._socket is not None:
            for message in messages:
                self._socket.send_text(message)

    def _report(self, call: Call) -> None:
        lost = {
            "messages_malformed": self._malformed,
            "messages_not_sent": self._socket.dropped if self._socket is not None else 0,
            "bot_dropped_ms": self._voice.dropped_ms,
            "interruptions_taken_back": self._presence.unconfirmed,
        }
        if any(lost.values()):
            _log.warning("agent.stream_impaired", call_id=call.info.call_id, **lost)
