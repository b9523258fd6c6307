"""A server of ElevenLabs' agents, scripted. What it gets is checked against ElevenLabs' documentation."""

from __future__ import annotations

import base64
import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from media.g711 import mulaw_decoded, mulaw_encoded
from media.pcm_bytes import pcm16_decoded, pcm16_encoded
from tests.bot import Message, Stream

if TYPE_CHECKING:
    from media.leg import Pcm

_numbers = itertools.count(1)
_KEYS = {
    "conversation_initiation_client_data": ({"dynamic_variables"}, {"conversation_config_override"}),
    "user_message": ({"text"}, set()),
    "contextual_update": ({"text"}, set()),
    "client_tool_result": ({"tool_call_id", "result", "is_error"}, set()),
    "pong": ({"event_id"}, set()),
}
"""By type: what a message must have, and may have."""
_OVERRIDES = {"agent": {"prompt", "first_message", "language"}, "tts": {"voice_id"}}


def check(message: Message) -> None:
    """The message is one that the vendor documents."""
    if set(message) == {"user_audio_chunk"}:
        base64.b64decode(message["user_audio_chunk"], validate=True)
        return
    must, may = _KEYS[message["type"]]
    keys = set(message) - {"type"}
    assert must <= keys <= must | may, message
    for part, values in message.get("conversation_config_override", {}).items():
        assert values
        assert set(values) <= _OVERRIDES[part], values
        assert set(values.get("prompt", {"prompt": ""})) == {"prompt"}
    assert all(isinstance(value, str) for value in message.get("dynamic_variables", {}).values())


class ElevenLabsStream(Stream):
    """One conversation."""

    format = "ulaw_8000"
    event_id = 0

    def of(self, event: str) -> list[Message]:
        """The messages of one type; `audio` has none in the protocol."""
        key = "user_audio_chunk"
        kinds = ((message.get("type", "audio" if key in message else ""), message) for message in list(self.received))
        return [message for kind, message in kinds if kind == event]

    async def event(self, kind: str, part: str | None = None, **fields: Any) -> None:
        """Send an event."""
        await self.send({"type": kind, part or f"{kind}_event": fields})

    async def accept(self, audio_format: str = "ulaw_8000") -> None:
        """The conversation begins, in the formats that the agent has."""
        self.format = audio_format
        formats = {"agent_output_audio_format": audio_format, "user_input_audio_format": audio_format}
        await self.event("conversation_initiation_metadata", conversation_id=f"conv_{next(_numbers)}", **formats)

    @property
    def heard(self) -> Pcm:
        """The caller's voice so far."""
        data = b"".join(base64.b64decode(message["user_audio_chunk"]) for message in self.of("audio"))
        if not data:
            return np.zeros(0, np.int16)
        return mulaw_decoded(data) if self.format == "ulaw_8000" else pcm16_decoded(data)

    async def audio(self, pcm: Pcm, piece: int = 4_000, event_id: int | None = None) -> None:
        """A part of an answer, in pieces."""
        encoded = mulaw_encoded if self.format == "ulaw_8000" else pcm16_encoded
        for start in range(0, len(pcm), piece):
            self.event_id += event_id is None
            data = base64.b64encode(encoded(pcm[start : start + piece])).decode()
            await self.event("audio", audio_base_64=data, event_id=event_id or self.event_id)

    async def answer(self, text: str, pcm: Pcm) -> None:
        """A whole answer."""
        await self.said(text)
        await self.audio(pcm)

    async def said(self, text: str) -> None:
        """What the agent says, as text."""
        await self.event("agent_response", agent_response=text)

    async def caller_said(self, text: str) -> None:
        """What the caller said, as text."""
        await self.event("user_transcript", "user_transcription_event", user_transcript=text)

    async def caller_begins(self) -> None:
        """The server hears the caller."""
        await self.event("interruption", event_id=self.event_id)

    async def call_tool(self, name: str, parameters: object) -> None:
        """The agent wants something done."""
        call = {"tool_name": name, "tool_call_id": f"call_{next(_numbers)}", "parameters": parameters}
        await self.event("client_tool_call", "client_tool_call", **call)


async def accepts(stream: Stream, message: Message) -> None:
    """A server that accepts the conversation, and checks each message."""
    assert isinstance(stream, ElevenLabsStream)
    check(message)
    if message.get("type") == "conversation_initiation_client_data":
        await stream.accept()


async def echoes(stream: Stream, message: Message) -> None:
    """An agent that says what it hears, one answer without end."""
    assert isinstance(stream, ElevenLabsStream)
    await accepts(stream, message)
    if "user_audio_chunk" in message:
        stream.event_id += 1
        await stream.event("audio", audio_base_64=message["user_audio_chunk"], event_id=stream.event_id)
