"""Twilio Media Streams, the messages of a bidirectional stream: what a bot is sent, and what it sends. No I/O.

SignalWire speaks the same; `gateway.agents.network.dialects` has the near copies.
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
    """The bot says something."""

    audio: bytes


@dataclass(frozen=True, slots=True)
class Mark:
    """The bot wants to know when all that it said before was heard."""

    name: str


@dataclass(frozen=True, slots=True)
class Clear:
    """The bot wants to be silent at once."""


BotCommand: TypeAlias = BotAudio | Mark | Clear


class BadMessageError(ValueError):
    """A message of the bot is not what the protocol says."""


class Dialect(Protocol):
    """One stream as a provider speaks it. Each method gives the next message to send; the numbers go on."""

    coding: ClassVar[Coding]
    """Of the audio both ways, at 8 kHz."""

    def opening(self) -> list[bytes]:
        """What comes before everything else."""

    def media(self, payload: bytes, length_ms: int) -> bytes:
        """The caller's voice, in base64."""

    def dtmf(self, digit: str, duration_ms: int) -> bytes:
        """A key."""

    def mark(self, name: str) -> bytes:
        """What was said before this mark was heard, or dropped."""

    def cleared(self) -> bytes | None:
        """The answer to `Clear`, before the marks that it drops."""

    def stop(self) -> bytes:
        """The end of the stream."""

    def command(self, text: bytes) -> BotCommand | None:
        """What the bot wants; None for a message that this protocol does not know.

        Raises:
            BadMessageError: it is no JSON, or lacks what it must have.
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
    """As `Dialect.command`, for all that write it as Twilio does."""
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
    """A string as JSON."""
    return msgspec.json.encode(text)


class TwilioLike(ABC):
    """What Twilio and its near copies have in common: the same messages, with names in their own spelling."""

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
        """As `Dialect.opening`."""

    @abstractmethod
    def dtmf(self, digit: str, duration_ms: int) -> bytes:
        """As `Dialect.dtmf`."""

    @abstractmethod
    def stop(self) -> bytes:
        """As `Dialect.stop`."""

    def media(self, payload: bytes, length_ms: int) -> bytes:
        """As `Dialect.media`."""
        self._numbered += 1
        self._chunks += 1
        started_ms = self._time_ms
        self._time_ms += length_ms
        return self._media % (self._numbered, self._chunks, started_ms, payload)

    def mark(self, name: str) -> bytes:
        """As `Dialect.mark`."""
        return self._message("mark", {"name": name})

    def cleared(self) -> bytes | None:
        """As `Dialect.cleared`: the marks come back, and nothing else."""
        return None

    def command(self, text: bytes) -> BotCommand | None:
        """As `Dialect.command`."""
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
    """As Twilio itself, and as SignalWire."""

    def __init__(self, facts: StreamFacts) -> None:
        super().__init__(facts, f"MZ{facts.id}")
        self._about = {"accountSid": facts.account, "callSid": f"CA{facts.id}"}

    def opening(self) -> list[bytes]:
        """As `Dialect.opening`."""
        start = {
            **self._about,
            "streamSid": self._stream,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": dict(self._facts.parameters),
        }
        connected = {"event": "connected", "protocol": "Call", "version": "1.0.0"}
        return [msgspec.json.encode(connected), self._message("start", start)]

    def dtmf(self, digit: str, duration_ms: int) -> bytes:  # noqa: ARG002 - Twilio does not tell
        """As `Dialect.dtmf`."""
        return self._message("dtmf", {"track": "inbound_track", "digit": digit})

    def stop(self) -> bytes:
        """As `Dialect.stop`."""
        return self._message("stop", self._about)
