"""A user's agent in a thread and event loop of its own."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import uvloop

from gateway.agents.agent import CanBeDiscarded
from gateway.agents.outcome import DONE, Outcome, outcome_of
from gateway.agents.ready import ready
from gateway.agents.registry import AgentSpec
from gateway.agents.thread_call import ThreadCall, ThreadLanes
from media.conversation.conversation import Conversation
from media.conversation.events import contained

P = ParamSpec("P")
T = TypeVar("T")


class ThreadRun:
    """`gateway.agents.runner.AgentRun` of an agent with a thread of its own, from its `prepare` on."""

    def __init__(self, spec: AgentSpec, call_id: str) -> None:
        self._thread = _AgentThread(spec, call_id)

    async def prepare(self) -> None:
        """As `AgentRun.prepare`."""
        self._thread.start()
        await self._follow(self._thread.prepared)

    async def talk(self, call: Conversation) -> Outcome:
        """As `AgentRun.talk`."""
        self._thread.take(call)
        return await self._follow(self._thread.returned)

    def discard(self) -> None:
        """As `AgentRun.discard`."""
        self._thread.discard()

    async def _follow(self, part: asyncio.Future[T]) -> T:
        """Wait for a part of its work; cancellation is handed on, and waits for the thread."""
        try:
            return await asyncio.shield(part)
        except asyncio.CancelledError:
            self._thread.cancel()
            await asyncio.shield(self._thread.ended)
            raise


class _AgentThread:
    """A daemon: a blocked one does not keep the gateway from ending.

    Its agent may have returned and its thread still be up, for a function that it has given to `asyncio.to_thread` and
    not waited for. Its caller does not wait for that either; after `cancel_deadline_s` it counts as abandoned.
    """

    def __init__(self, spec: AgentSpec, call_id: str) -> None:
        self._spec = spec
        self._call_id = call_id
        self._gateway = asyncio.get_running_loop()
        self.prepared: asyncio.Future[None] = self._gateway.create_future()
        """Done, with its error, when the agent is ready for the call."""
        self.returned: asyncio.Future[Outcome] = self._gateway.create_future()
        """Done, with its error, when the agent has returned."""
        self.ended: asyncio.Future[None] = self._gateway.create_future()
        """Done when nothing of it runs any more."""
        self._deadline: asyncio.TimerHandle | None = None
        self._started = False
        self._call: ThreadCall | None = None
        self._given: asyncio.Event | None = None
        """Set, on the agent's loop, when there is a call."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._lock = threading.Lock()
        self._cancelled = False

    def start(self) -> None:
        """Begin; on the gateway's thread, in the context that the agent's log lines shall have."""
        self._started = True
        context = contextvars.copy_context()  # with what is bound to the agent's log lines
        threading.Thread(target=context.run, args=(self._main,), name=f"agent:{self._spec.name}", daemon=True).start()

    def take(self, call: Conversation) -> None:
        """Give it the call; on the gateway's thread."""
        lanes = ThreadLanes()
        call.use_lanes(lanes)
        with self._lock:
            self._call = ThreadCall(call, lanes, self._gateway)
            loop, given = self._loop, self._given
        if not self._started:
            self.start()
        elif loop is not None and given is not None:
            with contextlib.suppress(RuntimeError):  # its loop has closed meanwhile: it has returned
                loop.call_soon_threadsafe(given.set)

    def discard(self) -> None:
        """End it, unless it has had the call; nobody waits for it."""
        if self._started and self._call is None and not self.ended.done():
            self.cancel()
            self._deadline = self._gateway.call_later(self._spec.settings.cancel_deadline_s, self._on_deadline)

    def cancel(self) -> None:
        """Cancel the agent; on the gateway's thread. The caller waits for the end, and counts it if none comes."""
        self._forget_deadline()
        with self._lock:
            self._cancelled = True
            loop, task = self._loop, self._task
        if loop is not None and task is not None:
            with contextlib.suppress(RuntimeError):  # its loop has closed meanwhile: it is ending
                loop.call_soon_threadsafe(task.cancel)

    def _main(self) -> None:
        try:
            # With asyncio's own loop a frame costs half as much again: it is woken for each of them.
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._run())
        except BaseException as error:  # noqa: BLE001 - the thread's edge: no loop could be made, or not be ended
            self._tell(self._on_returned, error)
        self._tell(self._on_ended)

    async def _run(self) -> None:
        try:
            with self._lock:
                self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
                self._given = asyncio.Event()
                cancelled = self._cancelled
            if not cancelled:
                self._tell(self._on_returned, await self._work(self._given))
        except BaseException as error:  # noqa: BLE001 - the agent's edge: whatever it is, it is the agent's fault
            self._tell(self._on_returned, error)

    async def _work(self, given: asyncio.Event) -> Outcome:
        agent = self._spec.make()
        try:
            if self._spec.prepare_timeout_s is not None:
                await ready(agent)
                self._tell(self._on_prepared)
            if self._call is None:
                await given.wait()
        except BaseException:
            if isinstance(agent, CanBeDiscarded):
                agent.discard()
            raise
        assert self._call is not None  # noqa: S101 - whoever set the event gave it
        return outcome_of(await agent.run(self._call))

    def _tell(self, function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        with contextlib.suppress(RuntimeError):  # the gateway's loop has closed: nobody waits any more
            self._gateway.call_soon_threadsafe(lambda: function(*args, **kwargs))

    def _on_prepared(self) -> None:
        if not self.prepared.done():
            self.prepared.set_result(None)

    def _on_returned(self, ending: Outcome | BaseException) -> None:
        if self.returned.done():
            return
        match ending:
            case asyncio.CancelledError():
                self.prepared.cancel()
                self.returned.set_result(DONE)
            case BaseException():
                for part in (self.prepared, self.returned):
                    if not part.done():
                        part.set_exception(contained(ending))
                        part.exception()  # retrieved, so that asyncio does not log it if nobody waits
            case _:
                self.returned.set_result(ending)
        if not self._cancelled:
            self._deadline = self._gateway.call_later(self._spec.settings.cancel_deadline_s, self._on_deadline)

    def _on_ended(self) -> None:
        self._forget_deadline()
        self.ended.set_result(None)

    def _on_deadline(self) -> None:
        self._deadline = None
        self._spec.abandon(self.ended, self._call_id)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
