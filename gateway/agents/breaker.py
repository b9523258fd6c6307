"""Stops trying a backend that fails again and again, until a single call finds that it works. No I/O."""

from __future__ import annotations

from typing import Literal, TypeAlias

BreakerState: TypeAlias = Literal["closed", "open", "probing"]


class Breaker:
    """A circuit breaker. Times are seconds on any one clock.

    Closed, every call is tried. After `failures` calls in a row have failed it is open for `cool_down_s`, and no call
    is tried; then one is, as a probe. If that works it is closed, otherwise it is open again.
    """

    def __init__(self, failures: int, cool_down_s: float) -> None:
        self.failed_in_a_row = 0
        self._failures = failures
        self._cool_down_s = cool_down_s
        self._open_until_s: float | None = None
        self._probing = False

    @property
    def state(self) -> BreakerState:
        """`closed` while it is not known to fail."""
        if self._open_until_s is None:
            return "closed"
        return "probing" if self._probing else "open"

    def admits(self, now_s: float) -> bool:
        """Whether a call may try it; the probe is admitted once."""
        if self._open_until_s is None:
            return True
        if self._probing or now_s < self._open_until_s:
            return False
        self._probing = True
        return True

    def wait_s(self, now_s: float) -> float:
        """How long until the next probe; 0 if it is closed, or under way."""
        return 0.0 if self._open_until_s is None else max(0.0, self._open_until_s - now_s)

    def succeeded(self) -> None:
        """A call works."""
        self.failed_in_a_row = 0
        self._open_until_s = None
        self._probing = False

    def failed(self, now_s: float) -> None:
        """A call has failed."""
        self.failed_in_a_row += 1
        if self._probing or self.failed_in_a_row >= self._failures:
            self._open_until_s = now_s + self._cool_down_s
        self._probing = False

    def left(self) -> None:
        """A call ended before it was known whether it works: if it was the probe, the next call is."""
        self._probing = False
