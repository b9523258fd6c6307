"""Decides when to replace a session that the server has announced to end."""

from __future__ import annotations

import asyncio

LEAVING_S = 5.0
"""The session is replaced at the latest this long before the server ends it, even if this cuts an answer off."""


class Leaving:
    """Used for all sessions of one call; inside a running loop."""

    def __init__(self) -> None:
        self.due: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the session must be replaced."""
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_announced(self) -> bool:
        """Whether the server has announced the end of the session: the next pause is a good time to replace it."""
        return self._timer is not None

    def announce(self, left_s: float) -> None:
        """The server has announced that it will end the session in `left_s` seconds."""
        self.reset()
        self._timer = asyncio.get_running_loop().call_later(max(0.0, left_s - LEAVING_S), self.now)

    def now(self) -> None:
        """Replace the session now."""
        if not self.due.done():
            self.due.set_result(None)

    def reset(self) -> None:
        """The session was replaced, or has ended."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.due.done():
            self.due = asyncio.get_running_loop().create_future()
