"""Agents of gateway.yaml as the agents read them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from gateway.agents.from_settings import agent_settings
from gateway.agents.settings import (
    AgentSettings,
    EchoSettings,
    Isolation,
    KindSettings,
    OnInterrupt,
    PythonSettings,
    SpeakerSettings,
    ToneSettings,
)
from gateway.settings import Settings
from gateway.settings.shipped import DIALPLANS
from media.conversation.floor import BargeIn, BargeInSettings, Keys

WAV = DIALPLANS / "sounds" / "sorry.wav"


def configured(**agent: object) -> AgentSettings:
    settings = Settings.model_validate({"agents": {"a": agent}})
    return agent_settings("a", settings.agents["a"], settings.limits.calls)


@pytest.mark.parametrize(
    ("agent", "kind"),
    [
        ({"kind": "echo"}, EchoSettings()),
        ({"kind": "tone"}, ToneSettings()),
        ({"kind": "speaker", "files": [str(WAV)]}, SpeakerSettings((WAV,))),
        ({"kind": "python", "class": "m:C"}, PythonSettings("m:C")),
    ],
)
def test_what_is_not_written_is_the_agents_own_default(agent: dict[str, object], kind: KindSettings) -> None:
    expected = AgentSettings("a", kind, abandoned_max=Settings().limits.calls)
    assert dataclasses.replace(configured(**agent), barge_in=None) == expected
    assert configured(**agent).effective_barge_in == expected.effective_barge_in


def test_what_is_written_arrives() -> None:
    barge_in = {"mode": "cut", "min_speech": "60ms", "reject_after": "200ms", "end_silence": "1s", "gap": "60ms"}
    limits = {
        "max_calls": "3",
        "start_timeout": "1s",
        "stall_timeout": "2s",
        "hangup_grace": "0s",
        "cancel_deadline": "4s",
    }
    found = configured(
        **{"kind": "python", "class": "m:C", "directory": "/x", "options": {"a": "b"}, "isolation": "none"},
        **limits,
        barge_in={**barge_in, "aggressiveness": "3", "floor": "-40", "keys": "always"},
    )
    assert found == AgentSettings(
        name="a",
        kind=PythonSettings("m:C", {"a": "b"}, Path("/x"), Isolation.NONE),
        barge_in=BargeInSettings(
            mode=BargeIn.CUT,
            min_speech_ms=60,
            reject_after_ms=200,
            end_silence_ms=1000,
            gap_ms=60,
            aggressiveness=3,
            floor_dbfs=-40.0,
            keys=Keys.ALWAYS,
        ),
        max_calls=3,
        start_timeout_s=1.0,
        stall_timeout_s=2.0,
        hangup_grace_s=0.0,
        cancel_deadline_s=4.0,
    )
    speaker = configured(kind="speaker", files=[str(WAV)], repeat="0", on_interrupt="next").kind
    assert speaker == SpeakerSettings((WAV,), 0, OnInterrupt.NEXT)
    assert configured(kind="tone", frequency="1000", level="-6").kind == ToneSettings(1000, -6.0)


@pytest.mark.parametrize(
    ("max_calls", "gateway_calls", "abandoned_max"), [(None, 500, 500), (100, 500, 100), (3, 500, 16), (None, 4, 16)]
)
def test_as_many_runs_may_be_abandoned_as_it_may_have_calls(
    max_calls: int | None, gateway_calls: int, abandoned_max: int
) -> None:
    settings = Settings.model_validate({"agents": {"a": {"kind": "echo", "max_calls": max_calls}}})
    assert agent_settings("a", settings.agents["a"], gateway_calls).abandoned_max == abandoned_max
