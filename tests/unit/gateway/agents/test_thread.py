"""Lanes between two threads: no wake-up is lost, and at most one is on its way."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import numpy as np

from gateway.agents.thread import ThreadLanes
from media.events import Dtmf, Hangup

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
