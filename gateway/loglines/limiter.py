"""Rate limits for each kind of log line: a flood of one kind is dropped and counted, and does not hide other kinds."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

KIND_BURST, KIND_PER_S = 200.0, 10.0
TOTAL_BURST, TOTAL_PER_S = 1000.0, 100.0
"""Below journald's own limit for a service (10,000 lines in 30 s), beyond which it drops lines of any kind."""
SELDOM_S = 1.0
"""A kind of which no line was written for so many seconds may use more than the total budget."""
KINDS_MAX = 256
IDLE_S = 60.0
OTHERS = "(others)"


class _Bucket:
    """A token bucket."""

    __slots__ = ("_burst", "_per_s", "_tokens", "seen_s")

    def __init__(self, burst: float, per_s: float, now_s: float) -> None:
        self._burst, self._per_s = burst, per_s
        self._tokens = burst
        self.seen_s = now_s

    def fill(self, now_s: float) -> bool:
        """Add the tokens for the time since the last call; returns whether there is one to take."""
        self._tokens = min(self._burst, self._tokens + (now_s - self.seen_s) * self._per_s)
        self.seen_s = now_s
        return self._tokens >= 1.0

    def take(self) -> None:
        self._tokens = max(self._tokens - 1.0, 0.0)


class _Kind(_Bucket):
    __slots__ = ("said_s",)

    def __init__(self, now_s: float) -> None:
        super().__init__(KIND_BURST, KIND_PER_S, now_s)
        self.said_s = now_s - SELDOM_S


class Limiter:
    """Decides whether a line may be written. For any thread.

    Each kind of line has a budget, and all kinds have a total budget. A kind with at most one line per second always
    stays within its own budget, and does not depend on the total one.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        # Reentrant: garbage collection may log while this thread holds the lock.
        self._lock = threading.RLock()
        self._kinds: dict[str, _Kind] = {}
        self._total = _Bucket(TOTAL_BURST, TOTAL_PER_S, now_s())
        self._dropped: Counter[str] = Counter()

    def admits(self, name: str) -> bool:
        """Whether a line of this kind may be written now; if not, it is counted."""
        with self._lock:
            now_s = self._now_s()
            name, kind = self._kind(name, now_s)
            seldom = now_s - kind.said_s >= SELDOM_S
            if kind.fill(now_s) and (self._total.fill(now_s) or seldom):
                kind.said_s = now_s
                kind.take()
                self._total.take()
                return True
            self._dropped[name] += 1
            return False

    @property
    def dropped(self) -> bool:
        """Whether lines were dropped since the last `take_dropped`."""
        return bool(self._dropped)

    def take_dropped(self) -> dict[str, int]:
        """Return how many lines of each kind were dropped since the last call, and reset the counts."""
        with self._lock:
            taken, self._dropped = self._dropped, Counter()
        return dict(taken)

    def give_back(self, dropped: Mapping[str, int]) -> None:
        """Put back what `take_dropped` returned, if it could not be written."""
        with self._lock:
            self._dropped.update(dropped)

    def after_fork(self) -> None:
        """In a child process: replace the lock, since a thread that does not exist here may hold it."""
        self._lock = threading.RLock()

    def _kind(self, name: str, now_s: float) -> tuple[str, _Kind]:
        kind = self._kinds.get(name)
        if kind is not None:
            return name, kind
        if len(self._kinds) >= KINDS_MAX:
            for idle in [known for known, one in self._kinds.items() if now_s - one.seen_s >= IDLE_S]:
                del self._kinds[idle]
        if len(self._kinds) >= KINDS_MAX:
            name = OTHERS
        return name, self._kinds.setdefault(name, _Kind(now_s))
