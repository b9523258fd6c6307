"""The configuration that a measurement writes is one that the gateway takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.gateway_process import AgentConfig, write_config
from gateway.agents import PythonSettings
from gateway.agents.from_settings import agent_settings
from gateway.settings import load_settings
from media.conversation.floor import BargeIn

if TYPE_CHECKING:
    from pathlib import Path


def test_the_written_configuration_is_valid(tmp_path: Path) -> None:
    agent = AgentConfig("bench.agents:ProbeEcho", {"durations": "/nowhere", "every": 8}, {"mode": "off"})
    loaded = load_settings(write_config(tmp_path, agent.written(tmp_path), 5060, 500))
    assert loaded.warnings == ()
    agents, faults = agent_settings(loaded.settings.agents, loaded.document, loaded.context)
    assert faults == []
    probe = agents["probe"]
    assert isinstance(probe, PythonSettings)
    assert probe.class_path == "bench.agents:ProbeEcho"
    assert probe.options == {"durations": "/nowhere", "every": 8}
    assert probe.effective_barge_in.mode is BargeIn.OFF
    assert loaded.settings.limits.calls > 500
    assert loaded.settings.media.rtp_ports.calls > loaded.settings.limits.calls
