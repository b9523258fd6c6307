"""Calls whose peers know a Contact that cannot be reached any more (RFC 3261 section 12.2.2). SIP thread only."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_IN_A_TURN = 5
"""So many calls are told in one turn of the thread, since a trunk may have thousands."""
_AGAIN_S, _TRIES = 1.0, 30
"""A call that could not be told is tried again, for half a minute."""


class TellingCall(Protocol):
    """A call, as far as it is needed here. `gateway.sip.call.SipCall` fulfils it."""

    sip_call_id: str

    def tell_contact(self) -> bool:
        """Send the new Contact. Returns whether that was possible now."""


class NewContacts:
    """Whose peers are to be told, and how often to try."""

    def __init__(self, report: Callable[[str, Exception, str], None]) -> None:
        """`report` is told which command failed, why, and the Call-ID, when there is no further try."""
        self._report = report
        self._now: dict[TellingCall, int] = {}
        self._later: dict[TellingCall, int] = {}
        self._told: dict[TellingCall, int] = {}
        """Those whose peers have not refused it so far, and how many tries they have left."""
        self._later_s = -math.inf

    def add(self, calls: Iterable[TellingCall]) -> None:
        """There is a new Contact: tell the peers of these calls."""
        for call in calls:
            self.forget(call)
            self._now[call] = _TRIES

    def on_refused(self, call: TellingCall) -> None:
        """The peer cannot take it just now."""
        tries = self._told.pop(call, 0)
        if tries > 0:
            self._later[call] = tries

    def forget(self, call: TellingCall) -> None:
        """The call is over."""
        for calls in (self._now, self._later, self._told):
            calls.pop(call, None)

    def turn(self, now_s: float) -> bool:
        """Tell the next few. Returns whether there are more to be told at once."""
        for call in list(self._now)[:_IN_A_TURN]:
            self._tell(call, self._now.pop(call) - 1)
        if not self._now and now_s >= self._later_s + _AGAIN_S:
            self._later_s = now_s
            self._now, self._later = self._later, {}
            return False
        return bool(self._now)

    def _tell(self, call: TellingCall, tries: int) -> None:
        try:
            told = call.tell_contact()
        except Exception as error:  # noqa: BLE001 - the peer's own request is under way, say; others must be told
            told = False
            if tries == 0:
                self._report("tell_contact", error, call.sip_call_id)
        if told:
            self._told[call] = tries
        elif tries > 0:
            self._later[call] = tries
