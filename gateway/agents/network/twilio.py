"""The messages of Twilio Media Streams, for a bidirectional stream. No I/O.

SignalWire uses the same messages; `gateway.agents.network.dialects` has similar protocols.
Source: Twilio's documentation of "Media Streams - WebSocket Messages".
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, TypeAlias

import msgspec

from gateway.agents.network.coding import Coding
from gateway.agents.network.errors import NOT_JSON


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """The facts of a call that a bot gets when its stream begins."""

    id: str
    """The call's own id, 32 hexadecimal digits."""
    account: str
    from_: str
    to: str
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BotAudio:
    """Audio that the bot says."""

    audio: bytes


@dataclass(frozen=True, slots=True)
class Mark:
    """The bot asks to be told when all audio before this mark was heard."""

    name: str


@dataclass(frozen=True, slots=True)
class Clear:
    """The bot asks to drop all its audio that was not heard yet."""


BotCommand: TypeAlias = BotAudio | Mark | Clear


class BadMessageError(ValueError):
    """A message of the bot does not conform to the protocol."""


class Dialect(Protocol):
    """One stream in a provider's protocol. Each method returns the next message to send, with increasing numbers."""

    coding: ClassVar[Coding]
    """The coding of the audio in both directions, at 8 kHz."""

    def opening(self) -> list[bytes]:
        """The first messages of the stream."""

    def media(self, payload: bytes, length_ms: int) -> bytes:
        """A message with the caller's voice; `payload` is base64."""

    def dtmf(self, digit: str, duration_ms: int) -> bytes:
        """A message for a key that the caller pressed."""

    def mark(self, name: str) -> bytes:
        """A message that all audio before this mark was heard or dropped."""

    def cleared(self) -> bytes | None:
        """The answer to `Clear`, sent before the dropped marks; None if the protocol has none."""

    def stop(self) -> bytes:
        """The end of the stream."""

    def command(self, text: bytes) -> BotCommand | None:
        """Return the command in a message of the bot; None if the protocol has no such message.

        Raises:
            BadMessageError: it is not JSON, or a required field is missing.
        """


class _Payload(msgspec.Struct):
    payload: bytes | None = None  # msgspec decodes base64


class _Name(msgspec.Struct):
    name: str | None = None


class _Message(msgspec.Struct):
    event: str
    media: _Payload | None = None
    mark: _Name | None = None


_decoder = msgspec.json.Decoder(_Message)


def command_of(text: bytes) -> BotCommand | None:
    """See `Dialect.command`; for all protocols with Twilio's command messages."""
    try:
        message = _decoder.decode(text)
    except NOT_JSON as error:
        raise BadMessageError(str(error)) from error
    match message.event:
        case "media":
            if message.media is None or message.media.payload is None:
                raise BadMessageError("media without a payload")
            return BotAudio(message.media.payload)
        case "mark":
            if message.mark is None or message.mark.name is None:
                raise BadMessageError("mark without a name")
            return Mark(message.mark.name)
        case "clear":
            return Clear()
        case _:
            return None


def quoted(text: str) -> bytes:
    """Return a string as JSON."""
    return msgspec.json.encode(text)


class TwilioLike(ABC):
    """The common part of Twilio's and similar protocols: the same messages, with different spellings of some keys."""

    coding: ClassVar[Coding] = "mulaw"
    _stream_key: ClassVar[str] = "streamSid"
    _sequence_key: ClassVar[str] = "sequenceNumber"

    def __init__(self, facts: StreamFacts, stream: str) -> None:
        self._facts = facts
        self._stream = stream
        self._numbered = 0
        self._chunks = 0
        self._time_ms = 0
        names = (self._sequence_key, self._stream_key, stream)
        sequence_key, key, value = (quoted(one).replace(b"%", b"%%") for one in names)
        self._media = b"".join((
            b'{"event":"media",', sequence_key, b':"%d","media":{"track":"inbound","chunk":"%d","timestamp":"%d",',
            b'"payload":"%s"},', key, b":", value, b"}",
        ))  # fmt: skip

    @abstractmethod
    def opening(self) -> list[bytes]:
        """See `Dialect.opening`."""

    @abstractmethod
    def dtmf(self, digit: str, duration_ms: int) -> bytes:
        """See `Dialect.dtmf`."""

    @abstractmethod
    def stop(self) -> bytes:
        """See `Dialect.stop`."""

    def media(self, payload: bytes, length_ms: int) -> bytes:
        """See `Dialect.media`."""
        self._numbered += 1
        self._chunks += 1
        started_ms = self._time_ms
        self._time_ms += length_ms
        return self._media % (self._numbered, self._chunks, started_ms, payload)

    def mark(self, name: str) -> bytes:
        """See `Dialect.mark`."""
        return self._message("mark", {"name": name})

    def cleared(self) -> bytes | None:
        """See `Dialect.cleared`: there is no answer, only the dropped marks are reported."""
        return None

    def command(self, text: bytes) -> BotCommand | None:
        """See `Dialect.command`."""
        return command_of(text)

    def _message(self, event: str, about: Mapping[str, object], **more: str) -> bytes:
        self._numbered += 1
        message = {
            "event": event,
            self._sequence_key: str(self._numbered),
            event: about,
            self._stream_key: self._stream,
            **more,
        }
        return msgspec.json.encode(message)


class Twilio(TwilioLike):
    """The protocol of Twilio and SignalWire."""

    def __init__(self, facts: StreamFacts) -> None:
        super().__init__(facts, f"MZ{facts.id}")
        self._about = {"accountSid": facts.account, "callSid": f"CA{facts.id}"}

    def opening(self) -> list[bytes]:
        """See `Dialect.opening`."""
        start = {
            **self._about,
            "streamSid": self._stream,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": dict(self._facts.parameters),
        }
        connected = {"event": "connected", "protocol": "Call", "version": "1.0.0"}
        return [msgspec.json.encode(connected), self._message("start", start)]

    def dtmf(self, digit: str, duration_ms: int) -> bytes:  # noqa: ARG002 - Twilio does not report it
        """See `Dialect.dtmf`."""
        return self._message("dtmf", {"track": "inbound_track", "digit": digit})

    def stop(self) -> bytes:
        """See `Dialect.stop`."""
        return self._message("stop", self._about)
