"""When Python looks for cyclic garbage.

A full collection holds the interpreter for 50 ms with 500 calls up, and every caller of an agent that speaks in real
time hears it. Calls leave no cycles behind when they end as they should, so full collections wait until no call is up;
only after very many calls without such a moment one is made all the same. Young generations are collected as always,
within a millisecond.
"""

from __future__ import annotations

import gc

_QUIET_AFTER_CALLS = 100
_AT_LAST_AFTER_CALLS = 20_000
_NEVER = 2**31 - 1


class GarbagePolicy:
    """Collects fully when it is not heard. For the asyncio thread only."""

    def __init__(self) -> None:
        self._ended = 0

    def start(self) -> None:
        """Take over from the interpreter; what lives now is never looked at again."""
        gc.collect()
        gc.freeze()
        young, middle, _ = gc.get_threshold()
        gc.set_threshold(young, middle, _NEVER)

    def on_call_ended(self, live: int) -> None:
        """A call has ended, and so many are up."""
        self._ended += 1
        if self._ended >= _AT_LAST_AFTER_CALLS or (live == 0 and self._ended >= _QUIET_AFTER_CALLS):
            self._ended = 0
            gc.collect()
