"""The messages of OpenAI's Realtime API (the GA version) over a WebSocket. No I/O.

xAI, Azure and local servers use the same messages. Source: OpenAI's API reference, "Realtime client events" and
"server events".
"""

from __future__ import annotations

import binascii
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.agents.network.coding import ALAW_8K, MULAW_8K, AudioFormat
from gateway.agents.network.errors import NOT_JSON
from gateway.agents.network.model_session import (
    AnswerAudio,
    AnswerBegan,
    AnswerEnded,
    AnswerText,
    BadEventError,
    CallerBegan,
    CallerEnded,
    CallerSaid,
    Messages,
    ModelEvent,
    ModelSession,
    SessionAccepted,
    SessionFacts,
    SessionFault,
    ToolCalled,
    UnusableFormatError,
)
from media.conversation.history import Role

PCM_24K = AudioFormat("l16", 24_000)
FORMATS: Mapping[str, AudioFormat] = {"audio/pcmu": MULAW_8K, "audio/pcma": ALAW_8K, "audio/pcm": PCM_24K}
"""The supported formats, by the API's names."""
_NAMES = {wire: name for name, wire in FORMATS.items()}
_PERMANENT_FAULTS = frozenset({
    "invalid_request_error", "authentication_error", "permission_error", "invalid_api_key", "insufficient_quota",
    "model_not_found",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class OpenAIOptions:
    """The options that all sessions of one agent share."""

    audio_format: AudioFormat | None
    """One of `FORMATS`; with None, the format of the line."""
    voice: str | None
    transcription: str | None
    """The model that transcribes the caller's speech; with None, there is no transcription."""
    turn_detection: Mapping[str, Any] | None
    """With None, the server decides."""
    tools: Sequence[Mapping[str, Any]]


class _Delta(msgspec.Struct):
    delta: bytes  # msgspec decodes base64
    item_id: str = ""
    content_index: int = 0


class _EventKind(msgspec.Struct):
    type: str


_kind = msgspec.json.Decoder(_EventKind)
_delta = msgspec.json.Decoder(_Delta)


class OpenAISession(ModelSession):
    """The `ModelSession` of OpenAI's Realtime API. A new connection gets the conversation as items."""

    def __init__(self, options: OpenAIOptions, facts: SessionFacts) -> None:
        self._options = options
        self._facts = facts
        of_line = facts.line if facts.line in _NAMES else PCM_24K
        self._asked = options.audio_format or of_line
        self.heard = self.said = self._asked
        self._accepted = False

    # -- messages to the server ---------------------------------------------------------------------------------------

    def opening(self, history: Iterable[tuple[Role, str]]) -> Messages:  # noqa: ARG002 - sent by `accepted`
        """See `ModelSession.opening`."""
        self._accepted = False
        options = self._options
        wire: dict[str, Any] = {"type": _NAMES[self._asked]}
        if self._asked == PCM_24K:
            wire["rate"] = PCM_24K.rate_hz
        heard: dict[str, Any] = {"format": wire}
        if options.turn_detection is not None:
            heard["turn_detection"] = dict(options.turn_detection)
        if options.transcription is not None:
            heard["transcription"] = {"model": options.transcription}
        said: dict[str, Any] = {"format": wire}
        if options.voice is not None:
            said["voice"] = options.voice
        session: dict[str, Any] = {
            "type": "realtime",
            "instructions": self._facts.instructions,
            "output_modalities": ["audio"],
            "audio": {"input": heard, "output": said},
        }
        if options.tools:
            session["tools"] = [dict(tool) for tool in options.tools]
            session["tool_choice"] = "auto"
        return [_message("session.update", session=session)]

    def accepted(self, history: Iterable[tuple[Role, str]]) -> Messages:
        """See `ModelSession.accepted`."""
        return [_said(role, text) for role, text in history]

    def greet(self) -> Messages:
        """See `ModelSession.greet`. Instructions of a response replace those of the session, so both are sent."""
        greeting = self._facts.greeting
        if greeting is None:
            return ()
        return [_message("response.create", response={"instructions": f"{self._facts.instructions}\n\n{greeting}"})]

    def respond(self) -> Messages:
        """See `ModelSession.respond`."""
        return [_message("response.create")]

    def audio(self, data: bytes) -> bytes:
        """See `ModelSession.audio`; formatted directly instead of by msgspec, as it is needed every 20 ms."""
        return b'{"type":"input_audio_buffer.append","audio":"%s"}' % binascii.b2a_base64(data, newline=False)

    def cancel(self) -> Messages:
        """See `ModelSession.cancel`."""
        return [_message("response.cancel")]

    def unheard(self, item: str, content_index: int, heard_ms: int) -> Messages:
        """See `ModelSession.unheard`."""
        at = {"item_id": item, "content_index": content_index, "audio_end_ms": heard_ms}
        return [_message("conversation.item.truncate", **at)]

    def tool_output(self, call: ToolCalled, output: str) -> Messages:
        """See `ModelSession.tool_output`."""
        item = {"type": "function_call_output", "call_id": call.call, "output": output}
        return [_message("conversation.item.create", item=item)]

    def text(self, text: str) -> Messages:
        """See `ModelSession.text`."""
        return [_said("user", text)]

    # -- messages from the server -------------------------------------------------------------------------------------

    def events(self, text: bytes) -> Sequence[ModelEvent]:
        """See `ModelSession.events`."""
        try:
            kind = _kind.decode(text).type
            if kind in ("response.output_audio.delta", "response.audio.delta"):  # older servers send the latter
                delta = _delta.decode(text)
                return (AnswerAudio(delta.item_id, delta.delta, delta.content_index),)
            if kind == "session.updated":
                return self._session_updated(msgspec.json.decode(text))
            if kind == "error":
                return self._fault(msgspec.json.decode(text))
            read = _READERS.get(kind)
            return read(msgspec.json.decode(text)) if read is not None else ()
        except UnusableFormatError:
            raise
        except (*NOT_JSON, KeyError, TypeError, AttributeError) as error:
            raise BadEventError(f"{type(error).__name__}: {error}") from error

    def _session_updated(self, event: Any) -> Sequence[ModelEvent]:
        """Take over the formats that the server has chosen; they may not be the requested ones."""
        audio = event["session"].get("audio") or {}
        for way in ("input", "output"):
            written = (audio.get(way) or {}).get("format") or {}
            name = str(written if isinstance(written, str) else written.get("type") or "")
            known = FORMATS.get(name)
            if known is None and name:
                raise UnusableFormatError(f"the server's audio is {name}: it must be G.711 or PCM")
            if known is not None and way == "input":
                self.heard = known
            elif known is not None:
                self.said = known
        self._accepted = True
        return (SessionAccepted(),)

    def _fault(self, event: Any) -> Sequence[ModelEvent]:
        error = event.get("error") or {}
        kind = str(error.get("type") or "")
        code = str(error.get("code") or kind)
        if code == "response_cancel_not_active":
            return ()  # the answer had already ended by itself
        message = f"{code}: {error.get('message') or ''}"[:300]
        if code == "session_expired":
            return (SessionFault(message, ends_session=True),)
        permanent = kind in _PERMANENT_FAULTS or code in _PERMANENT_FAULTS
        return (SessionFault(message, permanent=permanent, ends_session=not self._accepted),)


def _message(kind: str, **fields: Any) -> bytes:
    return msgspec.json.encode({"type": kind, **fields})


def _said(role: Role, text: str) -> bytes:
    kind = "input_text" if role == "user" else "output_text"
    item = {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}
    return _message("conversation.item.create", item=item)


def _tool_called(event: Any) -> Sequence[ModelEvent]:
    item = event["item"]
    if item.get("type") != "function_call":
        return ()
    return (ToolCalled(str(item["call_id"]), str(item["name"]), str(item.get("arguments") or "{}")),)


def _response_done(event: Any) -> Sequence[ModelEvent]:
    response = event["response"]
    details = response.get("status_details") or {}
    match response.get("status") or "completed":
        case "completed":
            return (AnswerEnded(),)
        case "failed":
            error = details.get("error") or {}
            said = ": ".join(str(error[key]) for key in ("code", "message") if error.get(key))
            return (AnswerEnded("failed", error=said),)
        case _:
            return (AnswerEnded("cut", by_caller=details.get("reason") == "turn_detected"),)


def _answer_text(event: Any) -> Sequence[ModelEvent]:
    return (AnswerText(str(event["item_id"]), str(event["transcript"])),)


_READERS: Mapping[str, Any] = {
    "input_audio_buffer.speech_started": lambda _: (CallerBegan(),),
    "input_audio_buffer.speech_stopped": lambda _: (CallerEnded(),),
    "conversation.item.input_audio_transcription.completed": lambda event: (CallerSaid(str(event["transcript"])),),
    "response.created": lambda _: (AnswerBegan(),),
    "response.output_audio_transcript.done": _answer_text,
    "response.audio_transcript.done": _answer_text,
    "response.output_item.done": _tool_called,
    "response.done": _response_done,
}
