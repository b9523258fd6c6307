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
    """A received INVITE: the data that the dialplan may match."""

    sip_call_id: str
    request_uri: str
    source: str
    """The sender, "address:port"."""
    headers: Mapping[str, tuple[str, ...]]
    """All header fields by header key (`gateway.header_names`), values in order of appearance."""
    has_offer: bool = True
    """Whether it has a session description; if not, media can flow only after our 200 (RFC 3261 section 13.2.1)."""
    obstacle: str = ""
    """Why its session description cannot be answered, if that is already known; else empty."""
    behind_nat: bool = False
    """Whether its sender is behind NAT (`gateway.sip.nat`): what it says of its own addresses may not be true here."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """An INVITE has arrived. 100 Trying has been sent."""

    ref: CallRef
    leg: EngineLeg
    """The call's media, from the first `MediaStarted` on. The event's receiver closes it after `Disconnected`."""
    invite: ReceivedInvite
    trunk: str | None = None
    """The trunk that it came over; None if it did not come over a trunk."""


@dataclass(frozen=True, slots=True)
class Refused:
    """PJSIP itself has refused a call: no common codec, an unknown extension, no free place."""

    sip_call_id: str
    source: str
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """Calls were answered 503 with Retry-After for one reason. Sent at most once per second."""

    why: str
    """`full`: no place is free; `strangers`: those for strangers are not; `rate`: strangers call too often."""
    count: int
    """How many since the last such event."""
    first: tuple[tuple[str, str], ...]
    """The Call-ID and source of the first few."""


@dataclass(frozen=True, slots=True)
class MediaStarted:
    """A stream was negotiated and is attached to the call's slot; also sent after a re-INVITE."""

    ref: CallRef
    codec: str
    """As in SDP: "PCMU/8000"."""
    remote_address: str
    """Where we send RTP, "address:port", from the peer's SDP."""


@dataclass(frozen=True, slots=True)
class MediaFailed:
    """The engine cannot drive the negotiated stream, or PJSIP cannot answer the offer."""

    ref: CallRef
    why: str


@dataclass(frozen=True, slots=True)
class HoldChanged:
    """The peer put the call on hold, or resumed it (RFC 3264 section 8.4)."""

    ref: CallRef
    held: bool
    peer_sends: bool = True
    """Whether the peer sends to us meanwhile: music, or its voice. On `a=inactive` it does not."""


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The ACK for our 200 has arrived."""

    ref: CallRef


@dataclass(frozen=True, slots=True)
class GivenUp:
    """PJSIP itself has sent a BYE, because the peer did not answer; `Disconnected` follows, at most 32 s later."""

    ref: CallRef


@dataclass(frozen=True, slots=True)
class CommandFailed:
    """A command failed in PJSIP, for example a request on a connection that is closed; the call continues."""

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
    """A REGISTER was answered, or there was no answer (408), or it could not be sent (503)."""

    trunk: str
    code: int
    reason: str
    expires_s: int
    """The time that the registrar granted, in seconds; 0 when it did not register us."""
    retry_after_s: int | None = field(default=None)
    source_ip: str = ""
    """The IP address that answered; empty when there was no answer."""
    unanswerable: str = ""
    """Why no challenge for the password could be answered, and the fix; empty if one could, or there was none."""


@dataclass(frozen=True, slots=True)
class ConnectionLost:
    """The TCP connection that a trunk registered on is closed: the trunk's calls cannot arrive any more."""

    trunk: str


@dataclass(frozen=True, slots=True)
class ChallengeIgnored:
    """A request in a trunk's call was challenged by a host or realm that must not get the trunk's password."""

    trunk: str
    challenge: Challenge


CallEvent = MediaStarted | MediaFailed | HoldChanged | Confirmed | GivenUp | CommandFailed | Disconnected
"""Events of a call, after its `Incoming`."""

TrunkEvent = RegistrationAnswered | ConnectionLost | ChallengeIgnored
"""Events of a trunk."""

SipEvent = Incoming | Refused | TurnedAway | CallEvent | TrunkEvent
