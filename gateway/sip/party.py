"""A SIP call as the gateway's calls have it: the asyncio side of one dialog and its media."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import structlog

from gateway.calls.outcome import EndCause
from gateway.calls.party import IncomingParty, Over, PartyListener
from gateway.dialplan import Cause
from gateway.sip.events import (
    CommandFailed,
    Confirmed,
    Disconnected,
    GivenUp,
    HoldChanged,
    MediaFailed,
    MediaStarted,
    Side,
)
from gateway.sip.nat import is_private

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gateway.sip.events import CallEvent, CallRef
    from media.leg import OwnedLeg

_log = structlog.get_logger("sip")

_OVER_S = 5.0
"""PJSIP reports the end of a call at once when we end it; this is for the day it does not, and for its own BYE."""
_NOT_ACCEPTABLE = 488
_RINGING, _PROGRESS, _OK = 180, 183, 200
_CANCELLED, _TIMEOUT = 487, 408
_GONE = {_TIMEOUT, 481}
"""What ends a dialog when a request in it is answered so (RFC 3261 section 12.2.1.2)."""


class SipCommands(Protocol):
    """What a party asks of the SIP thread; all return at once. `gateway.sip.endpoint.SipEndpoint` fulfils it."""

    def respond(self, ref: CallRef, code: int) -> None:
        """Send 180, 183 or 200."""

    def end(self, ref: CallRef, code: int, reason: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        """BYE, or refuse with `code`; a `Disconnected` follows. Nothing happens to a call that is over."""

    def probe(self, ref: CallRef) -> None:
        """Ask an answered call's peer whether it is still there; when it is not, a `Disconnected` follows."""

    def forget(self, ref: CallRef) -> None:
        """Let go of a call whose end was never told; no event follows."""


@dataclass(frozen=True, slots=True)
class Waits:
    """How long a party waits for sound."""

    no_media_s: float
    """Silent for so long, it counts as gone; 0 is for ever."""
    first_packet_s: float
    """For where the caller really hears, when its SDP names an address that nobody outside its network reaches."""


class SipParty(IncomingParty):
    """The caller of an INVITE."""

    def __init__(  # noqa: PLR0913 - the parts that a SIP call is made of
        self,
        ref: CallRef,
        leg: OwnedLeg,
        sip: SipCommands,
        waits: Waits,
        *,
        call_id: str,
        has_offer: bool,
        behind_nat: bool,
        on_gone: Callable[[CallRef], None],
    ) -> None:
        """Make it for an INVITE.

        Args:
            ref: of its call.
            leg: its sound; `close` closes it.
            sip: the SIP thread.
            waits: how long it waits for sound.
            call_id: its Call-ID, for the log.
            has_offer: whether the INVITE came with a session description.
            behind_nat: whether its signalling shows that it is behind NAT.
            on_gone: is told when no event can follow.
        """
        self.ref = ref
        self.listener: PartyListener | None = None
        self._leg = leg
        self._sip = sip
        self._waits = waits
        self._has_offer = has_offer
        self._on_gone = on_gone
        self._loop = asyncio.get_running_loop()
        self._log = _log.bind(call_id=call_id)
        self._media = asyncio.Event()
        self._confirmed = asyncio.Event()
        self._answered = False
        self._held = False
        self._was_two_way = False
        """Whether sound could flow both ways before."""
        self._heard = False
        self._behind_nat = behind_nat
        self._may_be_natted = behind_nat
        self._fault: tuple[EndCause, str] | None = None
        """Why we ended it ourselves, and no call asked us to."""
        self._given_up = False
        """Whether PJSIP has sent a BYE by itself."""
        self._is_over = False
        self._watching: asyncio.TimerHandle | None = None
        self._first_packet_due: asyncio.TimerHandle | None = None
        self._end_due: asyncio.TimerHandle | None = None
        leg.on_heard = self._on_heard
        leg.on_silent = self._on_silent
        leg.on_failure = self._on_leg_failure

    # ---- IncomingParty: what a call does with it -------------------------------------------------------------------

    @property
    def leg(self) -> OwnedLeg:
        return self._leg

    def ring(self) -> None:
        self._sip.respond(self.ref, _RINGING)

    async def early_media(self) -> bool:
        if not self._has_offer:
            self.ring()
            return False
        self._sip.respond(self.ref, _PROGRESS)
        await self._media.wait()
        return True

    async def answer(self) -> None:
        if not self._answered:
            self._answered = True
            self._sip.respond(self.ref, _OK)
        # Not before the ACK: until then the caller may not have opened its ears, and first words would be lost.
        await self._confirmed.wait()
        await self._media.wait()
        if self._may_be_natted and not self._heard and self._first_packet_due is None:
            self._leg.pause()  # nobody speaks, but whoever listens hears all from the beginning
            self._first_packet_due = self._loop.call_later(self._waits.first_packet_s, self._on_heard)

    def refuse(self, code: int, reason: str | None = None, retry_after_s: float | None = None) -> None:
        headers = {} if retry_after_s is None else {"Retry-After": str(round(retry_after_s))}
        self._end(code, reason, headers)

    def hang_up(self, cause: Cause) -> None:
        self._end(_OK, None, {"Reason": f'Q.850;cause={cause.q850};text="{cause.value}"'})

    def close(self) -> None:
        for timer in (self._watching, self._first_packet_due):
            if timer is not None:
                timer.cancel()
        self._leg.close()
        self.listener = None  # a call and its party know each other: nothing may wait for the garbage collector

    # ---- what the SIP thread told --------------------------------------------------------------------------

    def on_event(self, event: CallEvent) -> None:
        """Take in what happened to the call on the wire."""
        match event:
            case MediaStarted(codec=codec, remote_address=address):
                self._may_be_natted = self._behind_nat or is_private(address.rpartition(":")[0])
                self._media.set()
                self._was_two_way |= not self._held
                if self.listener is not None:
                    self.listener.on_media(codec)
            case MediaFailed(why=why):
                # With 488 also where we meant to answer: PJSIP may have found out when it made our 200.
                self._give_up(EndCause.MEDIA_FAILED, why, _NOT_ACCEPTABLE)
            case HoldChanged(held=held, peer_sends=peer_sends):
                self._on_hold_changed(held=held, peer_sends=peer_sends)
            case Confirmed():
                self._on_confirmed()
            case GivenUp():
                self._on_given_up()
            case CommandFailed(why=why):
                self._give_up(EndCause.SIGNALLING_FAILED, why)
            case Disconnected():
                self._on_disconnected(event)

    def _on_hold_changed(self, *, held: bool, peer_sends: bool) -> None:
        self._held = held
        self._watch()
        if self.listener is None:
            return
        if not held:
            self.listener.on_resumed()
        elif self._was_two_way or peer_sends:
            self.listener.on_held(one_way=not self._was_two_way)
        # else: it is not connected yet (RFC 3725 section 4.4), and what is said waits

    def _on_confirmed(self) -> None:
        self._confirmed.set()
        if self.listener is not None:
            self.listener.on_answered()
        if self._has_offer or self._media.is_set() or self._held:
            self._watch()
        else:
            self._give_up(EndCause.NO_MEDIA, "the ACK brought no answer to our offer that has audio")

    def _on_given_up(self) -> None:
        if self._end_due is None and not self._is_over:
            self._given_up = True
            self._end_due = self._loop.call_later(_OVER_S, self._on_end_unconfirmed)

    def _on_disconnected(self, event: Disconnected) -> None:
        cause, detail = self._fault or self._cause_of(event)
        self._tell_over(Over(cause, event.code, event.reason, detail))

    def _cause_of(self, event: Disconnected) -> tuple[EndCause | None, str]:
        match event.by:
            case Side.GATEWAY:
                return None, ""
            case Side.CALLER:
                return EndCause.CALLER_CANCELLED if event.code == _CANCELLED else EndCause.CALLER_HUNG_UP, ""
            case Side.NETWORK:
                if self._confirmed.is_set():
                    cause = EndCause.PEER_GONE if event.code in _GONE else EndCause.SIGNALLING_FAILED
                else:
                    never_acknowledged = self._answered and event.code == _TIMEOUT
                    cause = EndCause.NOT_ACKNOWLEDGED if never_acknowledged else EndCause.SIGNALLING_FAILED
                return cause, event.reason

    def _tell_over(self, over: Over) -> None:
        if self._is_over:
            return
        self._is_over = True
        for timer in (self._watching, self._first_packet_due, self._end_due):
            if timer is not None:
                timer.cancel()
        self._on_gone(self.ref)
        if self.listener is not None:
            self.listener.on_over(over)

    # ---- whether it is heard -------------------------------------------------------------------------------

    def _on_heard(self) -> None:
        if not self._heard:
            self._heard = True
            self._leg.resume()

    def _on_silent(self, silent_ms: int) -> None:
        if self._confirmed.is_set() and not self._held:  # many callers send nothing before the answer
            self._give_up(EndCause.NO_MEDIA, f"no RTP for {silent_ms} ms")

    def _watch(self) -> None:
        """See that something is heard: the engine tells of each silence once, and of none where there is no stream.

        From the ACK on; the time begins anew with a hold, and when it is over.
        """
        if self._watching is not None:
            self._watching.cancel()
        if self._waits.no_media_s > 0 and self._confirmed.is_set() and not self._is_over:
            packets = self._leg.counters().packets_received
            self._watching = self._loop.call_later(self._waits.no_media_s, self._on_watched, packets)

    def _on_watched(self, packets_before: int) -> None:
        if self._leg.counters().packets_received == packets_before:
            if not self._held:
                self._give_up(EndCause.NO_MEDIA, f"no RTP for {self._waits.no_media_s:g} s")
                return
            self._sip.probe(self.ref)
        self._watch()

    def _on_leg_failure(self, error: Exception) -> None:
        self._give_up(EndCause.INTERNAL_ERROR, repr(error))

    # ---- ways to end it ------------------------------------------------------------------------------------

    def _give_up(self, cause: EndCause, detail: str, code: int | None = None) -> None:
        """End it without being asked to; the call learns of it when it is over.

        `code`: the answer, if the caller has none yet.
        """
        if self._end_due is not None or self._is_over:
            return  # it ends already, for a reason that was there first
        self._fault = (cause, detail)
        if self._answered and code is None:
            self.hang_up(Cause.ERROR)
        else:
            self.refuse(code or Cause.ERROR.sip_code)

    def _end(self, code: int, reason: str | None, headers: Mapping[str, str]) -> None:
        self._sip.end(self.ref, code, reason, headers)
        if self._end_due is None and not self._is_over:
            self._end_due = self._loop.call_later(_OVER_S, self._on_end_unconfirmed)

    def _on_end_unconfirmed(self) -> None:
        self._sip.forget(self.ref)
        if self._given_up:
            self._on_disconnected(Disconnected(self.ref, Side.NETWORK, _TIMEOUT, "Request Timeout"))
            return
        self._log.error("call.end_unconfirmed")
        cause, detail = self._fault or (None, "")
        self._tell_over(Over(cause, 0, "end-unconfirmed", detail))
