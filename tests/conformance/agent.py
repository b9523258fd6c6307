"""What every agent must do, built in or a user's. A test module runs each of `AGENT_CHECKS` with its own agent."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np

from gateway.agents import AgentSpec, let_talk
from media.conversation.conversation import Conversation
from media.conversation.events import CallInfo
from tests.fake_leg import FakeLeg, caller_sends, silence, voice

PATIENCE_S = 5.0
"""Of a check in real time with a machine that stands still."""


@dataclass(frozen=True)
class AgentCase:
    """One agent under test."""

    name: str
    make: Callable[[], AgentSpec]
    speaks_first: bool = False
    """Whether it speaks without having heard a word."""
    finishes: bool = False
    """Whether it is done by itself, as one that has said all it has to say."""
    thread_patience_s: float = PATIENCE_S
    """How long its threads may take to end, in real time."""
    rate_hz: int = 8_000


QUIET_S = 0.3
"""After this, the voice of an agent that repeats what it hears has run out."""

LAST_WORDS_MS = 500
"""How long an agent speaks that hangs up on a key."""

LAST_WORD = 7_000
"""The value of every sample of it."""


async def run_agent(spec: AgentSpec, call: Conversation) -> None:
    """Let the agent have the call, if it has room for one, as the gateway does."""
    with spec.admit():
        await let_talk(spec, call)


@asynccontextmanager
async def talking(case: AgentCase) -> AsyncIterator[tuple[FakeLeg, Conversation, asyncio.Task[None]]]:
    """A call with the agent; at the end the caller hangs up, and nothing may be left."""
    threads = set(threading.enumerate())
    tasks = asyncio.all_tasks()
    leg = FakeLeg(case.rate_hz)
    spec = case.make()
    barge_in = spec.settings.effective_barge_in
    call = Conversation(leg, CallInfo(call_id="c1"), barge_in, hang_up=lambda: call.on_call_over())  # noqa: PLW0108 - no name yet
    running = asyncio.create_task(run_agent(spec, call))
    await asyncio.sleep(0.05)
    yield leg, call, running
    call.on_call_over()
    done, _ = await asyncio.wait({running}, timeout=_by_itself_s(spec))
    assert done, "it has not ended by itself"
    assert running.cancelled() or running.exception() is None
    call.close()
    leg.stop_clock()
    await asyncio.sleep(0.02)
    assert asyncio.all_tasks() == tasks
    left = {one for one in set(threading.enumerate()) - threads if not one.name.startswith("asyncio_")}
    for thread in left:  # its last word may be heard before it is gone
        thread.join(case.thread_patience_s)
    assert not [thread.name for thread in left if thread.is_alive()]
    assert (spec.calls, spec.abandoned_total) == (0, 0)


def assert_well(case: AgentCase, call: Conversation, running: asyncio.Task[None]) -> None:
    """The agent has the call still, or has finished it if it is one that does."""
    assert call.failure is None
    assert not call.over, "it has hung up"
    assert case.finishes or not running.done(), "it has left its caller"


async def hears_it_speak(case: AgentCase, leg: FakeLeg, louder_than: int = 0) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while (np.abs(leg.heard()) > louder_than).sum() < case.rate_hz // 10:
            await caller_sends(leg, silence(case.rate_hz, 20))


def _by_itself_s(spec: AgentSpec) -> float:
    """How long it has after the caller hung up: a little less than until it is cancelled."""
    return 0.9 * spec.settings.hangup_grace_s


async def check_hears_and_speaks(case: AgentCase) -> None:
    async with talking(case) as (leg, call, running):
        turn = np.concatenate((voice(case.rate_hz, 600), silence(case.rate_hz, 900)))
        await caller_sends(leg, turn)
        assert_well(case, call, running)
        await hears_it_speak(case, leg)
        await asyncio.sleep(QUIET_S)  # nothing comes, as from a telephone that sends no silence
        assert_well(case, call, running)


async def check_speaks_first_if_it_does(case: AgentCase) -> None:
    async with talking(case) as (leg, _, _):
        await asyncio.sleep(0.4)
        assert bool((leg.heard() != 0).any()) is case.speaks_first


async def check_hangup_before_the_first_frame(case: AgentCase) -> None:
    async with talking(case):
        pass


async def check_hangup_while_the_caller_speaks(case: AgentCase) -> None:
    async with talking(case) as (leg, _, _):
        await caller_sends(leg, voice(case.rate_hz, 300))


async def check_hangup_before_it_was_made(case: AgentCase) -> None:
    leg = FakeLeg(case.rate_hz)
    spec = case.make()
    call = Conversation(leg, barge_in=spec.settings.effective_barge_in)
    call.on_call_over()
    await asyncio.wait_for(run_agent(spec, call), _by_itself_s(spec))
    call.close()
    leg.stop_clock()


async def check_survives_keys_bursts_and_silence(case: AgentCase) -> None:
    async with talking(case) as (leg, call, running):
        frame = silence(case.rate_hz, 20)
        for _ in range(150):
            call.on_frame(frame)
        for digit in "0123456789*#ABCD":
            call.on_dtmf(digit, 100)
        call.on_media_silent(5_000)
        call.on_mark(4_711)
        call.on_drained()
        await caller_sends(leg, silence(case.rate_hz, 100))
        assert_well(case, call, running)
        if not case.finishes:
            leg.wire.clear()
            await caller_sends(leg, np.concatenate((voice(case.rate_hz, 600), silence(case.rate_hz, 900))))
            await hears_it_speak(case, leg, louder_than=1_000)  # what it says of the burst is quiet
            assert_well(case, call, running)


async def check_survives_an_interruption(case: AgentCase) -> None:
    async with talking(case) as (leg, call, running):
        await caller_sends(leg, np.concatenate((voice(case.rate_hz, 600), silence(case.rate_hz, 700))))
        assert_well(case, call, running)


async def check_survives_a_hold(case: AgentCase) -> None:
    async with talking(case) as (leg, call, running):
        await caller_sends(leg, silence(case.rate_hz, 100))
        call.on_held(one_way=False)
        await caller_sends(leg, voice(case.rate_hz, 300))  # music, say
        call.on_resumed()
        await caller_sends(leg, silence(case.rate_hz, 100))
        assert_well(case, call, running)
        if not case.finishes:
            leg.wire.clear()
            await caller_sends(leg, np.concatenate((voice(case.rate_hz, 600), silence(case.rate_hz, 900))))
            await hears_it_speak(case, leg, louder_than=1_000)
            assert_well(case, call, running)


async def check_cancellation_ends_it(case: AgentCase) -> None:
    async with talking(case) as (leg, _, running):
        await caller_sends(leg, voice(case.rate_hz, 100))
        if running.done():
            return
        running.cancel()
        await asyncio.wait({running})  # no longer than cancel_deadline: then it is abandoned, which is looked at above
        assert running.cancelled()


async def check_hangs_up_on_a_key_after_its_last_words(case: AgentCase) -> None:
    """For agents that say `LAST_WORDS_MS` and hang up when a key is pressed."""
    async with talking(case) as (leg, call, running):
        await caller_sends(leg, silence(case.rate_hz, 100))
        call.on_dtmf("#", 100)
        await caller_sends(leg, silence(case.rate_hz, LAST_WORDS_MS))
        async with asyncio.timeout(PATIENCE_S):
            while not call.over:
                await caller_sends(leg, silence(case.rate_hz, 20))
        await asyncio.wait_for(running, PATIENCE_S)
        assert call.failure is None
        assert call.hung_up
        assert (leg.heard() == LAST_WORD).sum() == case.rate_hz * LAST_WORDS_MS // 1_000
        assert call.lanes.frames_dropped == 0


AGENT_CHECKS: tuple[Callable[[AgentCase], Awaitable[None]], ...] = (
    check_hears_and_speaks,
    check_speaks_first_if_it_does,
    check_hangup_before_the_first_frame,
    check_hangup_while_the_caller_speaks,
    check_hangup_before_it_was_made,
    check_survives_keys_bursts_and_silence,
    check_survives_an_interruption,
    check_survives_a_hold,
    check_cancellation_ends_it,
)
