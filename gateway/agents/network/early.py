"""Messages that a backend sends before its call has begun: kept, within limits, and read when it does."""

from __future__ import annotations

MESSAGES_MAX = 1_000
BYTES_MAX = 1024 * 1024
"""A minute and a half of mu-law in base64."""


class EarlyMessages:
    """The first ones; what exceeds the limits is lost, counted."""

    def __init__(self) -> None:
        self.lost = 0
        self._kept: list[bytes] = []
        self._bytes = 0

    def keep(self, text: bytes) -> None:
        """Keep a message."""
        if len(self._kept) >= MESSAGES_MAX or self._bytes + len(text) > BYTES_MAX:
            self.lost += 1
            return
        self._kept.append(text)
        self._bytes += len(text)

    def take(self) -> list[bytes]:
        """All that were kept, in order; none is kept any more."""
        taken, self._kept, self._bytes = self._kept, [], 0
        return taken
