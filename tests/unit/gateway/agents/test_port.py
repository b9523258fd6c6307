"""Messages between an agent's thread and the gateway: in order, few wake-ups, and nothing done that was taken back."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import pickle
import threading
from typing import Any, get_args

import numpy as np
import pytest

from gateway.agents import messages
from gateway.agents.messages import AgentCommand, Answer, Fact, Play, Request, Said, Say
from gateway.agents.port import MessagePort
from gateway.agents.thread_call import ThreadCall, ThreadLanes
from media.conversation.conversation import Conversation
from media.conversation.events import CallEndedError
from media.leg import PlayoutFullError
from tests.fake_leg import FakeLeg

FRAME = np.ones(160, np.int16)
WRONG: Any = np.ones(160)
SECOND = np.ones(8_000, np.int16)


def test_every_message_is_frozen_and_may_travel_further_than_a_thread() -> None:
    written: dict[str, object] = {"pcm": FRAME, "mark": "m", "error": ValueError("x"), "name": "held"}
    for kind in get_args(AgentCommand):
        fields = dataclasses.fields(kind)
        message = kind(**{field.name: written.get(field.name, 1) for field in fields})
        assert type(pickle.loads(pickle.dumps(Request(1, message))).command) is kind
        for field in fields:
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(message, field.name, None)


def queued_ms(port: MessagePort) -> int:
    queued = port.ask(Fact("queued_ms"))
    assert isinstance(queued, int)
    return queued


def in_a_call(agent: Any) -> None:
    """Run `agent(port, call)` in a thread with a loop of its own, beside a gateway's loop that counts its wake-ups."""

    class Loop(asyncio.SelectorEventLoop):
        woken = 0

        def call_soon_threadsafe(self, *args: Any, **kwargs: Any) -> asyncio.Handle:  # type: ignore[override]
            if threading.current_thread().name == "agent under test":
                Loop.woken += 1
            return super().call_soon_threadsafe(*args, **kwargs)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        leg = FakeLeg()
        call = Conversation(leg)
        port = MessagePort(call, loop)
        done = loop.create_future()

        def body() -> None:
            error: BaseException | None = None
            try:
                asyncio.run(agent(port, call, Loop))
            except BaseException as raised:  # noqa: BLE001 - it is raised again in the test's own thread
                error = raised
            loop.call_soon_threadsafe(done.set_result, error)

        threading.Thread(target=body, name="agent under test").start()
        async with asyncio.timeout(20):
            error = await done
        call.close()
        leg.stop_clock()
        if error is not None:
            raise error

    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(main())


def test_requests_are_done_in_order_and_answered() -> None:
    async def agent(port: MessagePort, call: Conversation, _loop: Any) -> None:
        assert port.ask(Play(SECOND, None, 0)) is True
        assert await port.wait(Say(SECOND, None, 0)) is True
        assert 1_900 <= queued_ms(port) <= 2_000
        assert await port.wait(Said()) == 2_000
        assert port.ask(Play(FRAME, None, 7)) is False, "of an epoch that is not"
        assert call.refused_ms == 20

    in_a_call(agent)


def test_what_is_raised_reaches_whoever_asked() -> None:
    async def agent(port: MessagePort, _call: Conversation, _loop: Any) -> None:
        with pytest.raises(TypeError, match="int16"):
            port.ask(Play(WRONG, None, 0))
        with pytest.raises(TypeError, match="int16"):
            await port.wait(Say(WRONG, None, 0))
        with pytest.raises(PlayoutFullError):
            port.ask(Play(np.ones(8_000 * 70, np.int16), None, 0))

    in_a_call(agent)


def test_a_burst_wakes_the_gateway_rarely() -> None:
    async def agent(port: MessagePort, _call: Conversation, loop: Any) -> None:
        hold = threading.Event()
        port._gateway.call_soon_threadsafe(hold.wait, 5)
        woken = loop.woken
        for _ in range(100):
            port.tell(messages.DetectSpeech())
        waiting = [asyncio.create_task(port.wait(Fact("speaking"))) for _ in range(100)]
        await asyncio.sleep(0)
        assert loop.woken - woken <= 1
        hold.set()
        assert await asyncio.gather(*waiting) == [False] * 100

    in_a_call(agent)


@pytest.mark.parametrize("seen", [False, True])
def test_a_wait_that_is_cancelled_is_given_up_on_both_sides(seen: bool) -> None:
    async def agent(port: MessagePort, call: Conversation, _loop: Any) -> None:
        hold = threading.Event()
        if not seen:
            port._gateway.call_soon_threadsafe(hold.wait, 5)
        port.tell(Play(SECOND, None, 0))
        waiting = asyncio.create_task(port.wait(Said() if seen else Say(SECOND, None, 0)))
        await asyncio.sleep(0)
        if seen:
            assert port.ask(Fact("speaking")) is True
            assert port._door._waiting
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        hold.set()
        assert queued_ms(port) <= 1_000, "what the gateway had not seen is not done"
        await asyncio.sleep(0.05)
        port.ask(Fact("speaking"))
        assert (port._takers, port._door._waiting) == ({}, {})
        assert not call.over

    in_a_call(agent)


def test_nothing_is_kept_for_answers_that_nobody_has_any_more() -> None:
    async def agent(port: MessagePort, call: Conversation, _loop: Any) -> None:
        theirs = ThreadCall(call, ThreadLanes(), port._gateway)
        for _ in range(100):
            assert (await theirs.speak(FRAME[:8])).heard_ms == 1
        gc.collect()
        assert theirs.queued_ms == 0
        assert len(theirs._port._door._utterances) <= 1

    in_a_call(agent)


def test_a_gateway_that_has_ended_is_an_end_of_the_call() -> None:
    loop = asyncio.new_event_loop()

    async def made() -> MessagePort:
        leg = FakeLeg()
        call = Conversation(leg)
        call.close()
        leg.stop_clock()
        return MessagePort(call, loop)

    port = asyncio.run(made())
    loop.close()
    for _ in range(2):
        with pytest.raises(CallEndedError, match="the gateway has ended"):
            port.ask(Fact("held"))
    assert not port._outbox
    assert not port._takers
    port._on_answer(Answer(5, None))  # of a request that nobody waits for any more
