"""Finds the epoch that an agent's speech belongs to: speech from before an interruption must not be heard after it."""

from __future__ import annotations

import asyncio
import threading
import weakref
from contextvars import ContextVar
from typing import Any

AnyTask = asyncio.Task[Any]

_heard: ContextVar[tuple[Belonging, int] | None] = ContextVar("offhook_heard", default=None)
"""The epoch that the task took last. A task that it starts inherits the value of that moment, and keeps it."""

_answering: ContextVar[tuple[Belonging, int] | None] = ContextVar("offhook_answering", default=None)
"""The epoch in which a callback began its answer. Callbacks that it schedules inherit it, and go on with the answer."""


class Belonging:
    """Knows for which epoch each task of one call's agent speaks.

    Each interruption and each `stop` ends an epoch; epochs are numbered. A task that listens speaks for the epoch of
    the event or frame that it took last. A task that it starts keeps the epoch that the listener had at that moment. If
    a task does not listen, its answer belongs, with all its pieces, to the epoch in which the task begins the answer.

    For the agent's thread only.
    """

    __slots__ = ("__weakref__", "_answered", "_answered_by_others", "_heard")

    def __init__(self) -> None:
        self._heard: weakref.WeakKeyDictionary[AnyTask, int] = weakref.WeakKeyDictionary()
        """The epoch of tasks for which another task, such as one made by `asyncio.wait_for`, took something."""
        self._answered: weakref.WeakKeyDictionary[AnyTask | threading.Thread, int] = weakref.WeakKeyDictionary()
        """For tasks that do not listen: the epoch in which they began the answer that they say in pieces. The same for
        threads without a loop."""
        self._answered_by_others: int | None = None
        """The same for callbacks and threads that have begun no answer of their own."""

    def has_heard(self, epoch: int, listener: AnyTask | None) -> None:
        """Note that the current task took something of this epoch, for the task `listener` if that is another one."""
        known = _heard.get()
        if known is None or known[0] is not self or known[1] < epoch:
            _heard.set((self, epoch))
        if listener is not None and listener is not current_task():
            self._heard[listener] = epoch

    def catch_up(self) -> None:
        """Let tasks that the current task starts inherit the epoch of what other tasks took for it."""
        if self._heard:
            heard = self._heard_by(current_task())
            if heard is not None:
                self.has_heard(heard, None)

    def of_answer(self, now: int) -> int:
        """The epoch of an answer that the current task begins; `now` is the current epoch."""
        heard = self._heard_by(current_task())
        if heard is not None:
            return heard
        self._begin(_speaker(), now)
        return now

    def of_piece(self, now: int) -> int:
        """The epoch of a piece of the answer that the current task is saying."""
        task = current_task()
        heard = self._heard_by(task)
        if heard is not None:
            return heard
        speaker = _speaker()
        answered = self._answered_by_callbacks() if speaker is None else self._answered.get(speaker)
        if answered is None and task is None:
            answered = self._answered_by_others
        if answered is None:
            self._begin(task, now)
            return now
        return answered

    def has_stopped(self, now: int) -> None:
        """The current task ended an epoch. If it belonged to that epoch, it now belongs to the new one, `now`."""
        task = current_task()
        heard = self._heard_by(task)
        if heard is None:
            self._begin(_speaker(), now)
        elif heard == now - 1:
            self.has_heard(now, None)

    def _heard_by(self, task: AnyTask | None) -> int | None:
        known = _heard.get()
        heard = known[1] if known is not None and known[0] is self else None
        if task is None or not self._heard:
            return heard
        by_others = self._heard.get(task)
        return heard if by_others is None else max(by_others, heard or 0)

    def _answered_by_callbacks(self) -> int | None:
        known = _answering.get()
        return known[1] if known is not None and known[0] is self else None

    def _begin(self, speaker: AnyTask | threading.Thread | None, now: int) -> None:
        if speaker is None:
            self._answered_by_others = now
            _answering.set((self, now))
        else:
            self._answered[speaker] = now


def _speaker() -> AnyTask | threading.Thread | None:
    """The running task, or the thread if it has no loop; None in a callback."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return threading.current_thread()


def current_task() -> AnyTask | None:
    """The running task; None in a callback, and in a thread without a loop, such as a thread of `asyncio.to_thread`."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
