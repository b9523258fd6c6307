"""Agents talk to callers: built-in agents, users' own classes, and the code that confines an error to its call.

A user's module needs nothing from here; the event classes are here for code that matches on them.
"""

from gateway.agents.agent import Agent, Call
from gateway.agents.errors import (
    AgentBusyError,
    AgentError,
    AgentFailedError,
    AgentSetupError,
    AgentUnavailableError,
)
from gateway.agents.isolation import Isolation
from gateway.agents.kinds import (
    AgentSettings,
    AudioSocketSettings,
    BargeInOptions,
    ChanWebSocketSettings,
    DeepgramSettings,
    EchoSettings,
    ElevenLabsSettings,
    GeminiLiveSettings,
    MediaStreamsSettings,
    OnInterrupt,
    OpenAIRealtimeSettings,
    PythonSettings,
    SpeakerSettings,
    ToneSettings,
)
from gateway.agents.outcome import Done, GoTo, Outcome, TransferTo
from gateway.agents.registry import AgentRegistry, AgentSpec
from gateway.agents.runner import AgentRun, let_talk, prepare
from media.conversation.events import (
    Audio,
    CallEndedError,
    CallInfo,
    Drained,
    Dtmf,
    Event,
    Hangup,
    Interrupted,
    MarkReached,
    MediaSilent,
    OffHold,
    OnHold,
    Resumed,
    SpeechEnded,
    SpeechStarted,
)

__all__ = [
    "Agent",
    "AgentBusyError",
    "AgentError",
    "AgentFailedError",
    "AgentRegistry",
    "AgentRun",
    "AgentSettings",
    "AgentSetupError",
    "AgentSpec",
    "AgentUnavailableError",
    "Audio",
    "AudioSocketSettings",
    "BargeInOptions",
    "Call",
    "CallEndedError",
    "CallInfo",
    "ChanWebSocketSettings",
    "DeepgramSettings",
    "Done",
    "Drained",
    "Dtmf",
    "EchoSettings",
    "ElevenLabsSettings",
    "Event",
    "GeminiLiveSettings",
    "GoTo",
    "Hangup",
    "Interrupted",
    "Isolation",
    "MarkReached",
    "MediaSilent",
    "MediaStreamsSettings",
    "OffHold",
    "OnHold",
    "OnInterrupt",
    "OpenAIRealtimeSettings",
    "Outcome",
    "PythonSettings",
    "Resumed",
    "SpeakerSettings",
    "SpeechEnded",
    "SpeechStarted",
    "ToneSettings",
    "TransferTo",
    "let_talk",
    "prepare",
]
