"""Agents for tests of whole calls."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import structlog

from gateway.agents import AgentUnavailableError, Done, GoTo

if TYPE_CHECKING:
    from gateway.agents import Call, Outcome


class Polite:
    """Hangs up after a second."""

    async def run(self, call: Call) -> None:
        await asyncio.sleep(1)
        call.hang_up()


class Farewell:
    """Says ten seconds of farewell, and hangs up."""

    async def run(self, call: Call) -> None:
        await asyncio.sleep(0.5)
        await call.say(np.full(80_000, 1_000, np.int16))
        call.hang_up()


class Broken:
    """Raises."""

    async def run(self, _call: Call) -> None:
        raise RuntimeError("it broke")


class Waits:
    """Listens until the end."""

    async def run(self, call: Call) -> None:
        await call.until_over()


class AsksForRoute:
    """Goes on elsewhere, with what it found out."""

    def __init__(self, route: str = "b", **results: str) -> None:
        self.outcome = GoTo(route, results)

    async def run(self, _call: Call) -> Outcome:
        return self.outcome


class Reports:
    """Says as a result what the agents before it found out."""

    async def run(self, call: Call) -> Outcome:
        await call.speak(np.zeros(800, np.int16))
        return Done({"seen": ",".join(f"{name}={value}" for name, value in call.results.items())})


class Prepares:
    """Takes its time before it can talk, or cannot; says in a result what it was told and when."""

    def __init__(self, seconds: float = 0.0, fault: str = "") -> None:
        self.seconds = seconds
        self.fault = fault
        self.loop: object = None

    async def prepare(self) -> None:
        await asyncio.sleep(self.seconds)
        self.loop = asyncio.get_running_loop()
        match self.fault:
            case "busy":
                raise AgentUnavailableError("the recogniser is overloaded")
            case "broken":
                raise RuntimeError("no such model")

    async def run(self, _call: Call) -> Outcome:
        return Done({"same_loop": str(self.loop is asyncio.get_running_loop())})


class Discarded(Prepares):
    """As above, and logs when it does not get the call."""

    async def prepare(self) -> None:
        try:
            await super().prepare()
        except asyncio.CancelledError:
            if self.fault != "late":
                raise

    def discard(self) -> None:
        structlog.get_logger("test").info("test.discarded", fault=self.fault)
        if self.fault == "broken":
            raise OSError("it is closed")


class PreparesByBlocking(Prepares):
    """As above, in a plain function."""

    def prepare(self) -> None:  # type: ignore[override]
        time.sleep(self.seconds)
        self.loop = "none"

    async def run(self, _call: Call) -> Outcome:
        return Done({"thread": threading.current_thread().name})


class FailsInMidCall:
    """Says something, and fails."""

    async def run(self, call: Call) -> None:
        await call.speak(np.full(call.rate_hz // 5, 1_000, np.int16))
        raise RuntimeError("the model is gone")


class Listens:
    """Hears the caller, and says nothing."""

    async def run(self, call: Call) -> None:
        call.info.history.add("user", "Hello?")
        async for _ in call.events():
            pass


class Answers:
    """Says one sentence; its result is what it was told of the conversation before."""

    async def run(self, call: Call) -> Outcome:
        await call.speak(np.full(call.rate_hz // 5, 2_000, np.int16))
        return Done({"told": " ".join(text for _, text in call.info.history)})
