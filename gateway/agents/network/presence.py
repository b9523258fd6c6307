"""Checks a vendor's reports of speech against the gateway's own voice detection, for unreliable vendors. No I/O."""

from __future__ import annotations

PHANTOM_S = 0.6
"""The gateway must hear the caller within this time before or after the vendor's report."""


class Presence:
    """Compares the gateway's voice detection with the vendor's reports. Times are seconds on any one clock."""

    def __init__(self) -> None:
        self.unconfirmed = 0
        """How many reports of the vendor the gateway's voice detection did not confirm."""
        self._speaks = False
        self._spoke_s = self._claimed_s = float("-inf")

    def began(self, now_s: float) -> bool:
        """The gateway hears the caller. Returns whether this confirms a recent report of the vendor."""
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
        """The vendor reports that the caller speaks. Returns whether the gateway hears that too, or did just before."""
        if self._speaks or now_s - self._spoke_s <= PHANTOM_S:
            return True
        self._claimed_s = now_s
        self.unconfirmed += 1
        return False
