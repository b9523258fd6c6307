"""The contract between a call and whoever is at the end of a line, whether by SIP or otherwise.

A party is signalling and sound together: `Party.leg` is its sound. Keys come with it (`LegListener.on_dtmf`),
in order with what was heard, however the line carried them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from gateway.calls.party_record import PartyRecord
from gateway.calls.record import CallRecord

if TYPE_CHECKING:
    import asyncio

    from gateway.calls.outcome import EndCause
    from gateway.dialplan import Cause, Invite
    from media.leg import OwnedLeg


@dataclass(frozen=True, slots=True)
class Over:
    """How a party went."""

    cause: EndCause | None
    """Why; None when it was asked to go, by `refuse` or `hang_up`."""
    code: int = 0
    """The last SIP status: 200 after BYE, 487 after CANCEL; 0 when there was none."""
    reason: str = ""
    """The status line's reason phrase, or what is known beside it."""
    detail: str = ""


class PartyListener(Protocol):
    """What a party tells its call. Called on the asyncio thread; must return at once."""

    def on_media(self, codec: str) -> None:
        """Sound can flow; told again when the codec changes. `codec` is as in SDP: "PCMU/8000"."""

    def on_answered(self) -> None:
        """The call is up: the caller has acknowledged our answer, or the party that we called has answered."""

    def on_held(self, *, one_way: bool) -> None:
        """The party hears nothing from now on, and its silence is no fault.

        It put us on hold, and what it sends is music; or, with `one_way`, it has only sent since the call began
        (`a=sendonly` in its first offer), and what it sends is its voice.
        """

    def on_resumed(self) -> None:
        """The party is back from hold."""

    def on_over(self, over: Over) -> None:
        """The party is gone. The last thing told, once."""


class Party(Protocol):
    """Somebody at the end of a line. For the asyncio thread only; nothing here raises because the party is gone.

    Its owner calls `close` when `on_over` was told and the leg's counters are read.
    """

    listener: PartyListener | None

    @property
    def leg(self) -> OwnedLeg:
        """The party as sound. Its rate is known from the first `on_media` on."""

    def hang_up(self, cause: Cause) -> None:
        """End an answered call; `on_over` follows within seconds, whatever the line does."""

    def close(self) -> None:
        """Free what it holds."""


class IncomingParty(Party, Protocol):
    """A party that calls us, and waits for an answer."""

    def ring(self) -> None:
        """Let the caller hear ringing."""

    async def early_media(self) -> bool:
        """Let the caller hear sound before the answer. Returns whether that is possible, once it is known.

        It is not possible if the caller has made no offer yet: then it rings.
        """

    async def answer(self) -> None:
        """Take the call; returns once the party hears what is played from now on, and at once the second time."""

    def refuse(self, code: int, reason: str | None = None, retry_after_s: float | None = None) -> None:
        """End a call that was not answered; a call that was answered is hung up.

        `on_over` follows within seconds, whatever the line does.

        Args:
            code: a final SIP status, 400 to 699.
            reason: the reason phrase; None is the code's own.
            retry_after_s: when to try again.
        """


@dataclass(frozen=True, slots=True)
class Arrival:
    """A party that asks for a call."""

    party: IncomingParty
    invite: Invite
    """What the dialplan may ask about it."""
    call_id: str
    """SIP's Call-ID: the caller's choice. What a carrier finds the call by."""
    source: str
    """Who sent it, "address:port"."""

    def record(self) -> CallRecord:
        """The record of the call that begins now."""
        called = self.invite
        return CallRecord(self.call_id, PartyRecord(self.source), called.trunk, called.to, called.from_)


class Reception(Protocol):
    """Where parties come to. The gateway fulfils it."""

    def on_arrival(self, arrival: Arrival) -> bool:
        """Take or refuse a party; returns whether it was taken. Never raises."""

    def on_lost(self, party: IncomingParty, error: Exception, *, call_id: str, source: str, trunk: str | None) -> None:
        """A party came whose request we failed to read, by a fault of our own: it gets an answer and a record."""

    def on_refused(self, why: str, *, call_id: str, source: str) -> None:
        """A call was refused before it could become a party."""

    def on_turned_away(self, why: str, count: int) -> None:
        """So many calls were refused, and nothing more is known of them."""


class CallSource(Protocol):
    """Where parties come from: SIP and its trunks."""

    async def start(self, reception: Reception, tasks: asyncio.TaskGroup) -> None:
        """Return when calls can come. `tasks` becomes the parent of what runs as long as it does."""

    async def stop(self) -> None:
        """Free everything; no party is left."""
