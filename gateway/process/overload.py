"""Whether the gateway keeps up with its calls: measured four times per second, checked for each new call."""

from __future__ import annotations

from collections import deque

import structlog

_log = structlog.get_logger("gateway")

LATE_MS = 40.0
"""Two frames: with a longer delay, callers hear that an agent that answers in real time stutters."""
_LOOKS = 8
"""The measurements of the last two seconds: a machine that stops once for a moment is not overloaded."""
_BAD_LOOKS = 4
_GOOD_LOOKS = 20
"""Good measurements in a row until calls are accepted again: five seconds, so that it does not change with every call
that ends."""


class Overload:
    """Protects live calls: while this is `active`, new calls are refused."""

    def __init__(self) -> None:
        self._bad: deque[bool] = deque(maxlen=_LOOKS)
        self._good_looks = 0
        self.active = False

    def observe(self, late_ms: float, *, saturated: bool) -> None:
        """Note one measurement.

        Args:
            late_ms: how late the asyncio thread was.
            saturated: whether a thread that live calls need has no time left (`RealTimeThreads.saturated`).
        """
        bad = saturated or late_ms > LATE_MS
        self._bad.append(bad)
        self._good_looks = 0 if bad else self._good_looks + 1
        if not self.active and sum(self._bad) >= _BAD_LOOKS:
            self.active = True
            _log.warning(
                "gateway.overloaded",
                late_ms=round(late_ms, 1),
                saturated=saturated,
                why="the gateway does not keep up with its calls, and refuses new calls (503) until it does; lower "
                "limits.calls, or look for agents that compute on the gateway's own thread (isolation: none)",
            )
        elif self.active and self._good_looks >= _GOOD_LOOKS:
            self.active = False
            _log.info("gateway.keeps_up")
