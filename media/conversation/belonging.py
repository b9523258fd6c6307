"""Which epoch an agent's speech belongs to: what was meant for before an interruption must not be heard after it."""

from __future__ import annotations

import asyncio
import weakref
from contextvars import ContextVar
from typing import Any

AnyTask = asyncio.Task[Any]

_heard: ContextVar[tuple[Belonging, int] | None] = ContextVar("offhook_heard", default=None)
"""What the task had heard last; a task that it starts inherits it as of then, and keeps it."""


class Belonging:
    """Tells for which epoch each task of one call's agent speaks.

    An epoch ends with each interruption and each `stop`; they are counted. A task that listens speaks for the epoch of
    what it has taken last, and so does each task that it starts, for the epoch of then. A task that does not
    listen begins an answer in the epoch in which it does so, and its pieces belong to that one.

    For the agent's thread only.
    """

    __slots__ = ("__weakref__", "_answered", "_answered_by_callbacks", "_heard")

    def __init__(self) -> None:
        self._heard: weakref.WeakKeyDictionary[AnyTask, int] = weakref.WeakKeyDictionary()
        """Of tasks for which another task took something, such as the one that `asyncio.wait_for` makes."""
        self._answered: weakref.WeakKeyDictionary[AnyTask, int] = weakref.WeakKeyDictionary()
        """When those that do not listen began the answer that they say in pieces."""
        self._answered_by_callbacks: int | None = None

    def has_heard(self, epoch: int, listener: AnyTask | None) -> None:
        """The current task has taken something of this epoch, for `listener` if that is another one."""
        known = _heard.get()
        if known is None or known[0] is not self or known[1] < epoch:
            _heard.set((self, epoch))
        if listener is not None and listener is not current_task():
            self._heard[listener] = epoch

    def catch_up(self) -> None:
        """Let the tasks that the current one starts inherit what others have taken for it."""
        if self._heard:
            heard = self._heard_by(current_task())
            if heard is not None:
                self.has_heard(heard, None)

    def of_answer(self, now: int) -> int:
        """The epoch of an answer that the current task begins; `now` is the current epoch."""
        task = current_task()
        heard = self._heard_by(task)
        if heard is not None:
            return heard
        self._begin(task, now)
        return now

    def of_piece(self, now: int) -> int:
        """The epoch of a piece of an answer that the current task says."""
        task = current_task()
        heard = self._heard_by(task)
        if heard is not None:
            return heard
        answered = self._answered_by_callbacks if task is None else self._answered.get(task)
        if answered is None:
            self._begin(task, now)
            return now
        return answered

    def has_stopped(self, now: int) -> None:
        """The current task has ended an epoch; `now` is the new one. If it knew the old one, it knows this one."""
        task = current_task()
        heard = self._heard_by(task)
        if heard is None:
            self._begin(task, now)
        elif heard == now - 1:
            self.has_heard(now, None)

    def _heard_by(self, task: AnyTask | None) -> int | None:
        known = _heard.get()
        heard = known[1] if known is not None and known[0] is self else None
        if task is None or not self._heard:
            return heard
        by_others = self._heard.get(task)
        return heard if by_others is None else max(by_others, heard or 0)

    def _begin(self, task: AnyTask | None, now: int) -> None:
        if task is None:
            self._answered_by_callbacks = now
        else:
            self._answered[task] = now


def current_task() -> AnyTask | None:
    """The task that runs; None in a callback, and in a thread without a loop, such as `asyncio.to_thread`'s."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
