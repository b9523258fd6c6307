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
    SpeakerSettings,
    ToneSettings,
)
from media.conversation.floor import BargeIn
from tests.agents import changed, python_agent
from tests.conformance.agent import (
    AGENT_CHECKS,
    PATIENCE_S,
    AgentCase,
    check_hangs_up_on_a_key_after_its_last_words,
)
from tests.virtual_time import run_virtual

Check = Callable[[AgentCase], Awaitable[None]]


def case(
    kind: AgentSettings, mode: BargeIn | None = None, *, speaks_first: bool = False, finishes: bool = False
) -> AgentCase:
    # Where time is real, a machine may stand still for longer than an agent has in earnest.
    settings = changed(kind, mode=mode, hangup_grace_s=PATIENCE_S, cancel_deadline_s=PATIENCE_S)
    return AgentCase(type(kind).__name__, lambda: AgentSpec("agent", settings), speaks_first, finishes)


def user(name: str, isolation: Isolation, mode: BargeIn | None = None) -> AgentCase:
    return case(python_agent(f"tests.component.user_agents:{name}", isolation=isolation), mode)


@pytest.mark.parametrize("check", AGENT_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("kind", [EchoSettings(), ToneSettings(frequency=1_000)], ids=["echo", "tone"])
def test_built_in(kind: AgentSettings, check: Check) -> None:
    run_virtual(as_coroutine(check, case(kind, speaks_first=isinstance(kind, ToneSettings))))


@pytest.mark.parametrize("check", AGENT_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("mode", BargeIn)
@pytest.mark.parametrize("on_interrupt", OnInterrupt)
def test_speaker(tmp_path: Path, check: Check, mode: BargeIn, on_interrupt: OnInterrupt) -> None:
    path = tmp_path / "prompt.wav"
    soundfile.write(path, np.full(8_000, 0.2, np.float32), 8_000)
    kind = SpeakerSettings(files=(path, path), repeat=2, on_interrupt=on_interrupt)
    run_virtual(as_coroutine(check, case(kind, mode, speaks_first=True, finishes=True)))


@pytest.mark.parametrize("check", AGENT_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", ["Parrot", "InlineParrot", "TurnTaker"])
def test_user_class_on_the_gateways_loop(name: str, check: Check) -> None:
    mode = None if name == "TurnTaker" else BargeIn.OFF
    run_virtual(as_coroutine(check, user(name, Isolation.NONE, mode)))


@pytest.mark.parametrize("check", AGENT_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", ["Parrot", "InlineParrot", "TurnTaker"])
def test_user_class_in_a_thread(name: str, check: Check) -> None:
    mode = None if name == "TurnTaker" else BargeIn.OFF
    asyncio.run(as_coroutine(check, user(name, Isolation.THREAD, mode)))


@pytest.mark.parametrize("ear", ["on_audio", "events"])
@pytest.mark.parametrize("isolation", Isolation)
def test_last_words(isolation: Isolation, ear: str) -> None:
    kind = python_agent("tests.component.user_agents:HangsUpOnKey", {"ear": ear}, isolation=isolation)
    asyncio.run(as_coroutine(check_hangs_up_on_a_key_after_its_last_words, case(kind, BargeIn.OFF)))


async def as_coroutine(check: Check, agent: AgentCase) -> None:
    await check(agent)
