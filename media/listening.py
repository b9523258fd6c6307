"""How an agent listens: one thing after the other, and no longer than it wants to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar, get_args

from media.events import Event, Hangup, UrgentEvent

T = TypeVar("T")


class Stream(AsyncIterator[T]):
    """What comes, one by one, to the end of the call.

    A wait that is cancelled loses nothing and ends nothing: after `asyncio.wait_for(anext(stream), 5)` go on as before.
    """

    __slots__ = ("_on_taken", "_take")

    def __init__(self, take: Callable[[], Awaitable[T | None]], on_taken: Callable[[], object]) -> None:
        """`take` waits for the next thing, and returns None after the last one."""
        self._take = take
        self._on_taken = on_taken

    async def __anext__(self) -> T:
        taken = await self._take()
        if taken is None:
            raise StopAsyncIteration
        self._on_taken()
        return taken


async def next_event(
    events: AsyncIterator[Event], kinds: tuple[type[Event], ...], timeout_s: float | None
) -> Event | None:
    """The next event of these kinds, or other than audio if none is named; see `Conversation.next_event`."""
    wanted: tuple[type[Event], ...] = (*kinds, Hangup) if kinds else get_args(UrgentEvent)
    try:
        async with asyncio.timeout(timeout_s):
            async for event in events:
                if isinstance(event, wanted):
                    return event
    except TimeoutError:
        return None
    return Hangup()
