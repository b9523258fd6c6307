"""What an agent meant to say before an interruption is not heard after it, whatever its shape and however careless."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from gateway.agents import AgentSpec, Isolation
from media.conversation.conversation import Conversation
from media.conversation.events import CallInfo
from media.conversation.floor import BargeIn, BargeInSettings
from media.leg import Flushed, Pcm
from tests.agents import changed, python_agent
from tests.component.interrupted_agents import NEW, NEW_MS, OLD
from tests.conformance.agent import run_agent
from tests.fake_leg import FakeLeg, caller_sends, silence, voice
from tests.virtual_time import run_virtual, virtual

RATE_HZ = 8_000
LONGEST_S = 60.0
"""Of a scene, on a machine that has much else to do."""
SHAPES = (
    "OneTask",
    "WaitsInAnotherTask",
    "TwoTasks",
    "TwoTasksHearing",
    "HandsItsStreamOn",
    "WaitsInTime",
    "SpeaksFromAQueue",
    "GreetsAndSpeaksFromAQueue",
    "SentencesInAQueue",
    "PlaysFromAStore",
    "PlaysByTheClock",
    "AnswersByTheClock",
    "StopsItself",
)
SPOKEN_TO_FIRST = ("OneTaskInSentences", "TaskForEachAnswer")
IN_A_THREAD_ONLY = ("SynthesizesInAThread", "ThreadForEachAnswer")


class InterruptedLeg(FakeLeg):
    """Knows what the wire carried when the agent was first cut off."""

    def __init__(self) -> None:
        super().__init__(RATE_HZ)
        self.frames_before: int | None = None

    def flush(self) -> Flushed:
        if self.frames_before is None and self._played:
            self.frames_before = len(self.wire)
        return super().flush()

    def heard_of(self, value: int, since: int = 0) -> int:
        """How many ms of this speech the wire has carried from this frame on."""
        return sum(int((frame == value).sum()) for frame in self.wire[since:]) * 1_000 // RATE_HZ


def turn(before_ms: int) -> Pcm:
    return np.concatenate((silence(RATE_HZ, before_ms), voice(RATE_HZ, 400), silence(RATE_HZ, 800)))


def spec_of(name: str, isolation: Isolation) -> AgentSpec:
    kind = python_agent(f"tests.component.interrupted_agents:{name}", isolation=isolation)
    mode = BargeIn.OFF if name == "StopsItself" else BargeIn.CUT
    return AgentSpec(name, changed(kind, mode=mode, cancel_deadline_s=5, hangup_grace_s=5))


async def interrupt(name: str, isolation: Isolation) -> None:
    leg = InterruptedLeg()
    spec = spec_of(name, isolation)
    call = Conversation(leg, CallInfo(call_id="c1"), spec.settings.effective_barge_in)
    running = asyncio.create_task(run_agent(spec, call))
    try:
        async with asyncio.timeout(LONGEST_S):
            await scene(name, leg)
    finally:
        call.on_call_over()
        await running
        call.close()
        leg.stop_clock()
    assert call.failure is None


async def scene(name: str, leg: InterruptedLeg) -> None:
    if name in SPOKEN_TO_FIRST:
        await caller_sends(leg, turn(100))
    await caller_sends(leg, turn(400))
    frames_before = leg.frames_before
    assert frames_before is not None, "it was never interrupted"
    assert leg.heard_of(OLD) >= 200
    while leg.heard_of(NEW) < NEW_MS:
        await caller_sends(leg, silence(RATE_HZ, 100))
    await caller_sends(leg, silence(RATE_HZ, 400))
    assert leg.heard_of(OLD, frames_before) == 0
    assert leg.heard_of(NEW) == NEW_MS


@pytest.mark.parametrize("name", [*SHAPES, *SPOKEN_TO_FIRST])
def test_no_stale_speech(name: str) -> None:
    run_virtual(interrupt(name, Isolation.NONE))


@pytest.mark.slow
@pytest.mark.parametrize("name", [*SHAPES, *SPOKEN_TO_FIRST, *IN_A_THREAD_ONLY])
def test_no_stale_speech_from_a_thread(name: str) -> None:
    asyncio.run(interrupt(name, Isolation.THREAD))


@virtual
async def test_what_is_refused_is_counted_and_does_not_hold_the_loop() -> None:
    leg = FakeLeg(RATE_HZ)
    call = Conversation(leg, barge_in=BargeInSettings(mode=BargeIn.CUT))

    async def push() -> None:
        while True:
            await call.say(np.full(RATE_HZ // 10, OLD, np.int16))

    pushing = asyncio.create_task(push())
    await caller_sends(leg, np.concatenate((silence(RATE_HZ, 300), voice(RATE_HZ, 140), silence(RATE_HZ, 60))))
    pushing.cancel()
    await asyncio.wait({pushing})
    assert call.refused_ms > 1_000
    assert call.queued_ms == 0
    call.close()
    leg.stop_clock()


@virtual
async def test_an_answer_to_what_was_heard_before_is_silent_from_the_start() -> None:
    leg = FakeLeg(RATE_HZ)
    call = Conversation(leg, barge_in=BargeInSettings(mode=BargeIn.CUT))
    before = call.epoch
    call.play(np.full(RATE_HZ, OLD, np.int16))
    await caller_sends(leg, np.concatenate((silence(RATE_HZ, 100), voice(RATE_HZ, 140))))
    assert call.epoch == before + 1
    late, in_time = call.utterance(before), call.utterance(call.epoch)
    spoken = await late.speak(np.full(RATE_HZ, OLD, np.int16))
    assert (spoken.heard_ms, spoken.interrupted, late.interrupted) == (0, True, True)
    assert (await in_time.speak(np.full(RATE_HZ // 10, NEW, np.int16))).heard_ms == 100
    event = await call.next_event("interrupted")
    assert event is not None
    assert event.kind == "interrupted"
    assert getattr(event, "epoch", None) == call.epoch
    call.close()
    leg.stop_clock()


@virtual
async def test_one_that_confirms_an_interruption_knows_of_it() -> None:
    leg = FakeLeg(RATE_HZ)
    call = Conversation(leg, barge_in=BargeInSettings(mode=BargeIn.PAUSE))
    call.listen()
    call.play(np.full(RATE_HZ * 3, OLD, np.int16))
    await caller_sends(leg, np.concatenate((silence(RATE_HZ, 300), voice(RATE_HZ, 160))))
    assert (await anext(call.events())).kind == "speech_started"
    assert call.confirm_interruption()
    assert await call.say(np.full(RATE_HZ // 10, NEW, np.int16))
    call.close()
    leg.stop_clock()


@virtual
async def test_what_is_known_of_one_interruption_says_nothing_of_the_next() -> None:
    leg = FakeLeg(RATE_HZ)
    call = Conversation(leg, barge_in=BargeInSettings(mode=BargeIn.PAUSE))
    call.listen()
    for _ in range(2):
        assert await call.utterance(call.epoch).say(np.full(RATE_HZ * 3, OLD, np.int16))
        await caller_sends(leg, turn(100))
    events = call.events()
    interrupted = 0
    while interrupted < 2:
        event = await anext(events)
        interrupted += event.kind == "interrupted"
        if event.kind != "audio":
            assert call.play(np.full(160, NEW, np.int16)) is (interrupted == 2)
    call.close()
    leg.stop_clock()
