"""Events from the SIP thread: frozen, delivered on the asyncio thread, in order."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.sip.challenge import Challenge
    from media.plane import EngineLeg

CallRef = int
"""The number of a call; never used twice in a process."""


@dataclass(frozen=True, slots=True)
class ReceivedInvite:
    """An INVITE as it came: what the dialplan may match on."""

    sip_call_id: str
    request_uri: str
    source: str
    """Who sent it, "address:port"."""
    headers: Mapping[str, tuple[str, ...]]
    """All header fields: names in lower case as they were written, values in order of appearance."""
    has_offer: bool = True
    """Whether it came with a session description; without, media can flow only after our 200 (RFC 3261 section 13.2.1).
    """
    obstacle: str = ""
    """Why its session description cannot be answered, if that is known from the start."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """An INVITE has come. 100 Trying has been sent."""

    ref: CallRef
    leg: EngineLeg
    """The call's media, from the first `MediaStarted` on. The receiver closes it after `Disconnected`."""
    invite: ReceivedInvite
    trunk: str | None = None
    """The trunk that it came over, None when it came over none."""


@dataclass(frozen=True, slots=True)
class Refused:
    """PJSIP has refused a call itself: no codec in common, an extension that it does not know, no place."""

    sip_call_id: str
    source: str
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """Calls were answered 503 with Retry-After because there was no place. Sent once a second at most."""

    count: int
    """How many since the last such event."""
    first: tuple[tuple[str, str], ...]
    """The Call-ID and source of the first few."""


@dataclass(frozen=True, slots=True)
class MediaStarted:
    """A stream was negotiated and belongs to the call's slot; also after a re-INVITE that changed it."""

    ref: CallRef
    codec: str
    """As in SDP: "PCMU/8000"."""
    remote_address: str
    """Where RTP goes to, "address:port", from the peer's SDP."""


@dataclass(frozen=True, slots=True)
class MediaFailed:
    """A stream was negotiated that the engine cannot drive."""

    ref: CallRef
    why: str


@dataclass(frozen=True, slots=True)
class HoldChanged:
    """The peer put the call on hold, or took it back (RFC 3264 section 8.4)."""

    ref: CallRef
    held: bool


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The ACK for our 200 has come."""

    ref: CallRef


@dataclass(frozen=True, slots=True)
class GivenUp:
    """PJSIP has sent a BYE by itself, since the peer did not answer; a `Disconnected` follows, 32 s later at most."""

    ref: CallRef


@dataclass(frozen=True, slots=True)
class CommandFailed:
    """PJSIP could not do what we asked for, as to send a request on a connection that is gone; the call lives on."""

    ref: CallRef
    why: str


class Side(Enum):
    """Who ended a call."""

    CALLER = "caller"
    GATEWAY = "gateway"
    NETWORK = "network"


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The call is over; its slot is detached. The last event with this ref."""

    ref: CallRef
    by: Side
    code: int
    """The last SIP status: 200 after BYE, 487 after CANCEL, 408 when the ACK never came."""
    reason: str


@dataclass(frozen=True, slots=True)
class RegistrationAnswered:
    """A REGISTER was answered, or nobody answered (408) or could be reached (503)."""

    trunk: str
    code: int
    reason: str
    expires_s: int
    """What the registrar granted; 0 when it did not register us."""
    retry_after_s: int | None = field(default=None)
    source_ip: str = ""
    """Who answered; empty when nobody did."""
    unanswerable: str = ""
    """Why a challenge for the password was not answered, and what to do; empty when it was, or there was none."""


@dataclass(frozen=True, slots=True)
class ConnectionLost:
    """The TCP connection is gone on which a trunk had registered: its calls cannot come any more."""

    trunk: str


@dataclass(frozen=True, slots=True)
class ChallengeIgnored:
    """A request in a trunk's call was challenged by a host or realm that must not get the trunk's password."""

    trunk: str
    challenge: Challenge


CallEvent = MediaStarted | MediaFailed | HoldChanged | Confirmed | GivenUp | CommandFailed | Disconnected
"""Events of a call, after its `Incoming`."""

TrunkEvent = RegistrationAnswered | ConnectionLost | ChallengeIgnored
"""Of a trunk."""

SipEvent = Incoming | Refused | TurnedAway | CallEvent | TrunkEvent
