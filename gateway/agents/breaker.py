"""A circuit breaker: stops using a backend that fails repeatedly, until a probe call finds that it works. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

BreakerState: TypeAlias = Literal["closed", "open", "probing"]


@dataclass(frozen=True, slots=True, eq=False)
class Attempt:
    """One call that tries the backend."""

    is_probe: bool


class Breaker:
    """A circuit breaker. Times are seconds on any one clock.

    While it is closed, every call tries the backend. After `failures` failed calls in a row it is open for
    `cool_down_s`, and no call tries the backend. Then one call does, as a probe. If the probe works, the breaker is
    closed, otherwise it is open again. Only the probe can close it: calls that began before it opened do not show
    that the backend works now.
    """

    def __init__(self, failures: int, cool_down_s: float) -> None:
        self.failed_in_a_row = 0
        self._failures = failures
        self._cool_down_s = cool_down_s
        self._open_until_s: float | None = None
        self._probe: Attempt | None = None

    @property
    def state(self) -> BreakerState:
        """`closed` while the backend is not known to fail."""
        if self._open_until_s is None:
            return "closed"
        return "open" if self._probe is None else "probing"

    def begin(self, now_s: float) -> Attempt | None:
        """A call wants to try the backend; returns None if it must not."""
        if self._open_until_s is None:
            return Attempt(is_probe=False)
        if self._probe is not None or now_s < self._open_until_s:
            return None
        self._probe = Attempt(is_probe=True)
        return self._probe

    def wait_s(self, now_s: float) -> float:
        """How long until the next probe is allowed; 0 if the breaker is closed, or the probe is running."""
        return 0.0 if self._open_until_s is None else max(0.0, self._open_until_s - now_s)

    def succeeded(self, attempt: Attempt) -> None:
        """The backend worked in this attempt."""
        if attempt is self._probe:
            self._probe = self._open_until_s = None
        if self._open_until_s is None:
            self.failed_in_a_row = 0

    def failed(self, attempt: Attempt, now_s: float) -> bool:
        """The backend failed in this attempt. Returns whether this opened the breaker."""
        if self._open_until_s is not None and attempt is not self._probe:
            return False
        self.failed_in_a_row += 1
        opens = attempt is self._probe or self.failed_in_a_row >= self._failures
        if opens:
            self._probe, self._open_until_s = None, now_s + self._cool_down_s
        return opens

    def left(self, attempt: Attempt) -> None:
        """The call ended without showing whether the backend works. If it was the probe, the next call is one."""
        if attempt is self._probe:
            self._probe = None
