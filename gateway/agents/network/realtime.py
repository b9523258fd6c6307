"""OpenAI's Realtime API in its GA shape, the messages of a WebSocket session. No I/O.

xAI, Azure and local servers speak the same. Source: OpenAI's API reference, "Realtime client events" and "server
events".
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import msgspec

from gateway.agents.network.errors import NOT_JSON

AudioFormat: TypeAlias = Literal["audio/pcmu", "audio/pcma", "audio/pcm"]
"""G.711 at 8 kHz, or 16-bit little-endian samples at 24 kHz."""
RATES_HZ: Mapping[AudioFormat, int] = {"audio/pcmu": 8_000, "audio/pcma": 8_000, "audio/pcm": 24_000}


def known_format(name: str) -> AudioFormat | None:
    """The format of that name; None if it is none that we speak."""
    return next((one for one in RATES_HZ if one == name), None)


# -- what the server says ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SessionUpdated:
    """The session is as asked, but perhaps for the formats of its audio."""

    input_format: str
    output_format: str


@dataclass(frozen=True, slots=True)
class CallerBegan:
    """The server hears the caller speak: what it said itself is interrupted."""


@dataclass(frozen=True, slots=True)
class CallerEnded:
    """The server hears the caller no more: an answer follows."""


@dataclass(frozen=True, slots=True)
class CallerSaid:
    """What the caller said, as text."""

    text: str


@dataclass(frozen=True, slots=True)
class ResponseBegan:
    """An answer has begun."""

    response: str


@dataclass(frozen=True, slots=True)
class ResponseAudio:
    """A piece of an answer."""

    response: str
    item: str
    content_index: int
    audio: bytes


@dataclass(frozen=True, slots=True)
class ModelSaid:
    """What an answer said, as text; it may not have been heard to its end."""

    item: str
    text: str


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """The model wants something done."""

    call: str
    name: str
    arguments: str
    """JSON, as the model wrote it."""


@dataclass(frozen=True, slots=True)
class ResponseDone:
    """An answer was sent, which does not mean that it was heard."""

    response: str
    status: str
    reason: str
    """Why it was cut short, as `turn_detected` when the caller spoke; empty otherwise."""
    error: str
    """Why it failed, if its status is `failed`."""


@dataclass(frozen=True, slots=True)
class ServerFault:
    """The server reports an error: in what we sent, of its own, or the end of the session."""

    kind: str
    """The error's `type`, as `invalid_request_error` or `server_error`."""
    code: str
    message: str

    @property
    def permanent(self) -> bool:
        """Whether the same request would fail again."""
        return self.kind in _PERMANENT_FAULTS or self.code in _PERMANENT_FAULTS


ServerEvent: TypeAlias = (
    SessionUpdated
    | CallerBegan
    | CallerEnded
    | CallerSaid
    | ResponseBegan
    | ResponseAudio
    | ModelSaid
    | ToolCalled
    | ResponseDone
    | ServerFault
)


_PERMANENT_FAULTS = frozenset({
    "invalid_request_error", "authentication_error", "permission_error", "invalid_api_key", "insufficient_quota",
    "model_not_found",
})  # fmt: skip


class BadEventError(ValueError):
    """An event of the server is not what the API says."""


class _Delta(msgspec.Struct):
    delta: bytes  # msgspec decodes base64
    response_id: str = ""
    item_id: str = ""
    content_index: int = 0


class _EventKind(msgspec.Struct):
    type: str


_kind = msgspec.json.Decoder(_EventKind)
_delta = msgspec.json.Decoder(_Delta)


def event_of(text: bytes) -> ServerEvent | None:
    """What a message of the server says; None for what concerns nobody here.

    Raises:
        BadEventError: it is no JSON, or lacks what it must have.
    """
    try:
        kind = _kind.decode(text).type
        if kind in ("response.output_audio.delta", "response.audio.delta"):  # the latter of servers that are older
            delta = _delta.decode(text)
            return ResponseAudio(delta.response_id, delta.item_id, delta.content_index, delta.delta)
        read = _READERS.get(kind)
        return read(msgspec.json.decode(text)) if read is not None else None
    except (*NOT_JSON, KeyError, TypeError, AttributeError) as error:
        raise BadEventError(f"{type(error).__name__}: {error}") from error


def _session_updated(event: Any) -> SessionUpdated:
    audio = event["session"].get("audio") or {}
    formats = [_format((audio.get(way) or {}).get("format")) for way in ("input", "output")]
    return SessionUpdated(*formats)


def _format(written: Any) -> str:
    """What the server echoes; empty if it does not say."""
    if isinstance(written, str):
        return written
    return str((written or {}).get("type") or "")


def _tool_called(event: Any) -> ToolCalled | None:
    item = event["item"]
    if item.get("type") != "function_call":
        return None
    return ToolCalled(str(item["call_id"]), str(item["name"]), str(item.get("arguments") or "{}"))


def _response_done(event: Any) -> ResponseDone:
    response = event["response"]
    details = response.get("status_details") or {}
    error = details.get("error") or {}
    said = ": ".join(str(error[key]) for key in ("code", "message") if error.get(key))
    status, reason = str(response.get("status") or "completed"), str(details.get("reason") or "")
    return ResponseDone(str(response.get("id") or ""), status, reason, said)


def _server_fault(event: Any) -> ServerFault:
    error = event.get("error") or {}
    kind = str(error.get("type") or "")
    return ServerFault(kind, str(error.get("code") or kind), str(error.get("message") or ""))


_READERS: Mapping[str, Any] = {
    "session.updated": _session_updated,
    "input_audio_buffer.speech_started": lambda _: CallerBegan(),
    "input_audio_buffer.speech_stopped": lambda _: CallerEnded(),
    "conversation.item.input_audio_transcription.completed": lambda event: CallerSaid(str(event["transcript"])),
    "response.created": lambda event: ResponseBegan(str(event["response"].get("id") or "")),
    "response.output_audio_transcript.done": lambda event: ModelSaid(str(event["item_id"]), str(event["transcript"])),
    "response.audio_transcript.done": lambda event: ModelSaid(str(event["item_id"]), str(event["transcript"])),
    "response.output_item.done": _tool_called,
    "response.done": _response_done,
    "error": _server_fault,
}


# -- what the server is told ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What a session is asked to be."""

    instructions: str
    audio_format: AudioFormat
    voice: str | None
    transcription: str | None
    """The model that writes down what the caller says; None: nobody does."""
    turn_detection: Mapping[str, Any] | None
    """None leaves it to the server."""
    tools: Sequence[Mapping[str, Any]]


def session_update(facts: SessionFacts) -> bytes:
    """The first message."""
    wire: dict[str, Any] = {"type": facts.audio_format}
    if facts.audio_format == "audio/pcm":
        wire["rate"] = RATES_HZ["audio/pcm"]
    heard: dict[str, Any] = {"format": wire}
    if facts.turn_detection is not None:
        heard["turn_detection"] = dict(facts.turn_detection)
    if facts.transcription is not None:
        heard["transcription"] = {"model": facts.transcription}
    said: dict[str, Any] = {"format": wire}
    if facts.voice is not None:
        said["voice"] = facts.voice
    session: dict[str, Any] = {
        "type": "realtime",
        "instructions": facts.instructions,
        "output_modalities": ["audio"],
        "audio": {"input": heard, "output": said},
    }
    if facts.tools:
        session["tools"] = [dict(tool) for tool in facts.tools]
        session["tool_choice"] = "auto"
    return _message("session.update", session=session)


def append_audio(data: bytes) -> bytes:
    """The caller's voice; built by hand, since one comes every 20 ms."""
    return b'{"type":"input_audio_buffer.append","audio":"%s"}' % binascii.b2a_base64(data, newline=False)


def create_response(instructions: str | None = None) -> bytes:
    """Ask for an answer. The instructions replace those of the session, for this answer."""
    return _message("response.create", response={"instructions": instructions}) if instructions else RESPOND


def cancel_response() -> bytes:
    """Have the answer that is being made given up."""
    return _message("response.cancel")


def truncate(item: str, content_index: int, heard_ms: int) -> bytes:
    """Tell how much of an answer was heard, so that the model knows no more of it than the caller."""
    return _message("conversation.item.truncate", item_id=item, content_index=content_index, audio_end_ms=heard_ms)


def tool_output(call: str, output: str) -> bytes:
    """What came of a tool."""
    return _message(
        "conversation.item.create", item={"type": "function_call_output", "call_id": call, "output": output}
    )


def said_before(role: Literal["user", "assistant"], text: str) -> bytes:
    """A part of the conversation that another session had."""
    kind = "input_text" if role == "user" else "output_text"
    item = {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}
    return _message("conversation.item.create", item=item)


def _message(kind: str, **fields: Any) -> bytes:
    return msgspec.json.encode({"type": kind, **fields})


RESPOND = _message("response.create")
