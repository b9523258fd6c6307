"""Runs a user's agent in its own thread and event loop."""

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
    """`gateway.agents.runner.AgentRun` of an agent in its own thread."""

    def __init__(self, spec: AgentSpec, call_id: str) -> None:
        self._thread = _AgentThread(spec, call_id)

    async def prepare(self) -> None:
        """See `AgentRun.prepare`."""
        self._thread.start()
        await self._follow(self._thread.prepared)

    async def talk(self, call: Conversation) -> Outcome:
        """See `AgentRun.talk`."""
        self._thread.take(call)
        return await self._follow(self._thread.returned)

    def discard(self) -> None:
        """See `AgentRun.discard`."""
        self._thread.discard()

    async def _follow(self, part: asyncio.Future[T]) -> T:
        """Wait for a part of its work. Cancellation cancels the agent, and waits for the end of its thread."""
        try:
            return await asyncio.shield(part)
        except asyncio.CancelledError:
            self._thread.cancel()
            await asyncio.shield(self._thread.ended)
            raise


class _AgentThread:
    """The thread of one agent. It is a daemon, so a blocked thread does not prevent the gateway's exit.

    The thread may still run after the agent has returned, for a function that the agent gave to `asyncio.to_thread` and
    did not wait for. The call does not wait for that either; after `cancel_deadline_s` the run counts as abandoned.
    """

    def __init__(self, spec: AgentSpec, call_id: str) -> None:
        self._spec = spec
        self._call_id = call_id
        self._gateway = asyncio.get_running_loop()
        self.prepared: asyncio.Future[None] = self._gateway.create_future()
        """Done when the agent is ready for the call; has the error if the agent failed before."""
        self.returned: asyncio.Future[Outcome] = self._gateway.create_future()
        """Done when the agent has returned; has its outcome or its error."""
        self.ended: asyncio.Future[None] = self._gateway.create_future()
        """Done when the thread has ended."""
        self._deadline: asyncio.TimerHandle | None = None
        self._started = False
        self._call: ThreadCall | None = None
        self._given: asyncio.Event | None = None
        """Set, on the agent's loop, when the agent gets the call."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._lock = threading.Lock()
        self._cancelled = False

    def start(self) -> None:
        """Start the thread; on the gateway's thread, in the context for the agent's log lines."""
        self._started = True
        context = contextvars.copy_context()  # with the keys that are bound to the agent's log lines
        threading.Thread(target=context.run, args=(self._main,), name=f"agent:{self._spec.name}", daemon=True).start()

    def take(self, call: Conversation) -> None:
        """Give the agent the call; on the gateway's thread."""
        lanes = ThreadLanes()
        call.use_lanes(lanes)
        with self._lock:
            self._call = ThreadCall(call, lanes, self._gateway)
            loop, given = self._loop, self._given
        if not self._started:
            self.start()
        elif loop is not None and given is not None:
            with contextlib.suppress(RuntimeError):  # meanwhile its loop has closed: the agent has returned
                loop.call_soon_threadsafe(given.set)

    def discard(self) -> None:
        """Cancel the agent, unless it has had the call; do not wait for its end."""
        if self._started and self._call is None and not self.ended.done():
            self.cancel()
            self._deadline = self._gateway.call_later(self._spec.settings.cancel_deadline_s, self._on_deadline)

    def cancel(self) -> None:
        """Cancel the agent; on the gateway's thread. The code that calls this waits, or abandons the run."""
        self._forget_deadline()
        with self._lock:
            self._cancelled = True
            loop, task = self._loop, self._task
        if loop is not None and task is not None:
            with contextlib.suppress(RuntimeError):  # meanwhile its loop has closed: the agent is ending
                loop.call_soon_threadsafe(task.cancel)

    def _main(self) -> None:
        try:
            # With asyncio's own loop a frame costs 1.5 times as much: the loop wakes up for each frame.
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._run())
        except BaseException as error:  # noqa: BLE001 - the thread's edge: the loop could not be made or closed
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
        except BaseException as error:  # noqa: BLE001 - the agent's edge: any error is an error of the agent
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
        assert self._call is not None  # noqa: S101 - it is stored before the event is set
        return outcome_of(await agent.run(self._call))

    def _tell(self, function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        with contextlib.suppress(RuntimeError):  # the gateway's loop has closed: nothing waits for this
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
                        part.exception()  # retrieved, so that asyncio does not log it if it is not awaited
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
