"""How late the asyncio thread is. All calls share it: nothing on it may take longer than about 2 ms."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_EVERY_S = 0.25
_KEPT = 240
"""One minute."""


class LoopLag:
    """Measures with a timer how late timers are called."""

    def __init__(self, on_look: Callable[[float], None] = lambda _late_ms: None) -> None:
        """`on_look` gets each measurement, in ms."""
        self._on_look = on_look
        self._late_ms: deque[float] = deque(maxlen=_KEPT)
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Start measuring, on the running loop."""
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(_EVERY_S, self._on_timer, loop.time() + _EVERY_S)

    def stop(self) -> None:
        """Stop measuring."""
        if self._timer is not None:
            self._timer.cancel()

    def _on_timer(self, due_s: float) -> None:
        late_ms = (asyncio.get_running_loop().time() - due_s) * 1000
        self._late_ms.append(late_ms)
        self._on_look(late_ms)
        self.start()

    def worst_ms(self) -> float:
        """The longest delay of the last minute, in ms."""
        return round(max(self._late_ms, default=0.0), 1)
