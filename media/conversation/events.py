"""The events of a call that its agent gets, and the facts of the call that do not change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import ClassVar, Literal

from media.conversation.history import History
from media.leg import Pcm

EventKind = Literal[
    "audio",
    "speech_started",
    "speech_ended",
    "interrupted",
    "resumed",
    "dtmf",
    "mark_reached",
    "drained",
    "media_silent",
    "on_hold",
    "off_hold",
    "hangup",
]
"""The values of an event's `kind`. They stand for the classes, for an agent that imports nothing."""


@dataclass(frozen=True, slots=True)
class CallInfo:
    """The facts of a call: what its INVITE contained, and the results of agents."""

    call_id: str = ""
    """The SIP Call-ID, chosen by the caller's side; the gateway's log uses it too."""
    id: str = ""
    """The call's own id, a UUID."""
    to: str = ""
    """The called number or name, without `sip:` and host."""
    from_: str = ""
    """The caller's number or name; empty if there is none, `anonymous` if it is withheld."""
    trunk: str = ""
    """The trunk that the call came over; empty if it did not come over a trunk."""
    route: str = ""
    """The route of the dialplan that took the call."""
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """Every header: values in order of appearance, by name in lower case; compact names are expanded."""
    codec: str = ""
    """The codec of the caller's voice."""
    results: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """The results of the agents that had the call before."""
    history: History = field(default_factory=History, compare=False)
    """What was said, as text, if an agent noted it; all agents of the call share one history."""


@dataclass(frozen=True, slots=True, eq=False)
class Audio:
    """The caller's voice: one frame, usually 20 ms, int16 at the call's rate, read-only."""

    kind: ClassVar[EventKind] = "audio"
    pcm: Pcm


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The caller has been speaking for `speech_ms` (at least `min_speech_ms`)."""

    kind: ClassVar[EventKind] = "speech_started"
    speech_ms: int


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """The caller spoke for `speech_ms`, including pauses, and has now been silent for `silence_ms`.

    `silence_ms` is 0 when the turn ended because of its length (`barge_in.max_turn`): the next turn has begun.
    """

    kind: ClassVar[EventKind] = "speech_ended"
    speech_ms: int
    silence_ms: int


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The caller spoke over the agent, or stopped it with a key. Queued audio is dropped and will never be heard.

    Every `MarkReached` of audio that was heard comes before this event. A `SpeechEnded` follows if the cause was
    speech, a `Dtmf` if it was a key.
    """

    kind: ClassVar[EventKind] = "interrupted"
    heard_ms: int
    """How much of the utterance that was playing was sent to the caller."""
    unheard_ms: int
    """How much queued audio was dropped, in total for all utterances; 0 for an agent that speaks in real time."""
    marks_reached: tuple[str, ...] = ()
    """The marks that were reached since the agent began to speak, in order; at most the last 256."""
    marks_dropped: tuple[str, ...] = ()
    """The marks whose audio was not played to its end, in order."""
    by: Literal["voice", "key"] = "voice"
    """What the caller did."""
    epoch: int = 0
    """The value of `Call.epoch` from now on: audio that belongs to an earlier epoch is refused."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """The caller's sound was not an interruption: the agent's voice continues exactly where it was held."""

    kind: ClassVar[EventKind] = "resumed"
    heard_ms: int


@dataclass(frozen=True, slots=True)
class Dtmf:
    """The caller pressed and released a key."""

    kind: ClassVar[EventKind] = "dtmf"
    digit: str
    """One of 0 to 9, *, #, A to D."""
    duration_ms: int
    """0 for a key by SIP INFO without a duration."""


@dataclass(frozen=True, slots=True)
class MarkReached:
    """All audio up to this mark was sent to the caller."""

    kind: ClassVar[EventKind] = "mark_reached"
    name: str


@dataclass(frozen=True, slots=True)
class Drained:
    """Everything the agent said was sent to the caller."""

    kind: ClassVar[EventKind] = "drained"


@dataclass(frozen=True, slots=True)
class MediaSilent:
    """No packet has come from the caller for `silent_ms`."""

    kind: ClassVar[EventKind] = "media_silent"
    silent_ms: int


@dataclass(frozen=True, slots=True)
class OnHold:
    """The caller has put the call on hold: the agent hears silence until `OffHold`, and nobody hears the agent.

    What the agent says meanwhile is kept, and heard when the caller is back.
    """

    kind: ClassVar[EventKind] = "on_hold"


@dataclass(frozen=True, slots=True)
class OffHold:
    """The caller is back from hold."""

    kind: ClassVar[EventKind] = "off_hold"


@dataclass(frozen=True, slots=True)
class Hangup:
    """The call is over; the last event of every call."""

    kind: ClassVar[EventKind] = "hangup"


UrgentEvent = (
    SpeechStarted
    | SpeechEnded
    | Interrupted
    | Resumed
    | Dtmf
    | MarkReached
    | Drained
    | MediaSilent
    | OnHold
    | OffHold
    | Hangup
)
"""Events that overtake all audio."""

INFORMING = frozenset({Drained, MarkReached, MediaSilent, OffHold, OnHold, Resumed, SpeechEnded, SpeechStarted})
"""Events that only inform. If the agent takes no events for a long time, the oldest of these may be dropped."""

Event = Audio | UrgentEvent
"""Everything that `Conversation.events` yields."""


class CallEndedError(Exception):
    """The agent spoke in a call that is over or no longer belongs to it, or after it hung up."""


class AgentStalledError(Exception):
    """The agent listens, but did not take its urgent events for too long."""


class DeadAirError(AgentStalledError):
    """The agent says nothing, and the caller waits for an answer."""

    retryable = True


def contained(error: BaseException) -> Exception:
    """Convert an agent's error to an `Exception`, which ends only its call: `sys.exit()` must not end the gateway."""
    if isinstance(error, Exception):
        return error
    fault = RuntimeError(f"the agent raised {type(error).__name__}")
    fault.__cause__ = error
    return fault
