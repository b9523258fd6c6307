"""From an agent as the administrator wrote it to what the agents read."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, assert_never

from gateway.agents.settings import (
    ABANDONED_LEAST,
    AgentSettings,
    EchoSettings,
    Isolation,
    KindSettings,
    OnInterrupt,
    PythonSettings,
    SpeakerSettings,
    ToneSettings,
)
from gateway.settings.agents import EchoAgent, PythonAgent, SpeakerAgent, ToneAgent

if TYPE_CHECKING:
    from gateway.settings.agents import Agent


def agent_settings(name: str, agent: Agent, gateway_calls: int) -> AgentSettings:
    """The settings of an agent of gateway.yaml, whose values have been checked there.

    As many of its runs may be abandoned as it may have calls, `gateway_calls` if it has no limit of its own: by then
    every one of a full house has hung.
    """
    return AgentSettings(
        name=name,
        kind=_kind(agent),
        barge_in=None if isinstance(agent, EchoAgent) else agent.barge_in.settings(),
        max_calls=agent.max_calls,
        start_timeout_s=agent.start_timeout_s,
        stall_timeout_s=agent.stall_timeout_s,
        hangup_grace_s=agent.hangup_grace_s,
        cancel_deadline_s=agent.cancel_deadline_s,
        abandoned_max=max(ABANDONED_LEAST, agent.max_calls or gateway_calls),
    )


def _kind(agent: Agent) -> KindSettings:
    match agent:
        case EchoAgent():
            return EchoSettings()
        case ToneAgent():
            return ToneSettings(agent.frequency_hz, agent.level_dbfs)
        case SpeakerAgent():
            return SpeakerSettings(agent.files, agent.repeat, OnInterrupt(agent.on_interrupt))
        case PythonAgent():
            options = MappingProxyType(agent.options)
            return PythonSettings(agent.class_path, options, agent.directory, Isolation(agent.isolation))
        case _:
            assert_never(agent)
