"""Lanes and calls between two threads: no wake-up is lost, at most one is on its way, nothing is done too late."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gateway.agents import AgentSpec
from gateway.agents.thread import ThreadRun
from gateway.agents.thread_call import ThreadCall, ThreadLanes
from media.conversation.conversation import Conversation
from media.conversation.events import CallEndedError, Dtmf, Hangup
from media.conversation.lanes import AUDIO_FRAMES_MAX
from media.leg import Pcm
from tests.agents import python_agent
from tests.fake_leg import FakeLeg

EVENTS = 20_000


def test_every_event_arrives_whatever_the_timing() -> None:
    lanes = ThreadLanes()
    lanes.listening = True
    taken: list[object] = []

    async def agent() -> None:
        while (event := await lanes.get()) is not None:
            taken.append(event)

    thread = threading.Thread(target=lambda: asyncio.run(agent()))
    thread.start()
    for number in range(EVENTS):
        while len(taken) < number - 500 and thread.is_alive():
            pass
        lanes.put_urgent(Dtmf("1", number))
    lanes.close()
    thread.join(30)
    assert not thread.is_alive(), "it waits for what has come"
    assert taken == [*(Dtmf("1", number) for number in range(EVENTS)), Hangup()]


def test_what_comes_between_the_look_and_the_wait_is_not_slept_over() -> None:
    class Loop(asyncio.SelectorEventLoop):
        def create_future(self) -> asyncio.Future[None]:
            if lanes.listening and not put:
                put.append(True)
                lanes.put_urgent(Dtmf("7", 1))  # as the other thread does, at the worst moment
            return super().create_future()

    lanes = ThreadLanes()
    put: list[bool] = []
    with asyncio.Runner(loop_factory=Loop) as runner:
        assert runner.run(asyncio.wait_for(lanes.get(), 5)) == Dtmf("7", 1)
    assert put


def test_a_burst_wakes_once() -> None:
    woken = 0

    class Loop(asyncio.SelectorEventLoop):
        def call_soon_threadsafe(self, *args: Any, **kwargs: Any) -> asyncio.Handle:  # type: ignore[override]
            nonlocal woken
            woken += 1
            return super().call_soon_threadsafe(*args, **kwargs)

    async def main() -> None:
        lanes = ThreadLanes()
        waiting = asyncio.create_task(lanes.get())
        await asyncio.sleep(0)
        for _ in range(100):
            lanes.put_audio(np.zeros(160, np.int16))
        assert woken == 1
        assert await waiting is not None

    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(main())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - the loop turns until its callbacks have run
            await asyncio.sleep(0)


def test_a_consumer_may_end_itself() -> None:
    async def main() -> None:
        lanes = ThreadLanes()
        faults: list[BaseException] = []
        lanes.consumer_failed = faults.append
        for _ in range(5):
            lanes.put_audio(np.zeros(160, np.int16))
        taken: list[Pcm] = []

        def consumer(pcm: Pcm) -> None:
            taken.append(pcm)
            if len(taken) == 3:
                lanes.take_by(None)

        lanes.take_by(consumer)
        await until(lambda: len(taken) == 3)
        lanes.put_audio(np.zeros(160, np.int16))
        await asyncio.sleep(0)
        assert (len(taken), faults) == (3, [])
        assert await lanes.get_audio() is not None, "what it left is there for others"

    asyncio.run(main())


def test_a_consumer_attends_while_it_keeps_up() -> None:
    async def main() -> None:
        lanes = ThreadLanes()
        taken: list[Pcm] = []
        lanes.take_by(taken.append)
        assert lanes.attended
        for _ in range(AUDIO_FRAMES_MAX):
            lanes.put_audio(np.zeros(160, np.int16))
        assert not lanes.attended, "its loop is blocked"
        before = lanes.taken
        await until(lambda: len(taken) == AUDIO_FRAMES_MAX)
        assert lanes.attended
        assert lanes.taken == before + AUDIO_FRAMES_MAX

    asyncio.run(main())


@pytest.mark.parametrize("fault", [SystemExit, asyncio.CancelledError, ZeroDivisionError])
def test_whatever_a_consumer_raises_is_told(fault: type[BaseException]) -> None:
    async def main() -> None:
        lanes = ThreadLanes()
        faults: list[BaseException] = []
        lanes.consumer_failed = faults.append

        def consumer(_pcm: Pcm) -> None:
            raise fault

        lanes.take_by(consumer)
        lanes.put_audio(np.zeros(160, np.int16))
        await until(lambda: bool(faults))
        assert isinstance(faults[0], fault)

    asyncio.run(main())


def test_a_question_that_was_not_answered_in_time_is_not_done_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.agents.port.ANSWER_DEADLINE_S", 0.01)

    async def main() -> None:
        leg = FakeLeg()
        call = Conversation(leg)
        lanes = ThreadLanes()
        proxy = ThreadCall(call, lanes, asyncio.get_running_loop())
        with pytest.raises(CallEndedError, match="does not answer"):
            proxy.play(np.ones(160, np.int16))  # from the gateway's own thread: it cannot answer
        await asyncio.sleep(0)
        assert call.queued_ms == 0
        assert 0 <= call.wait_ms <= 20
        call.close()
        leg.stop_clock()

    asyncio.run(main())


class RaisesLate:
    async def run(self, _call: object) -> None:
        time.sleep(0.2)  # noqa: ASYNC251 - it blocks
        raise CallEndedError("the caller has hung up")


def test_what_an_agent_raises_after_the_caller_has_gone_is_no_stray_error() -> None:
    stray: list[dict[str, Any]] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: stray.append(context))
        leg = FakeLeg()
        call = Conversation(leg)
        spec = AgentSpec("late", python_agent(f"{__name__}:RaisesLate"))
        running = asyncio.create_task(ThreadRun(spec, "c1").talk(call))
        await asyncio.sleep(0.05)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        call.close()
        leg.stop_clock()

    asyncio.run(main())
    gc.collect()
    assert not stray


def test_lanes_may_close_while_another_thread_takes() -> None:
    """As when the caller hangs up on an agent in a thread of its own: it gets the end, and no error."""

    async def take(lanes: ThreadLanes, found: list[object]) -> None:
        try:
            while (event := await lanes.get()) is not None:
                found.append(event)
        except Exception as error:  # noqa: BLE001 - what must not come
            found.append(error)

    switching_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(200):
            lanes, found = ThreadLanes(), list[object]()
            for _ in range(50):
                lanes.put_audio(np.zeros(160, np.int16))
                lanes.put_urgent(Dtmf("1", 100))
            taker = threading.Thread(target=asyncio.run, args=(take(lanes, found),), daemon=True)
            taker.start()
            while len(found) < 10 and taker.is_alive():
                pass
            lanes.close()
            taker.join(10)
            assert not taker.is_alive()
            assert not [one for one in found if isinstance(one, Exception)]
            assert isinstance(found[-1], Hangup)
    finally:
        sys.setswitchinterval(switching_s)
