"""The configuration that a measurement writes is one that the gateway takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.gateway_process import AgentConfig, write_config
from gateway.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path


def test_the_written_configuration_is_valid(tmp_path: Path) -> None:
    agent = AgentConfig("bench.agents:ProbeEcho", {"durations": "/nowhere", "every": 8}, {"mode": "off"})
    loaded = load_settings(write_config(tmp_path, agent, 5060, 500))
    assert loaded.warnings == ()
    probe = loaded.settings.agents["probe"]
    assert probe.kind == "python"
    assert probe.model_dump(by_alias=True)["class"] == "bench.agents:ProbeEcho"
    assert probe.options == {"durations": "/nowhere", "every": 8}
    assert probe.barge_in.mode == "off"
    assert loaded.settings.limits.calls > 500
    assert loaded.settings.media.rtp_ports.calls > loaded.settings.limits.calls
