"""Keeps messages that a backend sends before the call begins, within limits; they are read when it begins."""

from __future__ import annotations

MESSAGES_MAX = 1_000
BYTES_MAX = 1024 * 1024
"""About a minute and a half of mu-law in base64."""


class EarlyMessages:
    """The first messages; those beyond the limits are lost and counted."""

    def __init__(self) -> None:
        self.lost = 0
        self._kept: list[bytes] = []
        self._bytes = 0

    def keep(self, text: bytes) -> None:
        """Keep a message, if there is room."""
        if len(self._kept) >= MESSAGES_MAX or self._bytes + len(text) > BYTES_MAX:
            self.lost += 1
            return
        self._kept.append(text)
        self._bytes += len(text)

    def take(self) -> list[bytes]:
        """Return the kept messages in order, and forget them."""
        taken, self._kept, self._bytes = self._kept, [], 0
        return taken
