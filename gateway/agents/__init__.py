"""Agents: who talks to a caller. Built-in ones, users' own classes, and what keeps their faults in their own call.

A user's module needs nothing from here; the event classes are here for those who match on them.
"""

from gateway.agents.agent import Agent, Call
from gateway.agents.errors import AgentBusyError, AgentError, AgentFailedError, AgentSetupError
from gateway.agents.isolation import Isolation
from gateway.agents.kinds import (
    AgentSettings,
    BargeInOptions,
    EchoSettings,
    OnInterrupt,
    PythonSettings,
    SpeakerSettings,
    ToneSettings,
)
from gateway.agents.registry import AgentRegistry, AgentSpec
from gateway.agents.runner import let_talk
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
    "AgentSettings",
    "AgentSetupError",
    "AgentSpec",
    "Audio",
    "BargeInOptions",
    "Call",
    "CallEndedError",
    "CallInfo",
    "Drained",
    "Dtmf",
    "EchoSettings",
    "Event",
    "Hangup",
    "Interrupted",
    "Isolation",
    "MarkReached",
    "MediaSilent",
    "OnInterrupt",
    "PythonSettings",
    "Resumed",
    "SpeakerSettings",
    "SpeechEnded",
    "SpeechStarted",
    "ToneSettings",
    "let_talk",
]
