"""Collects keys: a number that the caller types in one go is reported as a whole."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

PAUSE_S = 1.5
"""A number is complete after a pause of this length, or after #."""
KEYS_MAX = 64
"""A number is also complete with this many keys."""


class Keypad:
    """Collects the keys of one call, inside a running loop."""

    def __init__(self, on_number: Callable[[str], object]) -> None:
        """`on_number` is called with the typed keys, including a # at the end."""
        self._on_number = on_number
        self._typed = ""
        self._timer: asyncio.TimerHandle | None = None

    def press(self, digit: str) -> None:
        """Add a key that the caller pressed."""
        self._stop()
        self._typed += digit
        is_whole = digit == "#" or len(self._typed) >= KEYS_MAX
        self._timer = asyncio.get_running_loop().call_later(0.0 if is_whole else PAUSE_S, self._complete)

    def _complete(self) -> None:
        typed, self._typed = self._typed, ""
        self._on_number(typed)

    def close(self) -> None:
        """Report nothing from now on."""
        self._stop()
        self._on_number = _ignore

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


def _ignore(_number: str) -> None:
    """Used when the call is over."""
