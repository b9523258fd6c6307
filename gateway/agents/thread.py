"""A user's agent in a thread and event loop of its own, and the call as seen from there."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import threading
import time
from collections.abc import AsyncIterable, Callable, Coroutine, Iterable
from typing import Any, ParamSpec, TypeVar

from gateway.agents.registry import AgentSpec
from media.conversation import Conversation
from media.events import CallEndedError, CallInfo, Event, contained
from media.lanes import Lanes
from media.leg import Pcm, PlayoutFullError
from media.listening import Stream, next_event
from media.utterance import Spoken, Utterance, speak

ANSWER_DEADLINE_S = 5.0
"""A gateway that does not answer a plain question for this long is on its way down."""

REFUSAL_S = 0.005
"""How long an agent blocks for audio that did not fit."""

P = ParamSpec("P")
T = TypeVar("T")


async def run_in_thread(spec: AgentSpec, call: Conversation) -> None:
    """Run the agent of this call until it returns; cancellation is handed on, and waits for the thread."""
    thread = _AgentThread(spec, call)
    try:
        await asyncio.shield(thread.returned)
    except asyncio.CancelledError:
        thread.cancel()
        await asyncio.shield(thread.ended)
        raise


class _AgentThread:
    """A daemon: a blocked one does not keep the gateway from ending.

    Its agent may have returned and its thread still be up, for a function that it has given to `asyncio.to_thread` and
    not waited for. Its caller does not wait for that either; after `cancel_deadline_s` it counts as abandoned.
    """

    def __init__(self, spec: AgentSpec, call: Conversation) -> None:
        self._spec = spec
        self._gateway = asyncio.get_running_loop()
        self.returned: asyncio.Future[None] = self._gateway.create_future()
        """Done, with its error, when the agent has returned."""
        self.ended: asyncio.Future[None] = self._gateway.create_future()
        """Done when nothing of it runs any more."""
        self._deadline: asyncio.TimerHandle | None = None
        self._lanes = ThreadLanes()
        call.use_lanes(self._lanes)
        self._call = ThreadCall(call, self._lanes, self._gateway)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._lock = threading.Lock()
        self._cancelled = False
        context = contextvars.copy_context()  # with what is bound to the agent's log lines
        threading.Thread(target=context.run, args=(self._main,), name=f"agent:{spec.name}", daemon=True).start()

    def cancel(self) -> None:
        """Cancel the agent; on the gateway's thread. Whoever cancels waits for the end, and counts it if none comes."""
        self._forget_deadline()
        with self._lock:
            self._cancelled = True
            loop, task = self._loop, self._task
        if loop is not None and task is not None:
            with contextlib.suppress(RuntimeError):  # its loop has closed meanwhile: it is ending
                loop.call_soon_threadsafe(task.cancel)

    def _main(self) -> None:
        try:
            asyncio.run(self._run())
        except BaseException as error:  # noqa: BLE001 - the thread's edge: no loop could be made, or not be ended
            self._tell(self._on_returned, error)
        self._tell(self._on_ended)

    async def _run(self) -> None:
        try:
            with self._lock:
                self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
                cancelled = self._cancelled
            if not cancelled:
                await self._spec.make().run(self._call)
        except BaseException as error:  # noqa: BLE001 - the agent's edge: whatever it is, it is the agent's fault
            self._tell(self._on_returned, error)
        else:
            self._tell(self._on_returned, None)

    def _tell(self, function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        with contextlib.suppress(RuntimeError):  # the gateway's loop has closed: nobody waits any more
            self._gateway.call_soon_threadsafe(lambda: function(*args, **kwargs))

    def _on_returned(self, error: BaseException | None) -> None:
        if self.returned.done():
            return
        if error is None or isinstance(error, asyncio.CancelledError):
            self.returned.set_result(None)
        else:
            self.returned.set_exception(contained(error))
            self.returned.exception()  # whoever no longer waits for it has heard enough
        if not self._cancelled:
            self._deadline = self._gateway.call_later(self._spec.settings.cancel_deadline_s, self._on_deadline)

    def _on_ended(self) -> None:
        self._forget_deadline()
        self.ended.set_result(None)

    def _on_deadline(self) -> None:
        self._deadline = None
        self._spec.abandon(self.ended, self._call.info.call_id)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


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

    def play(self, function: Callable[[Pcm, str | None], bool], pcm: Pcm, mark: str | None) -> bool:
        """Have audio queued and block for the answer; a refusal takes a moment.

        An agent that floods on would otherwise keep the gateway's loop busy with nothing but refusals.
        """
        try:
            return self.ask(function, pcm, mark)
        except PlayoutFullError:
            time.sleep(REFUSAL_S)
            raise

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
    """`media.utterance.Utterance` from another thread."""

    __slots__ = ("_gateway", "_utterance")

    def __init__(self, utterance: Utterance, gateway: _Gateway) -> None:
        self._utterance = utterance
        self._gateway = gateway

    @property
    def interrupted(self) -> bool:
        """Whether an interruption came after it was made."""
        return self._utterance.interrupted

    @property
    def heard_ms(self) -> int:
        """How much of it was heard."""
        return self._gateway.ask(lambda: self._utterance.heard_ms)

    def play(self, pcm: Pcm, mark: str | None = None) -> bool:
        """Queue audio; False once interrupted."""
        return self._gateway.play(self._utterance.play, pcm, mark)

    async def say(self, pcm: Pcm, mark: str | None = None) -> bool:
        """Queue audio of any length, waiting for room; False once interrupted."""
        accepted = await self._gateway.ask_softly(self._utterance.try_say, pcm, mark)
        return await self._gateway.run(self._utterance.say(pcm, mark)) if accepted is None else accepted

    async def until_cut(self) -> None:
        """Wait until it is interrupted, or the call is over."""
        await self._gateway.run(self._utterance.until_cut())

    async def said(self) -> int:
        """Wait until all of it was heard or dropped."""
        return await self._gateway.run(self._utterance.said())


class ThreadCall:
    """`media.conversation.Conversation` from another thread; plain calls block until the gateway has answered."""

    __slots__ = ("_call", "_gateway", "_lanes", "info", "rate_hz")

    def __init__(self, call: Conversation, lanes: ThreadLanes, gateway: asyncio.AbstractEventLoop) -> None:
        self._call = call
        self._lanes = lanes
        self._gateway = _Gateway(gateway)
        self.rate_hz: int = call.rate_hz
        self.info: CallInfo = call.info
        lanes.consumer_failed = lambda error: self._gateway.tell(call.fail, error)

    @property
    def heard_ms(self) -> int:
        """How much of the current utterance was heard."""
        return self._gateway.ask(lambda: self._call.heard_ms)

    @property
    def queued_ms(self) -> int:
        """How much audio waits to be played."""
        return self._gateway.ask(lambda: self._call.queued_ms)

    @property
    def wait_ms(self) -> float:
        """How long audio that is queued now waits for its first sample to be played, unless playout is paused."""
        return self._gateway.ask(lambda: self._call.wait_ms)

    def on_audio(self, consumer: Callable[[Pcm], object] | None) -> None:
        """Hear by a plain call for each frame, on the agent's loop; copy what you keep of it."""
        self._lanes.take_by(consumer)

    def hear(self) -> Stream[Pcm]:
        """The caller's voice, frame by frame."""
        return Stream(self._lanes.get_audio, self._take_note)

    def events(self) -> Stream[Event]:
        """Everything that happens; urgent events overtake audio."""
        if not self._lanes.listening:
            self._gateway.tell(self._call.listen)
        return Stream(self._lanes.get, self._take_note)

    async def next_event(self, *kinds: type[Event], timeout_s: float | None = None) -> Event | None:
        """The next event of these kinds, any but audio if none is named, `Hangup` at the end; None when none came."""
        return await next_event(self.events(), kinds, timeout_s)

    def _take_note(self) -> None:
        if self._call.notice:
            self._gateway.tell(self._call.take_note)

    def play(self, pcm: Pcm, mark: str | None = None) -> bool:
        """Queue audio at once or not at all."""
        return self._gateway.play(self._call.play, pcm, mark)

    async def say(self, pcm: Pcm, mark: str | None = None) -> bool:
        """Queue audio of any length, waiting for room."""
        accepted = await self._gateway.ask_softly(self._call.try_say, pcm, mark)
        return await self._gateway.run(self._call.say(pcm, mark)) if accepted is None else accepted

    async def said(self) -> int:
        """Wait until everything queued was heard or dropped."""
        return await self._gateway.run(self._call.said())

    async def speak(self, speech: Pcm | Iterable[Pcm] | AsyncIterable[Pcm]) -> Spoken:
        """Say all of it as one utterance and wait until it was heard or interrupted."""
        return await speak(self.utterance(), speech)

    def utterance(self) -> ThreadUtterance:
        """A new answer, that an interruption from now on silences for good."""
        return ThreadUtterance(self._gateway.ask(self._call.utterance), self._gateway)

    def stop(self) -> int:
        """Drop what is queued, at once."""
        return self._gateway.ask(self._call.stop)

    def confirm_interruption(self) -> bool:
        """What holds the agent's voice is an interruption."""
        return self._gateway.ask(self._call.confirm_interruption)

    def reject_interruption(self) -> bool:
        """What holds the agent's voice is none."""
        return self._gateway.ask(self._call.reject_interruption)

    async def until_over(self) -> None:
        """Wait for the end of the call; who has begun and waits here has not stalled."""
        await self._gateway.run(self._call.until_over())

    def hang_up(self) -> None:
        """End the call once all that was said so far was heard; from now on nothing more can be said."""
        self._gateway.ask(self._call.hang_up)
