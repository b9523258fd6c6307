"""The messages of ElevenLabs' agent API over a WebSocket. No I/O.

Source: ElevenLabs' API reference, "Agent WebSockets", and its documentation of client and server events.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.agents.network.coding import MULAW_8K, AudioFormat
from gateway.agents.network.counted_answers import CountedAnswers
from gateway.agents.network.errors import NOT_JSON
from gateway.agents.network.model_session import (
    AnswerEnded,
    AnswerText,
    BadEventError,
    CallerBegan,
    CallerEnded,
    CallerSaid,
    Messages,
    ModelEvent,
    ModelSession,
    ReplyWanted,
    SessionAccepted,
    SessionFacts,
    SessionFault,
    ToolCalled,
    UnusableFormatError,
)
from media.conversation.history import Role, split_unanswered

PCM_16K = AudioFormat("l16", 16_000)
FORMATS: Mapping[str, AudioFormat] = {
    "ulaw_8000": MULAW_8K,
    **{f"pcm_{rate_hz}": AudioFormat("l16", rate_hz) for rate_hz in (8_000, 16_000, 22_050, 24_000, 44_100, 48_000)},
}
"""The supported formats, by the API's names."""


@dataclass(frozen=True, slots=True)
class ElevenLabsOptions:
    """The options that all sessions of one agent share; None keeps the agent's own setting at ElevenLabs."""

    instructs: bool
    """Whether the session's instructions override the agent's own."""
    language: str | None
    voice: str | None


class _ElevenLabsMessage(msgspec.Struct):
    type: str


class _AudioOfAnswer(msgspec.Struct):
    audio_base_64: bytes  # msgspec decodes base64
    event_id: int


class _AudioMessage(msgspec.Struct):
    audio_event: _AudioOfAnswer


_kind = msgspec.json.Decoder(_ElevenLabsMessage)
_audio = msgspec.json.Decoder(_AudioMessage)


class ElevenLabsSession(ModelSession):
    """The `ModelSession` of ElevenLabs' agents. A new connection gets the conversation as context.

    The server does not report the end of an answer. So an answer lasts until the caller says something.
    """

    def __init__(self, options: ElevenLabsOptions, facts: SessionFacts) -> None:
        self._options = options
        self._facts = facts
        self.heard = self.said = PCM_16K
        self._accepted = False
        self._answers = CountedAnswers()
        self._interrupted_id = 0
        """Audio with an event id up to this one was interrupted."""
        self._unanswered = ""
        """What the caller said last, if the lost connection had not answered it."""

    # -- messages to the server ---------------------------------------------------------------------------------------

    def opening(self, history: Iterable[tuple[Role, str]]) -> Messages:
        """See `ModelSession.opening`. A further connection of the call sends no greeting from the settings."""
        self._accepted = False
        self._interrupted_id = 0
        self._answers.end()
        facts, options = self._facts, self._options
        agent: dict[str, Any] = {}
        if options.instructs:
            agent["prompt"] = {"prompt": facts.instructions}
        if facts.greeting is not None:
            agent["first_message"] = "" if any(history) else facts.greeting
        if options.language is not None:
            agent["language"] = options.language
        override: dict[str, Any] = {"agent": agent} if agent else {}
        if options.voice is not None:
            override["tts"] = {"voice_id": options.voice}
        begun: dict[str, Any] = {"dynamic_variables": dict(facts.parameters)}
        if override:
            begun["conversation_config_override"] = override
        return [_message("conversation_initiation_client_data", **begun)]

    def accepted(self, history: Iterable[tuple[Role, str]]) -> Messages:
        """See `ModelSession.accepted`; the caller's last words are kept for `respond`."""
        said, self._unanswered = split_unanswered(history)
        if not said:
            return ()
        lines = "\n".join(f"{role}: {text}" for role, text in said)
        return [_message("contextual_update", text=f"The connection was lost. So far this was said:\n{lines}")]

    def respond(self) -> Messages:
        """See `ModelSession.respond`. The server answers by itself, except words from before this connection."""
        unanswered, self._unanswered = self._unanswered, ""
        return self.text(unanswered) if unanswered else ()

    def audio(self, data: bytes) -> bytes:
        """See `ModelSession.audio`; formatted directly instead of by msgspec, as it is needed every 20 ms."""
        return b'{"user_audio_chunk":"%s"}' % binascii.b2a_base64(data, newline=False)

    def tool_output(self, call: ToolCalled, output: str) -> Messages:
        """See `ModelSession.tool_output`."""
        failed = output.startswith("error: ")
        return [_message("client_tool_result", tool_call_id=call.call, result=output, is_error=failed)]

    def text(self, text: str) -> Messages:
        """See `ModelSession.text`; the server answers it by itself."""
        return [_message("user_message", text=text)]

    # -- messages from the server -------------------------------------------------------------------------------------

    def events(self, text: bytes) -> Sequence[ModelEvent]:
        """See `ModelSession.events`."""
        try:
            kind = _kind.decode(text).type
            if kind == "audio":
                return self._piece(_audio.decode(text).audio_event)
            read = _READERS.get(kind)
            return read(self, msgspec.json.decode(text)) if read is not None else ()
        except (UnusableFormatError, BadEventError):
            raise
        except (*NOT_JSON, KeyError, TypeError, AttributeError) as error:
            raise BadEventError(f"{type(error).__name__}: {error}") from error

    def _piece(self, piece: _AudioOfAnswer) -> Sequence[ModelEvent]:
        if self.said.coding == "l16" and len(piece.audio_base_64) % 2:
            raise BadEventError(f"{len(piece.audio_base_64)} bytes are not a whole number of 16-bit samples")
        if piece.event_id <= self._interrupted_id:
            return ()
        self._answers.asked_again()  # the event id already shows that it is not late
        return self._answers.audio(piece.audio_base_64)

    def _began(self, event: Any) -> Sequence[ModelEvent]:
        about = event["conversation_initiation_metadata_event"]
        self.said = _format(about.get("agent_output_audio_format"))
        self.heard = _format(about.get("user_input_audio_format"))
        self._accepted = True
        return (SessionAccepted(),)

    def _interruption(self, event: Any) -> Sequence[ModelEvent]:
        self._interrupted_id = max(self._interrupted_id, int(event["interruption_event"]["event_id"]))
        return (CallerBegan(), *self._ended("cut"))

    def _user_transcript(self, event: Any) -> Sequence[ModelEvent]:
        text = str(event["user_transcription_event"]["user_transcript"])
        return (*self._ended("completed"), CallerSaid(text), CallerEnded())

    def _ended(self, status: Any) -> Sequence[ModelEvent]:
        was_under_way = self._answers.under_way
        self._answers.end(interrupted=status == "cut")
        return (AnswerEnded(status, by_caller=status == "cut"),) if was_under_way else ()

    def _agent_response(self, event: Any) -> Sequence[ModelEvent]:
        """The server's own correction of an interrupted text is not used: the gateway knows exactly what was heard."""
        text = str(event["agent_response_event"]["agent_response"])
        began = self._answers.sign()
        return (*began, AnswerText(self._answers.newest, text))

    def _tool_call(self, event: Any) -> Sequence[ModelEvent]:
        """Run the tool at once, as the server waits for its result."""
        call = event["client_tool_call"]
        arguments = msgspec.json.encode(call.get("parameters") or {}).decode()
        self._answers.under_way = False
        return (ToolCalled(str(call["tool_call_id"]), str(call["tool_name"]), arguments), AnswerEnded())

    def _fault(self, event: Any) -> Sequence[ModelEvent]:
        said = msgspec.json.encode({key: value for key, value in event.items() if key != "type"}).decode()
        return (SessionFault(said[:300], ends_session=not self._accepted),)


def _format(name: object) -> AudioFormat:
    if name is None:
        return PCM_16K
    known = FORMATS.get(name) if isinstance(name, str) else None
    if known is None:
        raise UnusableFormatError(f"the agent's audio is {str(name)[:40]}: set it to one of {', '.join(FORMATS)}")
    return known


def _message(kind: str, **fields: Any) -> bytes:
    return msgspec.json.encode({"type": kind, **fields})


# ruff: noqa: SLF001 - the table belongs to the class
_READERS: Mapping[str, Callable[[ElevenLabsSession, Any], Sequence[ModelEvent]]] = {
    "conversation_initiation_metadata": ElevenLabsSession._began,
    "interruption": ElevenLabsSession._interruption,
    "user_transcript": ElevenLabsSession._user_transcript,
    "agent_response": ElevenLabsSession._agent_response,
    "client_tool_call": ElevenLabsSession._tool_call,
    "ping": lambda _, event: (ReplyWanted(_message("pong", event_id=int(event["ping_event"]["event_id"]))),),
    "error": ElevenLabsSession._fault,
}
