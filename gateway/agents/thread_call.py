"""A call as an agent has it that runs in a thread and event loop of its own."""

from __future__ import annotations

import asyncio
import concurrent.futures
import time
from collections.abc import AsyncIterable, Callable, Coroutine, Iterable, Mapping
from typing import Any, ParamSpec, TypeVar

from media.conversation.belonging import Belonging
from media.conversation.conversation import Conversation
from media.conversation.events import CallEndedError, CallInfo, Event, EventKind
from media.conversation.lanes import Lanes
from media.conversation.playout import REFUSED_S
from media.conversation.streams import Stream, next_event, next_key
from media.conversation.utterance import Spoken, Utterance, speak
from media.leg import Pcm, PlayoutFullError

ANSWER_DEADLINE_S = 5.0
"""A gateway that does not answer a plain question for this long is on its way down."""

REFUSAL_S = 0.005
"""How long an agent blocks for audio that did not fit."""

P = ParamSpec("P")
T = TypeVar("T")


class ThreadLanes(Lanes):
    """Lanes that one thread fills and another empties; at most one wake-up is on its way at any time."""

    __slots__ = ("_wake_pending", "consumer", "consumer_failed", "loop")

    def __init__(self) -> None:
        super().__init__()
        self._wake_pending = False
        self.loop: asyncio.AbstractEventLoop | None = None
        """The agent's loop, once it takes frames by `consumer`."""
        self.consumer: Callable[[Pcm], object] | None = None
        """Takes each frame on the agent's loop."""
        self.consumer_failed: Callable[[BaseException], object] = lambda _: None

    def take_by(self, consumer: Callable[[Pcm], object] | None) -> None:
        """Have each frame taken by a plain call from now on, those that wait first; on the agent's loop."""
        self.loop = asyncio.get_running_loop()
        self.hearing = True
        self.consumer = consumer
        if consumer is not None and self._audio:
            self._wake()

    @property
    def attended(self) -> bool:
        """Whether the agent waits for something to come, or its consumer keeps up."""
        return super().attended or (self.consumer is not None and not self.full)

    @property
    def behind(self) -> bool:
        """Whether something keeps the agent, or its consumer, from taking what has come."""
        return super().behind or (self.consumer is not None and self.full)

    def put_audio(self, pcm: Pcm) -> None:
        """Append a frame; on the gateway's thread."""
        super().put_audio(pcm)
        if self.consumer is not None:
            self._wake()

    def close(self) -> None:
        """As `Lanes.close`; lets go of the call, which holds these lanes: full garbage collections are rare here."""
        super().close()
        self.consumer_failed = lambda _: None

    async def _wait(self) -> None:
        if self._waiter is not None:
            self._refuse_second()
        self.loop = asyncio.get_running_loop()
        waiter = self.loop.create_future()
        self._waiter = waiter
        try:
            if not self._ready():  # something may have come between the look and the wait
                await waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._wake_pending or self.loop is None:
            return
        self._wake_pending = True
        try:
            self.loop.call_soon_threadsafe(self._on_wake)
        except RuntimeError:  # the agent's loop has closed: it takes no more
            self.consumer = None

    def _on_wake(self) -> None:
        self._wake_pending = False
        try:
            while (consumer := self.consumer) is not None and self._audio:
                self.taken += 1
                consumer(self._audio.popleft())
        except CallEndedError:
            self.consumer = _ignore
        except BaseException as error:  # noqa: BLE001 - the agent's own code, at the edge of its call
            self.consumer = None
            self.consumer_failed(error)
        super()._wake()


def _ignore(_pcm: Pcm) -> None:
    """The consumer of an agent that has hung up, and plays on what it hears all the same."""


class _Gateway:
    """Runs functions and coroutines on the gateway's loop for another thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def tell(self, function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Have it called soon."""
        self._submit(lambda: function(*args, **kwargs))

    def ask(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Have it called and block for its answer."""
        answer: concurrent.futures.Future[T] = concurrent.futures.Future()
        self._submit(lambda: _answer(answer, lambda: function(*args, **kwargs)))
        try:
            return answer.result(ANSWER_DEADLINE_S)
        except TimeoutError as error:
            if not answer.cancel():  # it is being answered at this moment
                return answer.result()
            raise CallEndedError("the gateway does not answer: it is shutting down") from error

    def play(self, play: Callable[P, bool], *args: P.args, **kwargs: P.kwargs) -> bool:
        """Have audio queued and block for the answer; a refusal takes a moment.

        An agent that floods on would otherwise keep the gateway's loop busy with nothing but refusals.
        """
        try:
            accepted = self.ask(play, *args, **kwargs)
        except PlayoutFullError:
            time.sleep(REFUSAL_S)
            raise
        if not accepted:
            time.sleep(REFUSAL_S)
        return accepted

    async def say(
        self,
        try_say: Callable[P, bool | None],
        say: Callable[P, Coroutine[Any, Any, bool]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> bool:
        """Have audio queued and wait for room, with a task on the gateway's loop only if it has to be waited for."""
        accepted = await self.ask_softly(try_say, *args, **kwargs)
        if accepted is None:
            return await self.run(say(*args, **kwargs))
        if not accepted:
            await asyncio.sleep(REFUSED_S)
        return accepted

    async def ask_softly(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Have it called and wait for its answer."""
        answer: concurrent.futures.Future[T] = concurrent.futures.Future()
        self._submit(lambda: _answer(answer, lambda: function(*args, **kwargs)))
        return await asyncio.wrap_future(answer)

    async def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Have it run and wait for its end; cancellation cancels it there."""
        try:
            future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        except RuntimeError as error:
            coroutine.close()
            raise CallEndedError("the gateway has ended") from error
        return await asyncio.wrap_future(future)

    def _submit(self, function: Callable[[], object]) -> None:
        try:
            self._loop.call_soon_threadsafe(function)
        except RuntimeError as error:
            raise CallEndedError("the gateway has ended") from error


def _answer(answer: concurrent.futures.Future[T], function: Callable[[], T]) -> None:
    if not answer.set_running_or_notify_cancel():
        return
    try:
        answer.set_result(function())
    except Exception as error:  # noqa: BLE001 - it belongs to the thread that asked
        answer.set_exception(error)


class ThreadUtterance:
    """`media.conversation.utterance.Utterance` from another thread."""

    __slots__ = ("_gateway", "_utterance")

    def __init__(self, utterance: Utterance, gateway: _Gateway) -> None:
        self._utterance = utterance
        self._gateway = gateway

    @property
    def interrupted(self) -> bool:
        """Whether an interruption or `stop` came after that to which it answers."""
        return self._utterance.interrupted

    @property
    def heard_ms(self) -> int:
        """How much of it was heard."""
        return self._gateway.ask(lambda: self._utterance.heard_ms)

    def play(self, pcm: Pcm, mark: str | None = None) -> bool:
        """As `Utterance.play`."""
        return self._gateway.play(self._utterance.play, pcm, mark)

    async def say(self, pcm: Pcm, mark: str | None = None) -> bool:
        """As `Utterance.say`."""
        return await self._gateway.say(self._utterance.try_say, self._utterance.say, pcm, mark)

    async def speak(self, speech: Pcm | Iterable[Pcm] | AsyncIterable[Pcm], *, keys: bool = False) -> Spoken:
        """As `Utterance.speak`."""
        return await speak(self, speech, keys=keys)

    async def until_cut(self) -> None:
        """Wait until it is interrupted, or the call is over."""
        await self._gateway.run(self._utterance.until_cut())

    async def said(self) -> int:
        """As `Utterance.said`."""
        return await self._gateway.run(self._utterance.said())

    def count_keyed(self, change: int) -> None:
        """As `Utterance.count_keyed`."""
        self._gateway.tell(self._utterance.count_keyed, change)


class ThreadCall:
    """A `Conversation` from another thread; plain calls block until the gateway has answered."""

    __slots__ = ("_belonging", "_call", "_gateway", "_lanes", "info", "rate_hz")

    def __init__(self, call: Conversation, lanes: ThreadLanes, gateway: asyncio.AbstractEventLoop) -> None:
        self._call = call
        self._lanes = lanes
        self._gateway = _Gateway(gateway)
        self._belonging = Belonging()
        self.rate_hz: int = call.rate_hz
        self.info: CallInfo = call.info
        lanes.consumer_failed = lambda error: self._gateway.tell(call.fail, error)

    @property
    def results(self) -> Mapping[str, str]:
        """As `Conversation.results`."""
        return self.info.results

    @property
    def over(self) -> bool:
        """As `Conversation.over`."""
        return self._call.over

    @property
    def epoch(self) -> int:
        """As `Conversation.epoch`."""
        return self._call.epoch

    @property
    def speaking(self) -> bool:
        """As `Conversation.speaking`."""
        return self._gateway.ask(lambda: self._call.speaking)

    @property
    def held(self) -> bool:
        """As `Conversation.held`."""
        return self._gateway.ask(lambda: self._call.held)

    @property
    def heard_ms(self) -> int:
        """As `Conversation.heard_ms`."""
        return self._gateway.ask(lambda: self._call.heard_ms)

    @property
    def queued_ms(self) -> int:
        """As `Conversation.queued_ms`."""
        return self._gateway.ask(lambda: self._call.queued_ms)

    @property
    def wait_ms(self) -> float:
        """As `Conversation.wait_ms`."""
        return self._gateway.ask(lambda: self._call.wait_ms)

    def on_audio(self, consumer: Callable[[Pcm], object] | None) -> None:
        """As `Conversation.on_audio`, on the agent's loop."""
        self._lanes.take_by(consumer)

    def hear(self) -> Stream[Pcm]:
        """As `Conversation.hear`."""
        return Stream(self._lanes.get_audio, self._lanes, self._belonging)

    def events(self) -> Stream[Event]:
        """As `Conversation.events`."""
        if not self._lanes.listening:
            self._gateway.tell(self._call.listen)
        return Stream(self._lanes.get, self._lanes, self._belonging)

    def next_event(
        self, *kinds: EventKind | type[Event], timeout_s: float | None = None
    ) -> Coroutine[Any, Any, Event | None]:
        """As `Conversation.next_event`."""
        return next_event(self.events().for_this_task(), kinds, timeout_s, self._lanes)

    def next_key(self, *, timeout_s: float | None = None) -> Coroutine[Any, Any, str | None]:
        """As `Conversation.next_key`."""
        return next_key(self.events().for_this_task(), timeout_s, self._lanes)

    def play(self, pcm: Pcm, mark: str | None = None) -> bool:
        """As `Conversation.play`."""
        return self._gateway.play(self._call.playout.play, pcm, mark, self._of_piece())

    def say(self, pcm: Pcm, mark: str | None = None) -> Coroutine[Any, Any, bool]:
        """As `Conversation.say`."""
        playout = self._call.playout
        return self._gateway.say(playout.try_say, playout.say, pcm, mark, self._of_piece())

    def _of_piece(self) -> int:
        return self._belonging.of_piece(self._call.epoch)

    async def said(self) -> int:
        """As `Conversation.said`."""
        return await self._gateway.run(self._call.said())

    def speak(
        self, speech: Pcm | Iterable[Pcm] | AsyncIterable[Pcm], *, keys: bool = False
    ) -> Coroutine[Any, Any, Spoken]:
        """As `Conversation.speak`."""
        return speak(self.utterance(), speech, keys=keys)

    def utterance(self, epoch: int | None = None) -> ThreadUtterance:
        """As `Conversation.utterance`."""
        if epoch is None:
            epoch = self._belonging.of_answer(self._call.epoch)
        return ThreadUtterance(self._gateway.ask(self._call.utterance, epoch), self._gateway)

    def stop(self) -> int:
        """As `Conversation.stop`."""
        cut = self._gateway.ask(self._call.cut)
        self._belonging.has_stopped(self._call.epoch)
        return cut.heard_ms

    def confirm_interruption(self) -> bool:
        """As `Conversation.confirm_interruption`."""
        if not self._gateway.ask(self._call.confirm):
            return False
        self._belonging.has_stopped(self._call.epoch)
        return True

    def reject_interruption(self) -> bool:
        """As `Conversation.reject_interruption`."""
        return self._gateway.ask(self._call.reject_interruption)

    async def until_over(self) -> None:
        """As `Conversation.until_over`."""
        await self._gateway.run(self._call.until_over())

    def hang_up(self) -> None:
        """As `Conversation.hang_up`."""
        self._gateway.ask(self._call.hang_up)
