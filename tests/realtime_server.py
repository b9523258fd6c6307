"""A server of OpenAI's Realtime API, scripted. What it gets and sends is checked by OpenAI's own types."""

from __future__ import annotations

import base64
import itertools
from typing import TYPE_CHECKING, Any

from openai.types.realtime import RealtimeClientEvent, RealtimeServerEvent
from pydantic import TypeAdapter

from media.g711 import alaw_encoded, mulaw_encoded
from media.pcm_bytes import pcm16_encoded
from tests.bot import Message, Stream

if TYPE_CHECKING:
    from media.leg import Pcm

_client_event: TypeAdapter[Any] = TypeAdapter(RealtimeClientEvent)
_server_event: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)
_ENCODED = {"audio/pcmu": mulaw_encoded, "audio/pcma": alaw_encoded, "audio/pcm": pcm16_encoded}
_numbers = itertools.count(1)

TRANSCRIPTION_USAGE = {"type": "duration", "seconds": 1.0}


class RealtimeStream(Stream):
    """One session."""

    response = ""
    """The one that is being made."""

    async def greet(self) -> None:
        """As the API does."""
        await self.event("session.created", session={"type": "realtime"})

    async def event(self, kind: str, **fields: Any) -> None:
        """Send an event that OpenAI's client would take."""
        event = {"type": kind, "event_id": f"event_{next(_numbers)}", **fields}
        _server_event.validate_python(event, strict=False)
        await self.send(event)

    def of(self, event: str) -> list[Message]:
        """The messages of one type."""
        return [message for message in list(self.received) if message.get("type") == event]

    async def accept(self, audio_format: str | None = None) -> None:
        """The session is as asked, perhaps with another format."""
        session = dict(self.of("session.update")[-1]["session"])
        if audio_format is not None:
            wire: dict[str, object] = {"type": audio_format}
            if audio_format == "audio/pcm":
                wire["rate"] = 24_000
            session["audio"] = {way: {**session["audio"][way], "format": wire} for way in ("input", "output")}
        self.format = session["audio"]["output"]["format"]["type"]
        await self.event("session.updated", session=session)

    format = "audio/pcmu"

    async def begin(self) -> None:
        """A response begins."""
        self.response = f"resp_{next(_numbers)}"
        await self.event("response.created", response=self._response("in_progress"))

    async def audio(self, item: str, pcm: Pcm, piece: int = 4_000) -> None:
        """A part of it, in pieces."""
        for start in range(0, len(pcm), piece):
            delta = base64.b64encode(_ENCODED[self.format](pcm[start : start + piece])).decode()
            at = {"response_id": self.response, "item_id": item, "output_index": 0, "content_index": 0}
            await self.event("response.output_audio.delta", delta=delta, **at)

    async def said(self, item: str, text: str) -> None:
        """What it says, as text."""
        at = {"response_id": self.response, "item_id": item, "output_index": 0, "content_index": 0}
        await self.event("response.output_audio_transcript.done", transcript=text, **at)

    async def caller_said(self, text: str) -> None:
        """What the caller said, as text."""
        about = {"item_id": f"item_{next(_numbers)}", "content_index": 0, "usage": TRANSCRIPTION_USAGE}
        await self.event("conversation.item.input_audio_transcription.completed", transcript=text, **about)

    async def caller_begins(self) -> None:
        """The server hears the caller."""
        await self.event("input_audio_buffer.speech_started", item_id=f"item_{next(_numbers)}", audio_start_ms=100)

    async def caller_ends(self) -> None:
        """The server hears the caller no more."""
        await self.event("input_audio_buffer.speech_stopped", item_id=f"item_{next(_numbers)}", audio_end_ms=900)

    async def call_tool(self, name: str, arguments: str) -> None:
        """The model wants something done."""
        item = {"type": "function_call", "id": f"item_{next(_numbers)}", "call_id": f"call_{next(_numbers)}"}
        item |= {"name": name, "arguments": arguments, "status": "completed"}
        await self.event("response.output_item.done", response_id=self.response, output_index=0, item=item)

    async def finish(self, status: str = "completed", error: dict[str, str] | None = None) -> None:
        """The response was sent."""
        details = {"status_details": {"type": status, "error": error}} if error else {}
        await self.event("response.done", response={**self._response(status), **details})
        self.response = ""

    async def fault(self, code: str, message: str, kind: str = "invalid_request_error") -> None:
        """Something is wrong."""
        await self.event("error", error={"type": kind, "code": code, "message": message})

    def _response(self, status: str) -> dict[str, object]:
        return {"object": "realtime.response", "id": self.response, "status": status, "output": []}


async def accepts(stream: Stream, message: Message) -> None:
    """A server that accepts the session, and checks each message by OpenAI's types."""
    assert isinstance(stream, RealtimeStream)
    _client_event.validate_python(message)
    if message["type"] == "session.update":
        await stream.accept()
