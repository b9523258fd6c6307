"""A call between an agent and its scripted backend, over a real socket: what the tests of all such kinds share."""

from __future__ import annotations

import asyncio
import gc
import weakref
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from gateway.agents import let_talk
from media.conversation.conversation import Conversation
from media.conversation.events import CallInfo
from tests.bot import DEADLINE_S
from tests.conformance.agent import PATIENCE_S
from tests.fake_leg import FakeLeg

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
    from contextlib import AbstractAsyncContextManager

    from gateway.agents import Agent, AgentSpec
    from media.leg import Pcm

PATIENCE: dict[str, object] = {
    "hangup_grace": PATIENCE_S, "cancel_deadline": PATIENCE_S, "connect_timeout": 2.0
}  # fmt: skip
"""Of every agent's settings."""


def info() -> CallInfo:
    """The facts of a call, with a history of its own."""
    own_id = "01899b2a-0000-7000-8000-0123456789ab"
    return CallInfo(call_id="c1", id=own_id, to="600", from_="+4930123", codec="PCMU/8000")


def tone(length_ms: int, rate_hz: int = 8_000, hz: float = 440.0) -> Pcm:
    """A sine of a quarter of the full scale."""
    time_s = np.arange(rate_hz * length_ms // 1_000) / rate_hz
    wave: Pcm = (8_000 * np.sin(2 * np.pi * hz * time_s)).astype(np.int16)
    return wave


async def until(what: Callable[[], object]) -> None:
    """Wait for what happens in the backend's thread, or on a socket.

    Raises:
        TimeoutError: it has not come in time.
    """
    async with asyncio.timeout(DEADLINE_S):
        while not what():  # noqa: ASYNC110 - what happens elsewhere
            await asyncio.sleep(0.005)


def run(work: Coroutine[Any, Any, None]) -> None:
    """In a loop of its own."""
    asyncio.run(work)


CallOfAgent: TypeAlias = "AbstractAsyncContextManager[tuple[FakeLeg, Conversation, asyncio.Task[Any]]]"


@asynccontextmanager
async def call_of(
    spec: AgentSpec, begun: Callable[[], Awaitable[object]], rate_hz: int = 8_000, facts: CallInfo | None = None
) -> AsyncIterator[tuple[FakeLeg, Conversation, asyncio.Task[Any]]]:
    """A call of the agent that has begun for its backend; at the end the caller hangs up, if nobody has."""
    leg = FakeLeg(rate_hz)
    barge_in = spec.settings.effective_barge_in
    call = Conversation(leg, facts or info(), barge_in, hang_up=lambda: call.on_call_over())  # noqa: PLW0108
    talking = asyncio.create_task(let_talk(spec, call))
    await begun()
    yield leg, call, talking
    call.on_call_over()
    await asyncio.wait({talking}, timeout=PATIENCE_S)
    assert talking.done()
    call.close()
    leg.stop_clock()


@contextmanager
def nothing_left() -> Iterator[Callable[[AgentSpec], None]]:
    """Demand that agents are gone without a garbage collection: full ones are rare where calls are up.

    What it gives makes a spec remember the agents that it makes.
    """
    made: list[weakref.ref[Agent]] = []

    def keep(spec: AgentSpec) -> None:
        make = spec.make

        def kept() -> Agent:
            agent = make()
            made.append(weakref.ref(agent))
            return agent

        spec.make = kept

    gc.collect()
    gc.disable()
    try:
        yield keep
        assert [one() for one in made] == [None]
    finally:
        gc.enable()
