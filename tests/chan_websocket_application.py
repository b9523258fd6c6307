"""An application as Asterisk's WebSocket channel knows it: binary media, text control messages in either format."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from media.g711 import mulaw_decoded, mulaw_encoded
from tests.bot import Message, Stream

if TYPE_CHECKING:
    from media.leg import Pcm


class MediaStream(Stream):
    """One connection, with `ulaw` unless the call says otherwise. A message is an event and its fields."""

    def read(self, data: str | bytes) -> Message:
        if isinstance(data, bytes):
            return {"event": "media", "data": data}
        if data.startswith("{"):
            message: Message = json.loads(data)
            return message
        event, _, rest = data.partition(" ")
        fields = dict(pair.partition(":")[::2] for pair in rest.split(" ") if ":" in pair)
        return {"event": event, **(fields or ({"correlation_id": rest} if rest else {}))}

    async def command(self, verb: str, correlation_id: str | None = None) -> None:
        """Send a command, in the format that the gateway speaks."""
        if isinstance(self.of("MEDIA_START")[0]["ptime"], int):
            about = {} if correlation_id is None else {"correlation_id": correlation_id}
            await self.send({"command": verb, **about})
        else:
            await self.send(verb if correlation_id is None else f"{verb} {correlation_id}")

    async def say(self, pcm: Pcm) -> None:
        await self.send(mulaw_encoded(pcm))

    @property
    def events(self) -> list[str]:
        """Of all control messages."""
        return [message["event"] for message in list(self.received) if message["event"] != "media"]

    @property
    def heard_bytes(self) -> bytes:
        """The caller's voice so far, as it came."""
        return b"".join(message["data"] for message in self.of("media"))

    @property
    def heard(self) -> Pcm:
        data = self.heard_bytes
        return mulaw_decoded(data) if data else np.zeros(0, np.int16)


async def parrots(stream: Stream, message: Message) -> None:
    """An application that says what it hears."""
    if message["event"] == "media":
        await stream.send(message["data"])
