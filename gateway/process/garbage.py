"""Decides when Python looks for cyclic garbage.

A full collection stops the interpreter for 50 ms with 500 live calls, and every caller of an agent that speaks in real
time hears it. Our own calls leave no cycles behind when they end, so full collections wait until no call is live.
Users' agents may leave cycles, and a busy gateway always has calls. So a collection also runs during calls, when memory
without that of live calls has grown by a quarter since the last collection, or by 64 MB if that is more. Young
generations are collected as usual, within a millisecond.

Memory that a collection frees is returned to the system, which takes about 5 ms. Otherwise the C library keeps most of
it, the next bound is computed from this larger value, and memory grows further.
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
"""Memory of a live call, which is not garbage."""
_NEVER = 2**31 - 1
_STATM = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
"""Kept open: a gateway without free descriptors must still be able to end calls."""
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_libc = ctypes.CDLL("libc.so.6")


def own_memory_bytes() -> int:
    """The memory of the process without mapped files (proc_pid_statm(5)). Takes 20 µs."""
    _, resident, shared, *_ = os.pread(_STATM, 256, 0).split()
    return (int(resident) - int(shared)) * _PAGE_BYTES


class GarbagePolicy:
    """Runs a full collection when nobody hears it, or when memory has grown. For the asyncio thread only."""

    def __init__(self, memory_bytes: Callable[[], int] = own_memory_bytes) -> None:
        self._memory_bytes = memory_bytes
        self._ended = 0
        self._bound_bytes = 0
        """A collection is due when this much memory is in use, without that of live calls."""
        self._most_live = 0
        """The most live calls since the last collection: the memory of ended calls is not returned at once."""
        self._set_bound(live=0)

    def start(self) -> None:
        """Take over from the interpreter; objects that exist now are never examined again."""
        gc.collect()
        gc.freeze()
        young, middle, _ = gc.get_threshold()
        gc.set_threshold(young, middle, _NEVER)
        self._set_bound(live=0)

    def on_call_ended(self, live: int) -> None:
        """A call has ended, and `live` calls are left."""
        self._ended += 1
        self._most_live = max(self._most_live, live + 1)
        quiet = live == 0 and self._ended >= _QUIET_AFTER_CALLS
        if quiet or self._without_calls(self._most_live) >= self._bound_bytes:
            self._ended = 0
            gc.collect()
            _libc.malloc_trim(ctypes.c_size_t(0))
            self._set_bound(live)

    def _without_calls(self, calls: int) -> int:
        return self._memory_bytes() - calls * _CALL_BYTES

    def _set_bound(self, live: int) -> None:
        self._most_live = live
        memory_bytes = self._without_calls(live)
        self._bound_bytes = memory_bytes + max(round(memory_bytes * _GROWN_BY), _GROWN_BY_BYTES)
