"""A server of Google's Gemini Live API, scripted. What it gets and sends is checked by Google's own types."""

from __future__ import annotations

import base64
import itertools
import json
from typing import TYPE_CHECKING, Any

import numpy as np
from google.genai.types import LiveClientMessage, LiveServerMessage

from media.pcm_bytes import pcm16_decoded, pcm16_encoded
from tests.bot import Message, Stream

if TYPE_CHECKING:
    from media.leg import Pcm

_numbers = itertools.count(1)


class GeminiStream(Stream):
    """One connection."""

    async def say_json(self, message: Message) -> None:
        """Send a message that Google's client would take, in a binary frame as Google does."""
        LiveServerMessage.model_validate(message)
        await self.connection.send(json.dumps(message).encode())

    def of(self, event: str) -> list[Message]:
        """What was told by messages of one kind; `audio` and `text` are the caller's voice and words."""
        if event in ("audio", "text"):
            inputs = self.of("realtimeInput")
            return [one if event == "audio" else {"text": one["text"]} for one in inputs if event in one]
        return [message[event] for message in list(self.received) if event in message]

    @property
    def setup(self) -> Message:
        return self.of("setup")[0]

    @property
    def heard(self) -> Pcm:
        """The caller's voice so far, at 16 kHz."""
        data = b"".join(base64.b64decode(one["audio"]["data"]) for one in self.of("audio"))
        return pcm16_decoded(data) if data else np.zeros(0, np.int16)

    async def accept(self) -> None:
        await self.say_json({"setupComplete": {}})

    async def content(self, **fields: Any) -> None:
        await self.say_json({"serverContent": fields})

    async def audio(self, pcm: Pcm, piece: int = 9_600) -> None:
        """A part of an answer, at 24 kHz, in pieces."""
        for start in range(0, len(pcm), piece):
            await self.audio_bytes(pcm16_encoded(pcm[start : start + piece]))

    async def audio_bytes(self, data: bytes) -> None:
        blob = {"mimeType": "audio/pcm;rate=24000", "data": base64.b64encode(data).decode()}
        await self.content(modelTurn={"parts": [{"inlineData": blob}]})

    async def said(self, *words: str) -> None:
        for text in words:
            await self.content(outputTranscription={"text": text})

    async def caller_said(self, *words: str) -> None:
        for text in words:
            await self.content(inputTranscription={"text": text})

    async def finish(self) -> None:
        await self.content(generationComplete=True)
        await self.content(turnComplete=True)

    async def interrupt(self) -> None:
        await self.content(interrupted=True)
        await self.content(turnComplete=True)

    async def call_tools(self, *calls: tuple[str, dict[str, Any]]) -> None:
        found = [{"id": f"call-{next(_numbers)}", "name": name, "args": arguments} for name, arguments in calls]
        await self.say_json({"toolCall": {"functionCalls": found}})

    async def handle(self, name: str) -> None:
        """The session can be resumed by this."""
        await self.say_json({"sessionResumptionUpdate": {"newHandle": name, "resumable": True}})

    async def go_away(self, left: str) -> None:
        await self.say_json({"goAway": {"timeLeft": left}})


async def accepts(stream: Stream, message: Message) -> None:
    """A server that accepts the session, and checks each message by Google's types."""
    assert isinstance(stream, GeminiStream)
    assert len(message) == 1
    LiveClientMessage.model_validate(message)
    if "setup" in message:
        await stream.accept()
