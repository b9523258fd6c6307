"""Every built-in agent, and users' classes in both isolations, keep the contract of an agent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from gateway.agents import (
    AgentSettings,
    AgentSpec,
    EchoSettings,
    Isolation,
    OnInterrupt,
    PythonSettings,
    SpeakerSettings,
    ToneSettings,
)
from gateway.agents.settings import KindSettings
from media.conversation.floor import BargeIn, BargeInSettings
from tests.conformance.agent import (
    AGENT_CHECKS,
    PATIENCE_S,
    AgentCase,
    check_hangs_up_on_a_key_after_its_last_words,
)
from tests.virtual_time import run_virtual

OFF = BargeInSettings(mode=BargeIn.OFF)
Check = Callable[[AgentCase], Awaitable[None]]


def case(kind: KindSettings, barge_in: BargeInSettings | None = None, *, speaks_first: bool = False) -> AgentCase:
    # Where time is real, a machine may stand still for longer than an agent has in earnest.
    settings = AgentSettings("agent", kind, barge_in, hangup_grace_s=PATIENCE_S, cancel_deadline_s=PATIENCE_S)
    return AgentCase(type(kind).__name__, lambda: AgentSpec(settings), speaks_first)


def user(name: str, isolation: Isolation, barge_in: BargeInSettings | None = None) -> AgentCase:
    return case(PythonSettings(f"tests.component.user_agents:{name}", isolation=isolation), barge_in)


@pytest.mark.parametrize("check", AGENT_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("kind", [EchoSettings(), ToneSettings(frequency_hz=1_000)], ids=["echo", "tone"])
def test_built_in(kind: KindSettings, check: Check) -> None:
    run_virtual(as_coroutine(check, case(kind, speaks_first=isinstance(kind, ToneSettings))))


@pytest.mark.parametrize("check", AGENT_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("mode", BargeIn)
@pytest.mark.parametrize("on_interrupt", OnInterrupt)
def test_speaker(tmp_path: Path, check: Check, mode: BargeIn, on_interrupt: OnInterrupt) -> None:
    path = tmp_path / "prompt.wav"
    soundfile.write(path, np.full(8_000, 0.2, np.float32), 8_000)
    kind = SpeakerSettings((path, path), repeat=2, on_interrupt=on_interrupt)
    run_virtual(as_coroutine(check, case(kind, BargeInSettings(mode=mode), speaks_first=True)))


@pytest.mark.parametrize("check", AGENT_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", ["Parrot", "InlineParrot", "TurnTaker"])
def test_user_class_on_the_gateways_loop(name: str, check: Check) -> None:
    barge_in = None if name == "TurnTaker" else OFF
    run_virtual(as_coroutine(check, user(name, Isolation.NONE, barge_in)))


@pytest.mark.parametrize("check", AGENT_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", ["Parrot", "InlineParrot", "TurnTaker"])
def test_user_class_in_a_thread(name: str, check: Check) -> None:
    barge_in = None if name == "TurnTaker" else OFF
    asyncio.run(as_coroutine(check, user(name, Isolation.THREAD, barge_in)))


@pytest.mark.parametrize("ear", ["on_audio", "events"])
@pytest.mark.parametrize("isolation", Isolation)
def test_last_words(isolation: Isolation, ear: str) -> None:
    kind = PythonSettings("tests.component.user_agents:HangsUpOnKey", {"ear": ear}, isolation=isolation)
    asyncio.run(as_coroutine(check_hangs_up_on_a_key_after_its_last_words, case(kind, OFF)))


async def as_coroutine(check: Check, agent: AgentCase) -> None:
    await check(agent)
