"""When a session is left for another one, because the server has said that it will end it."""

from __future__ import annotations

import asyncio

LEAVING_S = 5.0
"""So long before the server ends a session another one follows, even if that cuts an answer off."""


class Leaving:
    """Of one call, through all of its sessions; inside a running loop."""

    def __init__(self) -> None:
        self.due: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when it is time for another session."""
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_announced(self) -> bool:
        """Whether the server has said that it will end the session: a pause is a good time to leave it."""
        return self._timer is not None

    def announce(self, left_s: float) -> None:
        """The server ends the session in so many seconds."""
        self.reset()
        self._timer = asyncio.get_running_loop().call_later(max(0.0, left_s - LEAVING_S), self.now)

    def now(self) -> None:
        """It is time."""
        if not self.due.done():
            self.due.set_result(None)

    def reset(self) -> None:
        """The session was left, or has ended."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.due.done():
            self.due = asyncio.get_running_loop().create_future()
