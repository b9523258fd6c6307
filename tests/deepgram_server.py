"""A server of Deepgram's Voice Agent API, scripted. What it gets and sends is checked by Deepgram's own types."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
from deepgram.agent.v1 import types
from pydantic import BaseModel

from media.g711 import alaw_decoded, alaw_encoded, mulaw_decoded, mulaw_encoded
from media.pcm_bytes import pcm16_decoded, pcm16_encoded
from tests.bot import Message, Stream

if TYPE_CHECKING:
    from media.leg import Pcm

_numbers = itertools.count(1)
_ENCODED = {"mulaw": mulaw_encoded, "alaw": alaw_encoded, "linear16": pcm16_encoded}
_DECODED = {"mulaw": mulaw_decoded, "alaw": alaw_decoded, "linear16": pcm16_decoded}
_OF_CLIENT: dict[str, type[BaseModel]] = {
    "Settings": types.AgentV1Settings,
    "FunctionCallResponse": types.AgentV1SendFunctionCallResponse,
    "InjectUserMessage": types.AgentV1InjectUserMessage,
    "KeepAlive": types.AgentV1KeepAlive,
}
_OF_SERVER: dict[str, type[BaseModel]] = {
    "Welcome": types.AgentV1Welcome,
    "SettingsApplied": types.AgentV1SettingsApplied,
    "ConversationText": types.AgentV1ConversationText,
    "UserStartedSpeaking": types.AgentV1UserStartedSpeaking,
    "AgentThinking": types.AgentV1AgentThinking,
    "AgentStartedSpeaking": types.AgentV1AgentStartedSpeaking,
    "AgentAudioDone": types.AgentV1AgentAudioDone,
    "FunctionCallRequest": types.AgentV1FunctionCallRequest,
    "Error": types.AgentV1Error,
    "Warning": types.AgentV1Warning,
}


def checked(kinds: dict[str, type[BaseModel]], message: Message) -> None:
    """The message is one of these, and has no key that is unknown."""
    known_only(kinds[message["type"]].model_validate(message))


def known_only(value: object) -> None:
    """Deepgram's types take keys that they do not know; these are none of ours."""
    if isinstance(value, BaseModel):
        assert not value.model_extra, f"{type(value).__name__} has no {list(value.model_extra)}"
        for name in type(value).model_fields:
            known_only(getattr(value, name))
    elif isinstance(value, (list, tuple)):
        for one in value:
            known_only(one)


class DeepgramStream(Stream):
    """One session."""

    def read(self, data: str | bytes) -> Message:
        """The caller's voice is binary."""
        return {"type": "audio", "audio": data} if isinstance(data, bytes) else super().read(data)

    async def greet(self) -> None:
        """As the API does."""
        await self.event("Welcome", request_id=f"request_{next(_numbers)}")

    async def event(self, kind: str, **fields: Any) -> None:
        """Send an event that Deepgram's client would take."""
        event = {"type": kind, **fields}
        checked(_OF_SERVER, event)
        await self.send(event)

    def of(self, event: str) -> list[Message]:
        """The messages of one type."""
        return [message for message in list(self.received) if message.get("type") == event]

    @property
    def asked(self) -> Message:
        """The settings."""
        return self.of("Settings")[-1]

    @property
    def heard(self) -> Pcm:
        """The caller's voice so far."""
        data = b"".join(message["audio"] for message in self.of("audio"))
        return _DECODED[self.asked["audio"]["input"]["encoding"]](data) if data else np.zeros(0, np.int16)

    async def audio(self, pcm: Pcm, piece: int = 4_000) -> None:
        """A part of an answer, in pieces."""
        for start in range(0, len(pcm), piece):
            await self.send(_ENCODED[self.asked["audio"]["output"]["encoding"]](pcm[start : start + piece]))

    async def said(self, text: str) -> None:
        """What the agent says next, as text."""
        await self.event("ConversationText", role="assistant", content=text)

    async def caller_said(self, text: str) -> None:
        """What the caller said, as text."""
        await self.event("ConversationText", role="user", content=text)

    async def caller_begins(self) -> None:
        """The server hears the caller."""
        await self.event("UserStartedSpeaking")

    async def answer(self, text: str, pcm: Pcm) -> None:
        """A whole answer."""
        await self.said(text)
        await self.audio(pcm)
        await self.finish()

    async def finish(self) -> None:
        """The answer was sent."""
        await self.event("AgentAudioDone")

    async def call_tools(self, *tools: tuple[str, str]) -> None:
        """The model wants something done."""
        about = {"client_side": True}
        functions = [
            {"id": f"call_{next(_numbers)}", "name": name, "arguments": given, **about} for name, given in tools
        ]
        await self.event("FunctionCallRequest", functions=functions)

    async def fault(self, code: str, description: str, kind: str = "Error") -> None:
        """Something is wrong."""
        await self.event(kind, code=code, description=description)


async def accepts(stream: Stream, message: Message) -> None:
    """A server that accepts the settings, and checks each message by Deepgram's types."""
    assert isinstance(stream, DeepgramStream)
    if message["type"] == "audio":
        return
    checked(_OF_CLIENT, message)
    if message["type"] == "Settings":
        await stream.event("SettingsApplied")


async def echoes(stream: Stream, message: Message) -> None:
    """An agent that says what it hears, one answer without end."""
    await accepts(stream, message)
    if message["type"] == "audio":
        await stream.send(message["audio"])
