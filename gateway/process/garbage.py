"""When Python looks for cyclic garbage.

A full collection holds the interpreter for 50 ms with 500 calls up, and every caller of an agent that speaks in real
time hears it. Our own calls leave no cycles behind when they end, so full collections wait until no call is up. Users'
agents may leave some, and a busy gateway always has calls: when memory, beside what live calls take, has grown by a
quarter, or 64 MB if that is more, since the last collection, one is made all the same. Young generations are collected
as always, within a millisecond.

What a collection frees is given back to the system, in some 5 ms. Otherwise the C library keeps most of it, the next
bound starts from there, and memory goes on to grow.
"""

from __future__ import annotations

import ctypes
import gc
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_QUIET_AFTER_CALLS = 100
_GROWN_BY = 0.25
_GROWN_BY_BYTES = 64 << 20
_CALL_BYTES = 150_000
"""What a live call takes, and is no garbage."""
_NEVER = 2**31 - 1
_STATM = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
"""Kept open: a gateway that has no descriptor left must end its calls as well as ever."""
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_libc = ctypes.CDLL("libc.so.6")


def own_memory_bytes() -> int:
    """What the process has in memory beside files (proc_pid_statm(5)): 20 µs."""
    _, resident, shared, *_ = os.pread(_STATM, 256, 0).split()
    return (int(resident) - int(shared)) * _PAGE_BYTES


class GarbagePolicy:
    """Collects fully when it is not heard, or when memory has grown. For the asyncio thread only."""

    def __init__(self, memory_bytes: Callable[[], int] = own_memory_bytes) -> None:
        self._memory_bytes = memory_bytes
        self._ended = 0
        self._bound_bytes = 0
        """A collection is due when so much memory is in use, beside what live calls take."""
        self._most_live = 0
        """Since the last collection: what ended calls took is not given back at once."""
        self._set_bound(live=0)

    def start(self) -> None:
        """Take over from the interpreter; what lives now is never looked at again."""
        gc.collect()
        gc.freeze()
        young, middle, _ = gc.get_threshold()
        gc.set_threshold(young, middle, _NEVER)
        self._set_bound(live=0)

    def on_call_ended(self, live: int) -> None:
        """A call has ended, and so many are up."""
        self._ended += 1
        self._most_live = max(self._most_live, live + 1)
        quiet = live == 0 and self._ended >= _QUIET_AFTER_CALLS
        if quiet or self._besides(self._most_live) >= self._bound_bytes:
            self._ended = 0
            gc.collect()
            _libc.malloc_trim(ctypes.c_size_t(0))
            self._set_bound(live)

    def _besides(self, calls: int) -> int:
        return self._memory_bytes() - calls * _CALL_BYTES

    def _set_bound(self, live: int) -> None:
        self._most_live = live
        memory_bytes = self._besides(live)
        self._bound_bytes = memory_bytes + max(round(memory_bytes * _GROWN_BY), _GROWN_BY_BYTES)
