"""A user's agent in a thread and event loop of its own."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable
from typing import ParamSpec

from gateway.agents.registry import AgentSpec
from gateway.agents.thread_call import ThreadCall, ThreadLanes
from media.conversation.conversation import Conversation
from media.conversation.events import contained

P = ParamSpec("P")


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
