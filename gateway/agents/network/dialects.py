"""Protocols similar to Twilio's: Telnyx, Plivo and Exotel. No I/O.

Sources: the providers' documentation of their media streaming over WebSocket, and the serializers of pipecat.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import ClassVar, TypeAlias

import msgspec

from gateway.agents.network.coding import Coding
from gateway.agents.network.errors import NOT_JSON
from gateway.agents.network.twilio import (
    BadMessageError,
    BotAudio,
    BotCommand,
    Clear,
    Dialect,
    Mark,
    StreamFacts,
    Twilio,
    TwilioLike,
    quoted,
)


class Telnyx(TwilioLike):
    """Telnyx: `start` contains the custom parameters beside the facts of the call."""

    _stream_key = "stream_id"
    _sequence_key = "sequence_number"

    def __init__(self, facts: StreamFacts) -> None:
        super().__init__(facts, facts.id)
        self._about = {"user_id": facts.account, "call_control_id": f"v3:{facts.id}"}

    def opening(self) -> list[bytes]:
        """See `Dialect.opening`."""
        start = {
            **self._about,
            "call_session_id": self._facts.id,
            "from": self._facts.from_,
            "to": self._facts.to,
            "tags": [],
            "client_state": "",
            "custom_parameters": dict(self._facts.parameters),
            "media_format": {"encoding": "PCMU", "sample_rate": 8000, "channels": 1},
        }
        return [msgspec.json.encode({"event": "connected", "version": "1.0.0"}), self._message("start", start)]

    def dtmf(self, digit: str, duration_ms: int) -> bytes:  # noqa: ARG002 - Telnyx does not report it
        """See `Dialect.dtmf`."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        return self._message("dtmf", {"digit": digit}, occurred_at=now)

    def stop(self) -> bytes:
        """See `Dialect.stop`."""
        return self._message("stop", self._about)


class Exotel(TwilioLike):
    """Exotel: audio is 16-bit samples instead of mu-law."""

    coding: ClassVar[Coding] = "l16"
    _stream_key = "stream_sid"
    _sequence_key = "sequence_number"

    def __init__(self, facts: StreamFacts) -> None:
        super().__init__(facts, facts.id)
        self._about = {"call_sid": facts.id, "account_sid": facts.account}

    def opening(self) -> list[bytes]:
        """See `Dialect.opening`."""
        start = {
            "stream_sid": self._stream,
            **self._about,
            "from": self._facts.from_,
            "to": self._facts.to,
            "custom_parameters": dict(self._facts.parameters),
            "media_format": {"encoding": "base64", "sample_rate": "8000", "bit_rate": "128kbps"},
        }
        return [msgspec.json.encode({"event": "connected"}), self._message("start", start)]

    def dtmf(self, digit: str, duration_ms: int) -> bytes:
        """See `Dialect.dtmf`."""
        return self._message("dtmf", {"digit": digit, "duration": str(duration_ms)})

    def stop(self) -> bytes:
        """See `Dialect.stop`."""
        return self._message("stop", {**self._about, "reason": "callended"})


class _PlivoMedia(msgspec.Struct):
    payload: bytes | None = None  # msgspec decodes base64
    content_type: str = msgspec.field(default="audio/x-mulaw", name="contentType")
    rate_hz: int = msgspec.field(default=8000, name="sampleRate")


class _PlivoMessage(msgspec.Struct):
    event: str
    media: _PlivoMedia | None = None
    name: str | None = None


_plivo_decoder = msgspec.json.Decoder(_PlivoMessage, strict=False)  # some libraries write the rate as text


class Plivo:
    """Plivo: other names for the bot's messages, numbers are JSON numbers, each `clearAudio` is answered."""

    coding: ClassVar[Coding] = "mulaw"

    def __init__(self, facts: StreamFacts) -> None:
        self._facts = facts
        self._numbered = 0
        self._chunks = 0
        self._time_ms = 0
        self._extra = ",".join(f"{name}={value}" for name, value in facts.parameters.items())
        stream, extra = (quoted(one).replace(b"%", b"%%") for one in (facts.id, self._extra))
        self._media = (
            b'{"sequenceNumber":%d,"streamId":' + stream + b',"event":"media","media":{"track":"inbound",'
            b'"timestamp":"%d","chunk":%d,"payload":"%s"},"extra_headers":' + extra + b"}"
        )

    def opening(self) -> list[bytes]:
        """See `Dialect.opening`."""
        start = {
            "callId": self._facts.id,
            "streamId": self._facts.id,
            "accountId": self._facts.account,
            "from": self._facts.from_,
            "to": self._facts.to,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000},
        }
        return [msgspec.json.encode({"sequenceNumber": 0, "event": "start", "start": start, **self._headers()})]

    def media(self, payload: bytes, length_ms: int) -> bytes:
        """See `Dialect.media`."""
        self._numbered += 1
        self._chunks += 1
        started_ms = self._time_ms
        self._time_ms += length_ms
        return self._media % (self._numbered, started_ms, self._chunks, payload)

    def dtmf(self, digit: str, duration_ms: int) -> bytes:  # noqa: ARG002 - Plivo does not report it
        """See `Dialect.dtmf`."""
        about = {"track": "inbound", "digit": digit, "timestamp": str(self._time_ms)}
        return self._message("dtmf", {"dtmf": about, **self._headers()})

    def mark(self, name: str) -> bytes:
        """See `Dialect.mark`; Plivo calls marks checkpoints."""
        return self._message("playedStream", {"name": name})

    def cleared(self) -> bytes | None:
        """See `Dialect.cleared`."""
        return self._message("clearedAudio", {})

    def stop(self) -> bytes:
        """See `Dialect.stop`."""
        return self._message("stop", {"stop": {"callId": self._facts.id, "accountId": self._facts.account}})

    def command(self, text: bytes) -> BotCommand | None:
        """See `Dialect.command`."""
        try:
            message = _plivo_decoder.decode(text)
        except NOT_JSON as error:
            raise BadMessageError(str(error)) from error
        match message.event:
            case "playAudio":
                return _plivo_media(message.media)
            case "checkpoint":
                if message.name is None:
                    raise BadMessageError("checkpoint without a name")
                return Mark(message.name)
            case "clearAudio":
                return Clear()
            case _:
                return None

    def _headers(self) -> dict[str, str]:
        return {"extra_headers": self._extra}

    def _message(self, event: str, about: Mapping[str, object]) -> bytes:
        self._numbered += 1
        numbered = {"event": event, "sequenceNumber": self._numbered, "streamId": self._facts.id}
        return msgspec.json.encode({**numbered, **about})


def _plivo_media(media: _PlivoMedia | None) -> BotAudio:
    if media is None or media.payload is None:
        raise BadMessageError("playAudio without a payload")
    if (media.content_type, media.rate_hz) != ("audio/x-mulaw", 8000):
        raise BadMessageError(f"{media.content_type} at {media.rate_hz} Hz: send audio/x-mulaw at 8000 Hz")
    return BotAudio(media.payload)


MakeDialect: TypeAlias = Callable[[StreamFacts], Dialect]

DIALECTS: Mapping[str, MakeDialect] = {
    "twilio": Twilio,
    "signalwire": Twilio,
    "telnyx": Telnyx,
    "plivo": Plivo,
    "exotel": Exotel,
}
"""The dialects by their names in `gateway.yaml`."""
