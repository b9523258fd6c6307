"""The interface between a dialplan and a call. The call implements it; `run` uses it."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.agents.outcome import Outcome


class Cause(enum.Enum):
    """Why the gateway ends a call."""

    NORMAL = "normal"
    BUSY = "busy"
    DECLINED = "declined"
    UNAVAILABLE = "unavailable"
    CONGESTION = "congestion"
    ERROR = "error"

    @property
    def q850(self) -> int:
        """The cause in a BYE's Reason header (ITU-T Q.850, RFC 3326)."""
        return _Q850[self]

    @property
    def sip_code(self) -> int:
        """The matching final response for a call that was not answered (after RFC 3398, 7.2.4.1)."""
        return _SIP[self]


_Q850 = {
    Cause.NORMAL: 16,
    Cause.BUSY: 17,
    Cause.DECLINED: 21,
    Cause.UNAVAILABLE: 20,
    Cause.CONGESTION: 42,
    Cause.ERROR: 41,
}
_SIP = {
    Cause.NORMAL: 480,
    Cause.BUSY: 486,
    Cause.DECLINED: 603,
    Cause.UNAVAILABLE: 480,
    Cause.CONGESTION: 503,
    Cause.ERROR: 500,
}


class Why(enum.Enum):
    """What made the dialplan end a call, or go another way."""

    STEP = "step"
    """A `hangup` or `reject` step."""
    RAN_OUT = "steps-ran-out"
    AGENT_HUNG_UP = "agent-hung-up"
    AGENT_BUSY = "agent-busy"
    AGENT_FAILED = "agent-failed"
    SOUND_FAILED = "sound-failed"
    TOO_MANY_JUMPS = "too-many-jumps"


class AgentEnded(enum.Enum):
    """How an agent's part of a call ended if the caller did not hang up and the agent returned no outcome."""

    TIME_UP = "time-up"
    """`max_duration` was reached."""
    HUNG_UP = "hung-up"
    """It asked to end the call."""


class CallControl(Protocol):
    """One call, as its dialplan sees it.

    Each method returns when its effect has happened. When the caller hangs up, the task that runs the route is
    cancelled; no method needs to report it.
    """

    @property
    def answered(self) -> bool:
        """Whether any step has answered the call."""

    async def ring(self, *, early: bool) -> bool:
        """Send 180, or 183 with a session description and media when `early`; returns whether sounds can be heard.

        Sounds cannot be heard if the INVITE had no offer: then 180 is sent even when `early`.
        """

    async def answer(self) -> None:
        """Send 200 and return when media can flow; return at once if the call is already answered."""

    async def play(self, file: Path, *, repeat: int) -> None:
        """Play a WAV file to its end, `repeat` times in total, on an answered call or as early media.

        Raises:
            media.wav.WavError: it cannot be played.
        """

    async def pause(self, seconds: float) -> None:
        """Wait."""

    async def run_agent(self, name: str, *, max_duration_s: float | None) -> Outcome | AgentEnded:
        """Take a place with the agent, let it prepare, answer the call if it is not answered, and let the agent run.

        A call that is not answered rings while the agent prepares.

        Raises:
            gateway.agents.AgentBusyError: there was no place, or it could not begin just now; this does not
                answer the call.
            gateway.agents.AgentFailedError: it failed, before or in the middle.
        """

    def note_failure(self, why: Why, detail: str) -> None:
        """Note in the call's record that a step failed; called before the dialplan continues elsewhere."""

    async def reject(self, code: int, reason: str | None, retry_after_s: float | None) -> None:
        """Refuse a call that was not answered; with `reason` None, the default phrase of the code is sent."""

    async def hang_up(self, cause: Cause) -> None:
        """End an answered call."""
