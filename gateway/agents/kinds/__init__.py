"""The kinds of agent. Each has one file, with its options in `gateway.yaml` and the code that makes the agent.

To add a kind, write a subclass of `AgentSettings` with its own `kind`, and add it to `AnyAgent`.
"""

from typing import Annotated, TypeAlias

from pydantic import Field

from gateway.agents.kinds.audiosocket import AudioSocketSettings
from gateway.agents.kinds.chan_websocket import ChanWebSocketSettings
from gateway.agents.kinds.deepgram import DeepgramSettings
from gateway.agents.kinds.echo import EchoSettings
from gateway.agents.kinds.elevenlabs import ElevenLabsSettings
from gateway.agents.kinds.gemini_live import GeminiLiveSettings
from gateway.agents.kinds.media_streams import MediaStreamsSettings
from gateway.agents.kinds.model import ToolOptions
from gateway.agents.kinds.network import NetworkSettings
from gateway.agents.kinds.openai_realtime import OpenAIRealtimeSettings
from gateway.agents.kinds.python import PythonSettings
from gateway.agents.kinds.settings import AgentSettings, BargeInOptions, SpeakingSettings
from gateway.agents.kinds.speaker import OnInterrupt, SpeakerSettings
from gateway.agents.kinds.tone import ToneSettings

AnyAgent: TypeAlias = Annotated[
    EchoSettings
    | ToneSettings
    | SpeakerSettings
    | PythonSettings
    | MediaStreamsSettings
    | OpenAIRealtimeSettings
    | GeminiLiveSettings
    | DeepgramSettings
    | ElevenLabsSettings
    | AudioSocketSettings
    | ChanWebSocketSettings,
    Field(discriminator="kind"),
]
"""An entry below `agents:`."""

__all__ = [
    "AgentSettings",
    "AnyAgent",
    "AudioSocketSettings",
    "BargeInOptions",
    "ChanWebSocketSettings",
    "DeepgramSettings",
    "EchoSettings",
    "ElevenLabsSettings",
    "GeminiLiveSettings",
    "MediaStreamsSettings",
    "NetworkSettings",
    "OnInterrupt",
    "OpenAIRealtimeSettings",
    "PythonSettings",
    "SpeakerSettings",
    "SpeakingSettings",
    "ToneSettings",
    "ToolOptions",
]
