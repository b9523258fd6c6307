"""The speaker and the tone give way to a caller who speaks over them; the echo keeps as little waiting as can be."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
import soundfile

from gateway.agents import AgentSettings, AgentSpec, OnInterrupt, SpeakerSettings, ToneSettings
from gateway.agents.kinds.echo import EchoAgent
from media.conversation.conversation import Conversation
from media.conversation.floor import BargeIn, BargeInSettings
from tests.conformance.agent import run_agent
from tests.fake_leg import FakeLeg, caller_sends, silence, talk, voice
from tests.virtual_time import virtual

FRAME = np.full(160, 8_000, np.int16)
COUGH = np.concatenate((silence(8_000, 500), voice(8_000, 160), silence(8_000, 1_500)))


async def check_gives_way(kind: AgentSettings, before: int, speech_ms: int = 3_000) -> None:
    """After so many coughs the caller speaks over the agent: nothing is heard of it until they have finished."""
    leg = FakeLeg()
    call = Conversation(leg, barge_in=BargeInSettings())
    running = asyncio.create_task(run_agent(AgentSpec("agent", kind), call))
    for _ in range(before):
        await caller_sends(leg, COUGH)
    assert call.counters.barge_ins_rejected == before
    await caller_sends(leg, talk(8_000, speech_ms))
    assert call.counters.barge_ins_confirmed == 1
    assert not any(frame.any() for frame in leg.wire[-(speech_ms - 200) // 20 :])
    await caller_sends(leg, silence(8_000, 900))
    assert leg.wire[-1].any(), "and then it goes on"
    call.on_call_over()
    await running
    call.close()
    leg.stop_clock()


@pytest.mark.parametrize("coughs", [0, 2])
@virtual
async def test_a_speaker_goes_on_with_the_next_file_when_the_caller_has_finished(tmp_path: Path, coughs: int) -> None:
    path = tmp_path / "prompt.wav"
    soundfile.write(path, np.full(8 * 8_000, 0.2, np.float32), 8_000)
    await check_gives_way(SpeakerSettings(files=(path, path, path), on_interrupt=OnInterrupt.NEXT), coughs)


@pytest.mark.parametrize("coughs", [0, 2])
@virtual
async def test_a_tone_sounds_again_when_the_caller_has_finished(coughs: int) -> None:
    await check_gives_way(ToneSettings(), coughs)


@pytest.mark.parametrize(
    ("early_ms", "held_up", "skipped"),
    [(1, 0, 0), (19, 0, 0), (1, 1, 0), (15, 1, 1), (1, 3, 2), (15, 3, 3)],
)
@virtual
async def test_an_echo_leaves_out_what_would_wait_for_the_rest_of_the_call(
    early_ms: int, held_up: int, skipped: int
) -> None:
    leg = FakeLeg()
    call = Conversation(leg, barge_in=BargeInSettings(BargeIn.OFF))
    agent = EchoAgent()
    running = asyncio.create_task(agent.run(call))
    await asyncio.sleep(0.020 - early_ms / 1_000)
    assert leg.listener is not None
    for _ in range(held_up):
        leg.listener.on_frame(FRAME)
    for _ in range(100):
        leg.listener.on_frame(FRAME)
        await asyncio.sleep(0.020)
    assert agent.frames_skipped == skipped
    assert call.wait_ms < 30
    call.on_call_over()
    await running
    call.close()
    leg.stop_clock()


@pytest.mark.parametrize("rest_frames", [4, 15, 40])
@pytest.mark.parametrize("made_up", [0, 3_000])
@virtual
async def test_an_echo_loses_nothing_of_a_caller_that_sends_nothing_while_silent(
    rest_frames: int, made_up: int
) -> None:
    """Stand-ins come when it is sure that the caller rests, 60 to 80 ms late, and the last of them with its voice."""
    late_frames = 3
    leg = FakeLeg()
    call = Conversation(leg, barge_in=BargeInSettings(BargeIn.OFF))
    agent = EchoAgent()
    running = asyncio.create_task(agent.run(call))
    await asyncio.sleep(0.005)
    listener = leg.listener
    assert listener is not None
    stand_in = np.full_like(FRAME, made_up)
    for _ in range(12):
        for _ in range(25):
            listener.on_frame(FRAME)
            await asyncio.sleep(0.020)
        for frame in range(rest_frames):
            if frame >= late_frames:
                listener.on_frame(stand_in)
            await asyncio.sleep(0.020)
        for _ in range(min(late_frames, rest_frames)):
            listener.on_frame(stand_in)
        assert made_up or call.wait_ms <= 20, "silence that was heard already would hold up the next words"
    await asyncio.sleep(0.5)
    assert sum(np.array_equal(frame, FRAME) for frame in leg.wire) == 12 * 25
    call.on_call_over()
    await running
    call.close()
    leg.stop_clock()
