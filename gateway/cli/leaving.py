"""Runs the gateway's loop to its end, and ends the process even if agents still hold threads or tasks."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import structlog
import uvloop

from gateway.logs import Writer
from media import wav

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

_log = structlog.get_logger("gateway")

PATIENCE_S = 1.0
"""How long tasks, and then threads, that are left may take to end by themselves."""


def run_to_the_end(main: Coroutine[Any, Any, None], at_end: Callable[[], None]) -> None:
    """Run `main` on uvloop. If an agent still holds a thread or a task afterwards, call `at_end` and exit with 0.

    Python would wait for these for ever: a thread of `asyncio.to_thread` cannot be cancelled, and Python joins it at
    exit, even if a daemon thread of an agent started it.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        executor = ThreadPoolExecutor(thread_name_prefix="asyncio")
        runner.get_loop().set_default_executor(executor)
        runner.run(main)
        for one in (executor, wav.executor):
            one.shutdown(wait=False, cancel_futures=True)
        left = [*runner.run(_tasks_left()), *_threads_left()]
        if left:
            _log.warning("gateway.left_behind", held=left)
            at_end()
            os._exit(0)


async def _tasks_left() -> list[str]:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=PATIENCE_S)
    return [task.get_name() for task in tasks if not task.done()]


def _threads_left() -> list[str]:
    # Daemon threads too: an executor's threads are joined at exit, even when they are daemons because a daemon
    # thread started them.
    ours = (threading.main_thread(), *(one for one in threading.enumerate() if isinstance(one, Writer)))
    threads = [one for one in threading.enumerate() if one not in ours]
    deadline_s = time.monotonic() + PATIENCE_S
    for thread in threads:
        thread.join(max(0.0, deadline_s - time.monotonic()))
    return [thread.name for thread in threads if thread.is_alive()]
