"""How a call ended, as data: why, by whom, and whose doing that was. Nothing here comes from the wire."""

from __future__ import annotations

import enum
from typing import NamedTuple

from gateway.dialplan import Why


class EndedBy(enum.Enum):
    """Who ended a call."""

    CALLER = "caller"
    AGENT = "agent"
    DIALPLAN = "dialplan"
    GATEWAY = "gateway"
    NETWORK = "network"


class Responsibility(enum.Enum):
    """Where to look when there are many of them."""

    OURS = "ours"
    """The gateway, its configuration, its agents."""
    THEIRS = "theirs"
    """The caller."""
    CARRIER = "carrier"
    """What lies between: the trunk, the network."""


class EndCause(enum.Enum):
    """Why a call ended: the first thing that led to it. A closed list, which reports may rely on."""

    CALLER_HUNG_UP = "caller-hung-up"
    """BYE."""
    CALLER_CANCELLED = "caller-cancelled"
    """Before the answer."""
    AGENT_HUNG_UP = "agent-hung-up"
    AGENT_BUSY = "agent-busy"
    AGENT_FAILED = "agent-failed"
    SOUND_FAILED = "sound-failed"
    STEP = "step"
    """A `hangup` or `reject` of the dialplan."""
    STEPS_RAN_OUT = "steps-ran-out"
    TOO_MANY_JUMPS = "too-many-jumps"
    NO_ROUTE = "no-route"
    SETUP_TIMEOUT = "setup-timeout"
    """`limits.setup_timeout` was over before the answer."""
    MAX_DURATION = "max-duration"
    """`limits.max_duration` was over."""
    SHUTDOWN = "shutdown"
    INTERNAL_ERROR = "internal-error"
    """A fault of the gateway, which the log has in full."""
    MEDIA_FAILED = "media-failed"
    """The caller's session description names a stream that cannot be driven."""
    NO_MEDIA = "no-media"
    """Nothing was heard for `media.no_media_timeout`."""
    NOT_ACKNOWLEDGED = "not-acknowledged"
    """The ACK for our 200 never came."""
    PEER_GONE = "peer-gone"
    """The peer does not know the call any more, or is not there."""
    SIGNALLING_FAILED = "signalling-failed"
    """SIP ended the call without anybody asking for it."""

    @property
    def ended_by(self) -> EndedBy:
        """Who ended the call."""
        return _DOERS[self].ended_by

    @property
    def responsibility(self) -> Responsibility:
        """Whose doing that was."""
        return _DOERS[self].responsibility


class _Doer(NamedTuple):
    ended_by: EndedBy
    responsibility: Responsibility


_CALLER = _Doer(EndedBy.CALLER, Responsibility.THEIRS)
_AGENT = _Doer(EndedBy.AGENT, Responsibility.OURS)
_DIALPLAN = _Doer(EndedBy.DIALPLAN, Responsibility.OURS)
_GATEWAY = _Doer(EndedBy.GATEWAY, Responsibility.OURS)
_NETWORK = _Doer(EndedBy.NETWORK, Responsibility.CARRIER)

_DOERS = {
    EndCause.CALLER_HUNG_UP: _CALLER,
    EndCause.CALLER_CANCELLED: _CALLER,
    EndCause.AGENT_HUNG_UP: _AGENT,
    EndCause.AGENT_BUSY: _DIALPLAN,
    EndCause.AGENT_FAILED: _AGENT,
    EndCause.SOUND_FAILED: _DIALPLAN,
    EndCause.STEP: _DIALPLAN,
    EndCause.STEPS_RAN_OUT: _DIALPLAN,
    EndCause.TOO_MANY_JUMPS: _DIALPLAN,
    EndCause.NO_ROUTE: _DIALPLAN,
    EndCause.SETUP_TIMEOUT: _GATEWAY,
    EndCause.MAX_DURATION: _GATEWAY,
    EndCause.SHUTDOWN: _GATEWAY,
    EndCause.INTERNAL_ERROR: _GATEWAY,
    EndCause.MEDIA_FAILED: _Doer(EndedBy.GATEWAY, Responsibility.THEIRS),
    EndCause.NO_MEDIA: _NETWORK,
    EndCause.NOT_ACKNOWLEDGED: _NETWORK,
    EndCause.PEER_GONE: _NETWORK,
    EndCause.SIGNALLING_FAILED: _NETWORK,
}


class Failure(NamedTuple):
    """What did not work out on the way to the end, whether the dialplan went on after it or not."""

    cause: EndCause
    detail: str

    def __str__(self) -> str:
        """For the log."""
        return f"{self.cause.value}: {self.detail}" if self.detail else self.cause.value


def cause_of(why: Why) -> EndCause:
    """The cause that says the same as the dialplan's own word."""
    return EndCause(why.value)
