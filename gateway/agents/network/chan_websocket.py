"""The control messages of Asterisk's WebSocket channel: commands and events, in plain text or JSON. No I/O.

Source: Asterisk's documentation of the channel driver WebSocket, and `channels/chan_websocket.c` (Asterisk 22.8).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.agents.network.coding import ALAW_8K, MULAW_8K, AudioFormat
from gateway.agents.network.errors import NOT_JSON

SUBPROTOCOL = "media"
PTIME_MS = 20
QUEUE_MAX, XOFF_LEVEL, XON_LEVEL = 1_000, 900, 800
"""Numbers of frames waiting to be played: the limit, when MEDIA_XOFF is sent, and when MEDIA_XON is sent."""
_MAX_ID = 128

FORMATS: Mapping[str, AudioFormat] = {
    "ulaw": MULAW_8K,
    "alaw": ALAW_8K,
    "slin": AudioFormat("l16", 8_000),
    "slin12": AudioFormat("l16", 12_000),
    "slin16": AudioFormat("l16", 16_000),
    "slin24": AudioFormat("l16", 24_000),
    "slin32": AudioFormat("l16", 32_000),
    "slin44": AudioFormat("l16", 44_100),
    "slin48": AudioFormat("l16", 48_000),
}
"""The supported formats, by Asterisk's names."""


class BadCommandError(ValueError):
    """A message is not a valid command."""


class Verb(enum.Enum):
    """The commands that the application may send."""

    ANSWER = "ANSWER"
    HANGUP = "HANGUP"
    START_MEDIA_BUFFERING = "START_MEDIA_BUFFERING"
    STOP_MEDIA_BUFFERING = "STOP_MEDIA_BUFFERING"
    MARK_MEDIA = "MARK_MEDIA"
    FLUSH_MEDIA = "FLUSH_MEDIA"
    GET_STATUS = "GET_STATUS"
    REPORT_QUEUE_DRAINED = "REPORT_QUEUE_DRAINED"
    PAUSE_MEDIA = "PAUSE_MEDIA"
    CONTINUE_MEDIA = "CONTINUE_MEDIA"


@dataclass(frozen=True, slots=True)
class MediaCommand:
    """One command of the application."""

    verb: Verb
    correlation_id: str = ""
    """Repeated in the event that answers the command; only with MARK_MEDIA and STOP_MEDIA_BUFFERING."""


def frame_bytes(audio: AudioFormat) -> int:
    """Return the number of bytes in one frame of 20 ms."""
    samples = audio.rate_hz * PTIME_MS // 1_000
    return 2 * samples if audio.coding == "l16" else samples


class ControlMessages:
    """Reads and writes the control messages of one connection, in either format."""

    def __init__(self, channel_id: str, *, as_json: bool) -> None:
        self._channel_id = channel_id
        self._as_json = as_json

    # -- what the application says ------------------------------------------------------------------------------------

    def command(self, text: bytes) -> MediaCommand:
        """Return the command in a text message.

        Raises:
            BadCommandError: the channel driver has no such command.
        """
        name, correlation_id = self._from_json(text) if self._as_json else _from_plain_text(text)
        try:
            verb = Verb(name)
        except ValueError:
            raise BadCommandError("no such command") from None
        return MediaCommand(verb, correlation_id[:_MAX_ID])

    def _from_json(self, text: bytes) -> tuple[object, str]:
        try:
            message = msgspec.json.decode(text)
        except NOT_JSON as error:
            raise BadCommandError("not JSON") from error
        if not isinstance(message, dict):
            raise BadCommandError("no object")
        correlation_id = message.get("correlation_id")
        return message.get("command"), correlation_id if isinstance(correlation_id, str) else ""

    # -- what it is told ----------------------------------------------------------------------------------------------

    def started(self, channel: str, name: str, audio: AudioFormat, variables: Mapping[str, str]) -> bytes:
        """Return MEDIA_START, the first message; plain text has no field for the variables.

        Args:
            channel: the name of the channel.
            name: Asterisk's name of the format.
            audio: the format.
            variables: the channel variables.
        """
        fields: dict[str, Any] = {
            "connection_id": self._channel_id,
            "channel": channel,
            "channel_id": self._channel_id,
            "format": name,
            "optimal_frame_size": frame_bytes(audio),
            "ptime": PTIME_MS,
        }
        if self._as_json:
            fields["channel_variables"] = dict(variables)
        return self._event("MEDIA_START", fields)

    def key(self, digit: str) -> bytes:
        """Return DTMF_END: the caller pressed a key."""
        return self._event("DTMF_END", {"digit": digit, "channel_id": self._channel_id})

    def marked(self, correlation_id: str) -> bytes:
        """Return MEDIA_MARK_PROCESSED: all audio before the mark was played."""
        return self._answer("MEDIA_MARK_PROCESSED", correlation_id)

    def buffered(self, correlation_id: str) -> bytes:
        """Return MEDIA_BUFFERING_COMPLETED: all of the buffered media was played."""
        return self._answer("MEDIA_BUFFERING_COMPLETED", correlation_id)

    def drained(self) -> bytes:
        """Return QUEUE_DRAINED: nothing waits to be played."""
        return self._answer("QUEUE_DRAINED")

    def wait(self) -> bytes:
        """Return MEDIA_XOFF: the application must stop sending audio."""
        return self._answer("MEDIA_XOFF")

    def go_on(self) -> bytes:
        """Return MEDIA_XON: the application may send audio again."""
        return self._answer("MEDIA_XON")

    def status(self, queued_frames: int, *, full: bool, buffering: bool) -> bytes:
        """Return STATUS, the answer to GET_STATUS."""
        fields = {
            "channel_id": self._channel_id,
            "queue_length": queued_frames,
            "xon_level": XON_LEVEL,
            "xoff_level": XOFF_LEVEL,
            "queue_full": full,
            "bulk_media": buffering,
            "media_paused": False,
        }
        return self._event("STATUS", fields)

    def error(self, text: str) -> bytes:
        """Return ERROR: a command was not executed."""
        return self._event("ERROR", {"channel_id": self._channel_id, "error_text": text})

    def _answer(self, event: str, correlation_id: str | None = None) -> bytes:
        if not self._as_json:
            return f"{event} {correlation_id}".encode() if correlation_id else event.encode()
        about = {} if correlation_id is None else {"correlation_id": correlation_id}
        return self._event(event, {"channel_id": self._channel_id, **about})

    def _event(self, event: str, fields: Mapping[str, Any]) -> bytes:
        if self._as_json:
            return msgspec.json.encode({"event": event, **fields})
        return " ".join((event, *(f"{name}:{_shown(value)}" for name, value in fields.items()))).encode()


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _from_plain_text(text: bytes) -> tuple[str, str]:
    try:
        name, _, correlation_id = text.decode().strip().partition(" ")
    except UnicodeDecodeError as error:
        raise BadCommandError("not UTF-8") from error
    return name, correlation_id
