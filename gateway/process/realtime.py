"""Real-time priority for the threads that every call waits for: other programs must not make the sound stutter.

These are the engine's media clock, the receiving thread, asyncio's thread and SIP's. Niceness does not help: with
autogroups (sched(7)) it counts only within a session, and a backup in another session gets half of the machine. The
clock has priority 4 (`media/engine/clock.cpp`), the others have those below. Agents' threads stay ordinary. A thread
that computes for a second without a pause becomes an ordinary one (`media/engine/realtime.hpp`): an agent that loops
must not take the machine with it.
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
    """Asks the system for real time, and reports in the log when it is refused or lost. For the asyncio thread only."""

    def __init__(self) -> None:
        self._realtime = _engine.RealTime()
        self._demotions = 0
        self._timer: asyncio.TimerHandle | None = None
        self._of_live_calls: list[int] = []
        self.granted = False
        """Whether the system permits it."""

    @property
    def demoted(self) -> int:
        """How many threads compute too much to keep their priority, now."""
        return self._realtime.demoted

    @property
    def saturated(self) -> bool:
        """Whether a thread that live calls need has no time left: receiving or asyncio.

        SIP's does not count: strangers could saturate it, and so keep a carrier's calls out.
        """
        return any(self._realtime.is_demoted(thread) for thread in self._of_live_calls)

    def start(self) -> None:
        """Ask for it, on asyncio's own thread, once the SIP endpoint runs."""
        wanted = [(threading.get_native_id(), _ASYNCIO), *((thread, _RECEIVING) for thread in _threads("media"))]
        self._of_live_calls = [thread for thread, _ in wanted]
        wanted += [(one.native_id, _SIP) for one in threading.enumerate() if one.name == "sip" and one.native_id]
        granted = [self._realtime.add(thread, priority) for thread, priority in wanted]
        self.granted = all(granted)
        if not self.granted:
            _log.info(
                "process.not_realtime",
                why="the system grants no real-time priority: while other programs compute, sound may stutter; "
                "set LimitRTPRIO=20 in the unit (in a shell, as root: ulimit -r 20)",
            )
        self._timer = asyncio.get_running_loop().call_later(_LOOK_S, self._look)

    def stop(self) -> None:
        """Report nothing more."""
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
    """The kernel ids of this process's threads of a name."""
    return [int(task.name) for task in _TASKS.iterdir() if (task / "comm").read_text().strip() == name]
