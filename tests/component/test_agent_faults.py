"""An agent that raises, hangs, floods, blocks or does not end harms its own call at most."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import structlog

from gateway.agents import (
    AgentBusyError,
    AgentFailedError,
    AgentSpec,
    Isolation,
)
from media.conversation.conversation import Conversation
from media.conversation.events import CallEndedError, CallInfo, Event, Hangup, Interrupted, SpeechStarted
from media.conversation.floor import BargeIn, BargeInSettings
from media.conversation.lanes import URGENT_EVENTS_MAX
from tests.agents import changed, python_agent
from tests.component import user_agents
from tests.conformance.agent import run_agent
from tests.fake_leg import FakeLeg, caller_sends, silence, voice
from tests.virtual_time import virtual

NONE, THREAD = Isolation.NONE, Isolation.THREAD


def spec_of(
    name: str,
    isolation: Isolation,
    options: dict[str, object] | None = None,
    mode: BargeIn = BargeIn.CUT,
    abandoned_max: int | None = None,
    **limits: float | None,
) -> AgentSpec:
    kind = python_agent(f"tests.component.user_agents:{name}", options or {}, isolation=isolation)
    spec = AgentSpec(name.lower(), changed(kind, mode=mode, **limits))
    spec.abandoned_max = abandoned_max or spec.abandoned_max
    return spec


def begin(spec: AgentSpec) -> tuple[FakeLeg, Conversation, asyncio.Task[None]]:
    leg = FakeLeg()
    call = Conversation(leg, barge_in=spec.settings.effective_barge_in)
    return leg, call, asyncio.create_task(run_agent(spec, call))


async def caller_leaves(leg: FakeLeg, call: Conversation, running: asyncio.Task[None]) -> None:
    call.on_call_over()
    await running
    call.close()
    leg.stop_clock()


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("agent:")]


async def failure_of(running: asyncio.Task[None]) -> AgentFailedError:
    with pytest.raises(AgentFailedError) as caught:
        await running
    return caught.value


@pytest.mark.parametrize(
    ("name", "detail"),
    [
        ("Raises", "ValueError: a fault of its own"),
        ("RaisesAMegabyte", "ValueError: xxx"),
        ("RaisesTheUnspeakable", "UnspeakableError: <its text raises RuntimeError>"),
        ("RaisesInConstructor", "RuntimeError: no model"),
        ("Floods", "PlayoutFullError"),
    ],
)
@virtual
async def test_what_it_raises_is_its_failure(name: str, detail: str) -> None:
    spec = spec_of(name, NONE)
    with structlog.testing.capture_logs():  # a line as structlog would print it by itself takes minutes
        leg, call, running = begin(spec)
        failed = await failure_of(running)
    assert failed.reason == "raised"
    assert detail in failed.detail
    assert len(failed.detail) < 2000
    assert spec.failed_total == 1
    call.close()
    assert leg.position().queued_samples == 0
    leg.stop_clock()


@pytest.mark.parametrize("name", ["Raises", "RaisesInConstructor", "RaisesInConsumer", "Floods"])
def test_the_same_in_a_thread(name: str) -> None:
    async def main() -> None:
        leg, call, running = begin(spec_of(name, THREAD))
        await caller_sends(leg, silence(8_000, 200))
        assert (await failure_of(running)).reason == "raised"
        call.close()
        leg.stop_clock()

    asyncio.run(main())


@virtual
async def test_an_inline_consumer_that_raises() -> None:
    leg, call, running = begin(spec_of("RaisesInConsumer", NONE))
    await caller_sends(leg, silence(8_000, 60))
    assert "ZeroDivisionError" in (await failure_of(running)).detail
    call.close()
    leg.stop_clock()


@pytest.mark.parametrize(("name", "reason", "after_s"), [("NeverBegins", "silent", 10), ("Stalls", "stalled", 70)])
@virtual
async def test_one_that_does_nothing_is_ended(name: str, reason: str, after_s: float) -> None:
    leg, call, running = begin(spec_of(name, NONE))
    sending = asyncio.create_task(caller_sends(leg, np.tile(silence(8_000, 1_000), 80)))
    assert (await failure_of(running)).reason == reason
    assert asyncio.get_running_loop().time() <= after_s + 1
    call.close()
    leg.stop_clock()
    await sending


@virtual
async def test_one_that_waits_for_the_caller_is_left_in_peace() -> None:
    leg, call, running = begin(spec_of("Parrot", NONE))
    await asyncio.sleep(600)
    assert not running.done()
    await caller_leaves(leg, call, running)


@virtual
async def test_one_that_takes_no_events_stalls() -> None:
    leg, call, running = begin(spec_of("TakesNoEvents", NONE))
    await caller_sends(leg, silence(8_000, 40))
    for _ in range(2_000):
        call.on_dtmf("1", 100)
    failed = await failure_of(running)
    assert failed.reason == "stalled"
    assert "did not take" in failed.detail
    call.close()
    leg.stop_clock()


@virtual
async def test_one_that_speaks_and_takes_no_keys_stalls() -> None:
    leg, call, running = begin(spec_of("SpeaksAndTakesNoEvents", NONE, mode=BargeIn.OFF))
    await caller_sends(leg, silence(8_000, 40))
    for _ in range(2_000):
        call.on_dtmf("1", 100)
    assert (await failure_of(running)).reason == "stalled"
    call.close()
    leg.stop_clock()


@virtual
async def test_one_that_speaks_and_takes_no_news_goes_on() -> None:
    leg, call, running = begin(spec_of("SpeaksAndTakesNoEvents", NONE, mode=BargeIn.OFF))
    await caller_sends(leg, silence(8_000, 40))
    for _ in range(2_000):
        call.on_media_silent(5_000)
    assert call.lanes.events_dropped >= 2_000 - URGENT_EVENTS_MAX
    assert not running.done()
    await caller_leaves(leg, call, running)


@pytest.mark.parametrize("isolation", Isolation)
def test_one_that_has_spoken_and_waits_for_the_end_is_left_in_peace(isolation: Isolation) -> None:
    async def main() -> None:
        leg, call, running = begin(spec_of("SpeaksAndWaits", isolation, start_timeout_s=0.3, stall_timeout_s=0.1))
        await caller_sends(leg, np.tile(silence(8_000, 500), 3))
        assert not running.done()
        await caller_leaves(leg, call, running)

    asyncio.run(main())


@virtual
async def test_one_that_only_waits_for_the_end_never_began() -> None:
    leg, call, running = begin(spec_of("SpeaksAndWaits", NONE, {"words": 0}))
    assert (await failure_of(running)).reason == "silent"
    assert asyncio.get_running_loop().time() == pytest.approx(10, abs=0.1)
    call.close()
    leg.stop_clock()


@pytest.mark.parametrize("name", ["BlocksWhileItListens", "BlocksWhileItWaits", "BlocksInConsumer"])
def test_a_blocked_listener_has_stalled(name: str) -> None:
    async def main() -> None:
        patience: dict[str, Any] = {
            "start_timeout_s": 0.3,
            "stall_timeout_s": 0.3,
            "cancel_deadline_s": 0.01,
            "hangup_grace_s": 0.01,
        }
        spec = spec_of(name, THREAD, mode=BargeIn.OFF, **patience)
        leg, call, running = begin(spec)
        await caller_sends(leg, silence(8_000, 2_000))
        assert running.done()
        assert (await failure_of(running)).reason == "stalled"
        call.close()
        leg.stop_clock()
        user_agents.BlocksWhileItListens.released.set()
        while spec.abandoned:  # noqa: ASYNC110 - threads end when they do
            await asyncio.sleep(0.01)

    user_agents.BlocksWhileItListens.released.clear()
    asyncio.run(main())


@pytest.mark.parametrize("how", [SystemExit, KeyboardInterrupt, asyncio.CancelledError])
@pytest.mark.parametrize("where", ["constructor", "run", "consumer"])
@virtual
async def test_one_that_exits_ends_its_own_call_alone(where: str, how: type[BaseException]) -> None:
    leg, call, running = begin(spec_of("Exits", NONE, {"where": where, "how": how}))
    await caller_sends(leg, silence(8_000, 60))
    failed = await failure_of(running)
    assert failed.reason == "raised"
    assert how.__name__ in failed.detail
    call.close()
    leg.stop_clock()


@pytest.mark.parametrize("isolation", Isolation)
def test_what_an_agent_that_has_ended_does_not_take_is_not_lost(isolation: Isolation) -> None:
    async def main() -> None:
        leg, call, running = begin(spec_of("SpeaksOnAfterOneFrame", isolation, mode=BargeIn.OFF))
        await caller_sends(leg, silence(8_000, 2_000))
        assert not running.done(), "its last words sound"
        assert (call.lanes.frames_dropped, call.lanes.events_dropped) == (0, 0)
        await caller_leaves(leg, call, running)

    asyncio.run(main())


@virtual
async def test_one_that_swallows_its_cancellation_is_abandoned_and_counted() -> None:
    spec = spec_of("SwallowsCancellation", NONE, {"seconds": 10})
    leg, call, running = begin(spec)
    await asyncio.sleep(1)
    call.on_call_over()
    await running
    assert asyncio.get_running_loop().time() == pytest.approx(1 + 1 + 2, abs=0.01)
    assert (spec.abandoned, spec.abandoned_total) == (1, 1)
    await asyncio.sleep(8)
    assert (spec.abandoned, spec.abandoned_total) == (0, 1)
    call.close()
    leg.stop_clock()


def test_blocked_threads_hurt_nobody_and_are_limited() -> None:
    async def main() -> None:
        spec = spec_of("Blocks", THREAD, hangup_grace_s=0.01, cancel_deadline_s=0.01, abandoned_max=20)
        for blocked in range(1, 21):
            leg, call, running = begin(spec)
            await caller_sends(leg, silence(8_000, 20))
            call.on_call_over()
            await running
            assert spec.abandoned == blocked
            call.close()
        _, call, running = begin(spec)
        with pytest.raises(AgentBusyError, match="have not ended yet"):
            await running
        call.close()
        user_agents.Blocks.released.set()
        async with asyncio.timeout(10):
            while spec.abandoned:  # noqa: ASYNC110 - threads end when they do
                await asyncio.sleep(0.01)

    user_agents.Blocks.released.clear()
    asyncio.run(main())
    assert not threads()


@pytest.mark.parametrize("deadline_s", [0.3, 30])
def test_what_an_agent_leaves_behind_does_not_keep_its_caller(deadline_s: float) -> None:
    async def main() -> None:
        spec = spec_of("LeavesWorkBehind", THREAD, cancel_deadline_s=deadline_s)
        leg, call, running = begin(spec)
        await asyncio.wait_for(running, 5)
        call.close()
        leg.stop_clock()
        assert threads()
        assert spec.abandoned == 0, "it may take as long as one that was cancelled"
        if deadline_s < 1:
            async with asyncio.timeout(5):
                while not spec.abandoned:  # noqa: ASYNC110 - timers are not waited for
                    await asyncio.sleep(0.01)
        user_agents.Blocks.released.set()
        async with asyncio.timeout(5):
            while spec.abandoned or threads():  # noqa: ASYNC110 - threads end when they do
                await asyncio.sleep(0.01)
        assert spec.abandoned_total == (deadline_s < 1)

    user_agents.Blocks.released.clear()
    asyncio.run(main())


def test_a_cancelled_agent_and_what_it_leaves_behind_are_one_abandoned_run() -> None:
    async def main() -> None:
        spec = spec_of("LeavesWorkBehind", THREAD, {"stays": True}, hangup_grace_s=0.1, cancel_deadline_s=0.2)
        leg, call, running = begin(spec)
        await caller_sends(leg, silence(8_000, 100))
        await caller_leaves(leg, call, running)
        await asyncio.sleep(0.4)
        assert (spec.abandoned, spec.abandoned_total) == (1, 1)
        user_agents.Blocks.released.set()
        async with asyncio.timeout(5):
            while spec.abandoned or threads():  # noqa: ASYNC110 - threads end when they do
                await asyncio.sleep(0.01)

    user_agents.Blocks.released.clear()
    asyncio.run(main())


@pytest.fixture
def brief_turns() -> Iterator[None]:
    """Threads take turns as they do in the gateway."""
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    yield
    sys.setswitchinterval(before_s)


@pytest.mark.usefixtures("brief_turns")
def test_a_thread_that_computes_without_end_leaves_the_other_calls_their_voice() -> None:
    async def main() -> None:
        burning = begin(spec_of("Burns", THREAD, {"seconds": 1.5}, hangup_grace_s=0.02, cancel_deadline_s=0.02))
        leg, call, running = begin(spec_of("InlineParrot", NONE, mode=BargeIn.OFF))
        words = np.tile(voice(8_000, 200), 3)
        await caller_sends(leg, words)
        await call.said()
        assert leg.position().played_samples == len(words)
        assert not burning[2].done()
        burning[1].on_call_over()
        await burning[2]
        call.on_call_over()
        await running
        while threads():  # noqa: ASYNC110 - threads end when they do
            await asyncio.sleep(0.01)
        for done in (call, burning[1]):
            done.close()
        leg.stop_clock()
        burning[0].stop_clock()

    asyncio.run(main())


@virtual
async def test_max_calls() -> None:
    spec = spec_of("Parrot", NONE, max_calls=1)
    leg, call, running = begin(spec)
    await asyncio.sleep(0)
    other_leg, other, refused = begin(spec)
    with pytest.raises(AgentBusyError, match="it has 1 calls, max_calls is 1"):
        await refused
    call.on_call_over()
    await running
    assert spec.calls == 0
    for done in (call, other):
        done.close()
    leg.stop_clock()
    other_leg.stop_clock()


@virtual
async def test_its_last_words_are_heard() -> None:
    leg, call, running = begin(spec_of("SaysGoodbye", NONE))
    await running
    assert call.heard_ms == 1_000
    call.close()
    leg.stop_clock()


@pytest.mark.parametrize("after", ["return", "speak", "raise", "listen"])
@virtual
async def test_its_last_words_are_heard_before_it_hangs_up(after: str) -> None:
    user_agents.SaysGoodbyeAndHangsUp.notes.clear()
    leg = FakeLeg()
    spec = spec_of("SaysGoodbyeAndHangsUp", NONE, {"after": after})
    ended_s: list[float] = []

    def hang_up() -> None:
        ended_s.append(asyncio.get_running_loop().time())
        call.on_call_over()

    call = Conversation(leg, barge_in=spec.settings.effective_barge_in, hang_up=hang_up)
    await run_agent(spec, call)
    assert ended_s == [pytest.approx(2, abs=0.1)], "once, when all was heard"
    assert leg.position().played_samples == 16_000
    if after == "listen":
        assert user_agents.SaysGoodbyeAndHangsUp.notes == ["Drained", "Hangup"]
    call.close()
    leg.stop_clock()


@virtual
async def test_a_goodbye_that_is_interrupted_ends_the_call_at_once() -> None:
    leg = FakeLeg()
    cut = BargeInSettings(mode=BargeIn.CUT)
    call = Conversation(leg, barge_in=cut, hang_up=lambda: call.on_call_over())  # noqa: PLW0108 - no name yet
    call.play(np.full(80_000, 7_000, np.int16))
    call.hang_up()
    with pytest.raises(CallEndedError, match="say everything before hang_up"):
        call.play(np.full(160, 7_000, np.int16))
    assert not call.over
    await caller_sends(leg, np.concatenate((silence(8_000, 300), voice(8_000, 140))))
    events: list[Event] = [event async for event in call.events()]
    assert [type(event) for event in events] == [SpeechStarted, Interrupted, Hangup]
    leg.stop_clock()


@virtual
async def test_who_waits_for_room_when_it_hangs_up_is_told() -> None:
    leg = FakeLeg()
    call = Conversation(leg, hang_up=lambda: call.on_call_over())  # noqa: PLW0108 - no name yet
    saying = asyncio.create_task(call.say(np.full(60 * 8_000, 7_000, np.int16)))
    await asyncio.sleep(0.1)
    call.hang_up()
    with pytest.raises(CallEndedError, match="has hung up"):
        await saying
    assert await call.said() == 15_000
    assert call.hung_up
    leg.stop_clock()


@virtual
async def test_after_the_hangup_it_may_finish_by_itself() -> None:
    user_agents.FinishesItsNotes.notes.clear()
    leg, call, running = begin(spec_of("FinishesItsNotes", NONE))
    await caller_sends(leg, silence(8_000, 100))
    call.on_call_over()
    await running
    assert user_agents.FinishesItsNotes.notes == ["written"]
    call.close()
    leg.stop_clock()


def test_barge_in_reaches_an_agent_in_a_thread() -> None:
    async def main() -> None:
        leg, call, running = begin(spec_of("TurnTaker", THREAD))
        await caller_sends(leg, np.concatenate((voice(8_000, 500), silence(8_000, 1_000))))
        assert call.speaking
        await caller_sends(leg, voice(8_000, 300, pitch_hz=210))
        assert not call.speaking
        assert call.counters.barge_ins_confirmed == 1
        await caller_leaves(leg, call, running)

    asyncio.run(main())


@pytest.mark.parametrize("isolation", Isolation)
def test_a_synthesis_that_thinks_is_interrupted_at_once(isolation: Isolation) -> None:
    async def main() -> None:
        leg, call, running = begin(spec_of("Thinks", isolation))
        await caller_sends(leg, np.concatenate((silence(8_000, 200), voice(8_000, 300))))
        await asyncio.wait_for(running, 2)
        (spoken,) = user_agents.Thinks.spoken
        assert spoken.interrupted
        call.close()
        leg.stop_clock()

    user_agents.Thinks.spoken.clear()
    asyncio.run(main())


@pytest.mark.parametrize("isolation", Isolation)
def test_the_whole_interface_is_the_same_in_a_thread(isolation: Isolation) -> None:
    async def main() -> None:
        user_agents.UsesEverything.finished.clear()
        leg = FakeLeg()
        spec = spec_of("UsesEverything", isolation)
        over = asyncio.get_running_loop().create_future()
        call = Conversation(
            leg, CallInfo(call_id="c7"), spec.settings.effective_barge_in, hang_up=lambda: over.set_result(None)
        )
        running = asyncio.create_task(run_agent(spec, call))
        await asyncio.wait({running, over}, return_when=asyncio.FIRST_COMPLETED)
        if not over.done():
            await running  # raises what the agent found wrong
        call.on_dtmf("9", 80)
        await asyncio.sleep(0.05)
        call.on_call_over()
        await running
        assert user_agents.UsesEverything.finished == ["to the end"]
        assert call.hung_up
        call.close()
        leg.stop_clock()

    asyncio.run(main())
