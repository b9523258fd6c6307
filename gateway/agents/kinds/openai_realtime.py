"""A speech-to-speech model behind OpenAI's Realtime API, or a server of the same shape, without a line of code."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import quote

from pydantic import Field

from gateway.agents.kinds.network import NetworkSettings, WebSocketUrl
from gateway.agents.kinds.settings import BargeInOptions, Maker
from gateway.agents.network.parameters import Prose
from gateway.settings.secret import Secret
from gateway.settings.values import Model, Name, Text
from media.conversation.floor import BargeIn

if TYPE_CHECKING:
    from gateway.agents.network.realtime import AudioFormat

ResultName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class RealtimeAudio(enum.Enum):
    """How the sound is coded between the gateway and the server."""

    AUTO = "auto"
    PCMU = "pcmu"
    PCMA = "pcma"
    PCM = "pcm"


class TurnDetection(enum.Enum):
    """What tells the server that the caller has finished."""

    SERVER = "server_vad"
    SEMANTIC = "semantic_vad"
    DEFAULT = "default"
    """As the server has it by itself."""


class ToolOptions(Model):
    """What the model may do besides talking."""

    hang_up: bool = True
    """It may end the call."""
    go_to: dict[Name, Text] = Field(default={}, max_length=16)
    """It may hand the caller to these routes of the dialplan; the text tells it when."""
    note: dict[ResultName, Text] = Field(default={}, max_length=32)
    """It may note these results, which the record and later agents have; the text tells it what each is."""


class OpenAIRealtimeSettings(NetworkSettings):
    """A speech-to-speech model behind OpenAI's Realtime API, or another server of that shape (`url`).

    The server notices when the caller interrupts; the model is told how much of its answer was heard. With `barge_in`
    the gateway silences it as well, as soon as the caller speaks. A session that ends in mid-call is followed by
    another one, which is told what was said before.
    """

    kind: Literal["openai-realtime"] = "openai-realtime"
    url: WebSocketUrl = "wss://api.openai.com/v1/realtime"
    """Of the server, without the model."""
    api_key: Secret | None = None
    """Sent as `Authorization: Bearer`; for servers that want it elsewhere there is `headers`."""
    model: Text = "gpt-realtime"
    """Appended to the url as `model=`; `none`: nothing is."""
    instructions: Prose = "You are a friendly assistant on the telephone. Answer briefly, in the caller's language."
    """What the model is told; it may hold facts of the call as `{from}`, see `media-streams`."""
    greeting: Prose = "Greet the caller in one short sentence."
    """What it is told to say first; `none`: the caller speaks first."""
    voice: Text | None = None
    """Without it, the server's own."""
    audio: RealtimeAudio = RealtimeAudio.AUTO
    """`auto`: G.711 as the line has it, `pcm` (24 kHz) on a wideband line; or `pcmu`, `pcma`, `pcm`."""
    turn_detection: TurnDetection = TurnDetection.SEMANTIC
    """`semantic_vad`, `server_vad`, or `default`: whatever the server does by itself."""
    transcription: Text = "gpt-4o-mini-transcribe"
    """The model that writes down what the caller says, for a session that follows another; `none`: nobody does."""
    tools: ToolOptions = ToolOptions()
    """What the model may do besides talking: `hang_up`, `go_to`, `note`."""
    barge_in: BargeInOptions = BargeInOptions(mode=BargeIn.OFF)
    """Without it, the server decides (mode `off`); with it, `mode` is `pause` unless it says otherwise."""

    def maker(self, name: str) -> Maker:
        """Makes the agent of one call."""
        self.check_extra(name)
        # Only here: their libraries are an extra.
        from gateway.agents.network.realtime_agent import RealtimeAgent, RealtimeOptions  # noqa: PLC0415
        from gateway.agents.network.tools import ToolSet  # noqa: PLC0415

        turns = None if self.turn_detection is TurnDetection.DEFAULT else {"type": self.turn_detection.value}
        options = RealtimeOptions(
            endpoint=self.endpoint(name, self._authorization(), self._whole_url()),
            instructions=self.instructions,
            greeting=_unless_none(self.greeting),
            audio_format=_FORMATS[self.audio],
            voice=self.voice,
            transcription=_unless_none(self.transcription),
            turn_detection=turns,
            tools=ToolSet(self.tools.hang_up, self.tools.go_to, self.tools.note),
            connect_timeout_s=self.connect_timeout_s,
        )
        return self.made(lambda: RealtimeAgent(options))

    def named_routes(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Those that the model may hand the caller to."""
        for route in self.tools.go_to:
            yield ("tools", "go_to", route), route

    def _whole_url(self) -> str:
        model = _unless_none(self.model)
        if model is None:
            return self.url
        return f"{self.url}{'&' if '?' in self.url else '?'}model={quote(model)}"

    def _authorization(self) -> dict[str, str]:
        return {} if self.api_key is None else {"Authorization": f"Bearer {self.api_key.get_secret_value()}"}


def _unless_none(text: str) -> str | None:
    return None if text == "none" else text


_FORMATS: dict[RealtimeAudio, AudioFormat | None] = {
    RealtimeAudio.AUTO: None,
    RealtimeAudio.PCMU: "audio/pcmu",
    RealtimeAudio.PCMA: "audio/pcma",
    RealtimeAudio.PCM: "audio/pcm",
}
