"""Real-time priority for the threads that every call waits for: other programs must not make the sound stutter.

These are the engine's media clock, the receiving thread, the asyncio thread and the SIP thread. Niceness does not help:
with autogroups (sched(7)) it counts only within a session, and a backup in another session gets half of the machine.
The clock has priority 4 (`media/engine/clock.cpp`), the others have the lower ones. Agents' threads stay ordinary. A
thread that computes for a second without a pause becomes an ordinary one (`media/engine/realtime.hpp`): an agent in an
endless loop must not block the machine.
"""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import structlog

from media import _engine

_log = structlog.get_logger("gateway")

_RECEIVING, _ASYNCIO, _SIP = 3, 2, 1
_TASKS = Path("/proc/self/task")
_LOOK_S = 1.0


class RealTimeThreads:
    """Asks for real-time priority, and logs when it is refused or lost. For the asyncio thread only."""

    def __init__(self) -> None:
        self._realtime = _engine.RealTime()
        self._demotions = 0
        self._timer: asyncio.TimerHandle | None = None
        self._of_live_calls: list[int] = []
        self.granted = False
        """Whether the system has granted it."""

    @property
    def demoted(self) -> int:
        """How many threads are without their priority now, because they compute too much."""
        return self._realtime.demoted

    @property
    def saturated(self) -> bool:
        """Whether a thread that live calls need, receiving or asyncio, has no time left.

        The SIP thread does not count: strangers could saturate it, and so block a carrier's calls.
        """
        return any(self._realtime.is_demoted(thread) for thread in self._of_live_calls)

    def start(self) -> None:
        """Ask for real-time priority. Call it on the asyncio thread when the SIP endpoint runs."""
        wanted = [(threading.get_native_id(), _ASYNCIO), *((thread, _RECEIVING) for thread in _threads("media"))]
        self._of_live_calls = [thread for thread, _ in wanted]
        wanted += [(one.native_id, _SIP) for one in threading.enumerate() if one.name == "sip" and one.native_id]
        granted = [self._realtime.add(thread, priority) for thread, priority in wanted]
        self.granted = all(granted)
        if not self.granted:
            _log.info(
                "process.not_realtime",
                why="the system grants no real-time priority: sound may stutter while other programs compute; "
                "the unit needs LimitRTPRIO=20, as the shipped one has it, and a container must be able to grant it "
                "(in a shell, as root: ulimit -r 20)",
            )
        self._timer = asyncio.get_running_loop().call_later(_LOOK_S, self._look)

    def stop(self) -> None:
        """Stop reporting."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        demotions = self._realtime.demotions
        if demotions != self._demotions:
            self._demotions = demotions
            _log.warning(
                "process.lost_realtime",
                why="a thread of the gateway computed for a second without a pause, and has lost its priority until it "
                "pauses; look for an agent with `isolation: none` that computes or blocks, or for too many calls",
            )
        self._timer = asyncio.get_running_loop().call_later(_LOOK_S, self._look)


def _threads(name: str) -> list[int]:
    """The kernel ids of this process's threads with a name."""
    return [int(task.name) for task in _TASKS.iterdir() if (task / "comm").read_text().strip() == name]
