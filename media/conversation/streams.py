"""How an agent listens: it takes events or frames one by one, with a timeout if it wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, Self, TypeVar, get_args

from media.conversation.belonging import AnyTask, Belonging, current_task
from media.conversation.events import Dtmf, Event, EventKind, Hangup
from media.conversation.lanes import Lanes

T = TypeVar("T")


class Stream(AsyncIterator[T]):
    """Events or frames, one by one, until the call ends.

    A cancelled wait loses nothing: after `asyncio.wait_for(anext(stream), 5)` the stream can be used as before.
    """

    __slots__ = ("_belonging", "_lanes", "_listener", "_take")

    def __init__(self, take: Callable[[], Awaitable[T | None]], lanes: Lanes, belonging: Belonging) -> None:
        """`take` waits for the next event or frame in the lanes, and returns None after the last one."""
        self._take = take
        self._lanes = lanes
        self._belonging = belonging
        self._listener: AnyTask | None = None

    def for_this_task(self) -> Self:
        """Make the current task the listener, even if another task asks for the next item."""
        self._listener = current_task()
        return self

    def __anext__(self) -> Coroutine[Any, Any, T]:
        # Not a coroutine: the task that calls this is the listener, even if `asyncio.wait_for` waits in another task.
        self._belonging.catch_up()
        return self._next(self._listener or current_task())

    async def _next(self, listener: AnyTask | None) -> T:
        taken = await self._take()
        if taken is None:
            raise StopAsyncIteration
        self._belonging.has_heard(self._lanes.epoch_taken, listener)
        return taken


async def next_event(
    events: AsyncIterator[Event], kinds: tuple[EventKind | type[Event], ...], timeout_s: float | None, lanes: Lanes
) -> Event | None:
    """The next event of these kinds; without kinds, any event except audio. See `Conversation.next_event`."""
    wanted = {kind if isinstance(kind, str) else kind.kind for kind in kinds}
    unknown = wanted.difference(get_args(EventKind))
    if unknown:
        raise ValueError(f"there is no event kind {min(unknown)!r}: use one of {', '.join(get_args(EventKind))}")
    lanes.keys_awaited += "dtmf" in wanted
    try:
        async with asyncio.timeout(timeout_s):
            async for event in events:
                if event.kind in wanted or event.kind == "hangup" or not (wanted or event.kind == "audio"):
                    return event
    except TimeoutError:
        return None
    finally:
        lanes.keys_awaited -= "dtmf" in wanted
    return Hangup()


async def next_key(events: AsyncIterator[Event], timeout_s: float | None, lanes: Lanes) -> str | None:
    """The next key; see `Conversation.next_key`."""
    event = await next_event(events, ("dtmf",), timeout_s, lanes)
    return event.digit if isinstance(event, Dtmf) else None
