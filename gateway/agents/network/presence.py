"""Whether the gateway hears the caller too, for vendors that hear callers who do not speak. No I/O."""

from __future__ import annotations

PHANTOM_S = 0.6
"""The gateway must hear the caller within this before or after the vendor says so."""


class Presence:
    """The caller's voice as the gateway hears it, beside what the vendor says. Times are seconds on any one clock."""

    def __init__(self) -> None:
        self.unconfirmed = 0
        """How often the vendor has heard a caller whom the gateway has not."""
        self._speaks = False
        self._spoke_s = self._claimed_s = float("-inf")

    def began(self, now_s: float) -> bool:
        """The gateway hears the caller. Returns whether that confirms what the vendor has said just before."""
        self._speaks = True
        confirms = now_s - self._claimed_s <= PHANTOM_S
        self._claimed_s = float("-inf")
        self.unconfirmed -= confirms
        return confirms

    def ended(self, now_s: float) -> None:
        """The gateway hears that the caller has finished."""
        self._speaks = False
        self._spoke_s = now_s

    def is_confirmed(self, now_s: float) -> bool:
        """The vendor says that the caller speaks. Returns whether the gateway hears it too, or did just before."""
        if self._speaks or now_s - self._spoke_s <= PHANTOM_S:
            return True
        self._claimed_s = now_s
        self.unconfirmed += 1
        return False
