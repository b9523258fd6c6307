"""A speech-to-speech model behind OpenAI's Realtime API or a compatible server, by configuration only."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Literal
from urllib.parse import quote

from gateway.agents.kinds.model import ToolOptions, unless_none
from gateway.agents.kinds.network import NetworkSettings, WebSocketUrl
from gateway.agents.kinds.settings import BargeInOptions, Maker
from gateway.agents.network.parameters import Prose
from gateway.settings.secret import Secret
from gateway.settings.values import Text
from media.conversation.floor import BargeIn


class RealtimeAudio(enum.Enum):
    """The audio format between the gateway and the server."""

    AUTO = "auto"
    PCMU = "pcmu"
    PCMA = "pcma"
    PCM = "pcm"


class TurnDetection(enum.Enum):
    """How the server detects that the caller has finished."""

    SERVER = "server_vad"
    SEMANTIC = "semantic_vad"
    DEFAULT = "default"
    """The server's own default."""


class OpenAIRealtimeSettings(NetworkSettings):
    """A speech-to-speech model behind OpenAI's Realtime API, or behind a compatible server (`url`).

    The server detects when the caller interrupts; the model is told how much of its answer was heard. With `barge_in`
    the gateway silences it as well, as soon as the caller speaks. If a session ends during the call, the gateway opens
    another one and sends it what was said.
    """

    kind: Literal["openai-realtime"] = "openai-realtime"
    url: WebSocketUrl = "wss://api.openai.com/v1/realtime"
    """The URL of the server, without the model."""
    api_key: Secret | None = None
    """Sent as `Authorization: Bearer`; use `headers` for servers that want another header."""
    model: Text = "gpt-realtime"
    """Appended to the url as `model=`; `none`: nothing is appended."""
    instructions: Prose = "You are a friendly assistant on the telephone. Answer briefly, in the caller's language."
    """Instructions for the model; they may contain facts of the call such as `{from}`, see `media-streams`."""
    greeting: Prose = "Greet the caller in one short sentence."
    """An instruction for what to say first; `none`: the caller speaks first."""
    voice: Text | None = None
    """The name of a voice; without it, the server decides."""
    audio: RealtimeAudio = RealtimeAudio.AUTO
    """`auto`: the G.711 codec of the line, or `pcm` (24 kHz) on a wideband line; or `pcmu`, `pcma`, `pcm`."""
    turn_detection: TurnDetection = TurnDetection.SEMANTIC
    """`semantic_vad`, `server_vad`, or `default`: the server's own default."""
    transcription: Text = "gpt-4o-mini-transcribe"
    """The model that transcribes the caller's speech, for a session that follows another; `none`: no transcription."""
    tools: ToolOptions = ToolOptions()
    """What the model may do besides talking: `hang_up`, `go_to`, `note`."""
    barge_in: BargeInOptions = BargeInOptions(mode=BargeIn.OFF)
    """Without `barge_in`, the server decides (mode `off`); with it, the default of `mode` is `pause`."""

    def maker(self, name: str) -> Maker:
        """Return what makes the agent of one call."""
        self.check_extra(name)
        # Imported only here: their libraries are an extra.
        from gateway.agents.network.model_agent import ModelAgent, ModelOptions  # noqa: PLC0415
        from gateway.agents.network.openai_session import FORMATS, OpenAIOptions, OpenAISession  # noqa: PLC0415

        turns = None if self.turn_detection is TurnDetection.DEFAULT else {"type": self.turn_detection.value}
        tools = self.tools.tool_set()
        of_sessions = OpenAIOptions(
            audio_format=None if self.audio is RealtimeAudio.AUTO else FORMATS[f"audio/{self.audio.value}"],
            voice=self.voice,
            transcription=unless_none(self.transcription),
            turn_detection=turns,
            tools=tools.declared(),
        )
        options = ModelOptions(
            endpoint=self.endpoint(name, self._authorization(), self._whole_url()),
            make_session=lambda facts: OpenAISession(of_sessions, facts),
            instructions=self.instructions,
            greeting=unless_none(self.greeting),
            tools=tools,
            connect_timeout_s=self.connect_timeout_s,
        )
        return self.made(lambda: ModelAgent(options))

    def named_routes(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """The routes that the model may send the caller to."""
        yield from self.tools.named_routes()

    def _whole_url(self) -> str:
        model = unless_none(self.model)
        if model is None:
            return self.url
        return f"{self.url}{'&' if '?' in self.url else '?'}model={quote(model)}"

    def _authorization(self) -> dict[str, str]:
        return {} if self.api_key is None else {"Authorization": f"Bearer {self.api_key.get_secret_value()}"}
