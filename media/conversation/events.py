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
"""What an event's `kind` is: its class, for an agent that imports nothing."""


@dataclass(frozen=True, slots=True)
class CallInfo:
    """The facts of a call: what its INVITE told, and what agents found out."""

    call_id: str = ""
    """SIP's Call-ID, as the gateway's log has it: the caller's choice."""
    id: str = ""
    """The call's own id, a UUID."""
    to: str = ""
    """The called number or name, without `sip:` and host."""
    from_: str = ""
    """The caller's number or name; empty when it has none, `anonymous` when it is withheld."""
    trunk: str = ""
    """The trunk it came over; empty when it came over none."""
    route: str = ""
    """The dialplan's route that took it."""
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """Every header: values in order of appearance, by the name in lower case, short names written out."""
    codec: str = ""
    """Of the caller's voice."""
    results: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Those of the agents that have had the call before."""
    history: History = field(default_factory=History, compare=False)
    """What was said, as text, where an agent has noted it; all agents of the call have the same one."""


@dataclass(frozen=True, slots=True, eq=False)
class Audio:
    """The caller's voice: one frame, 20 ms as a rule, int16 at the call's rate, read-only."""

    kind: ClassVar[EventKind] = "audio"
    pcm: Pcm


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The caller has been speaking for `speech_ms` (at least `min_speech_ms`)."""

    kind: ClassVar[EventKind] = "speech_started"
    speech_ms: int


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """The caller spoke for `speech_ms`, pauses inside included, and has now been silent for `silence_ms`.

    That is 0 when a turn was ended for its length (`barge_in.max_turn`): the next one has begun.
    """

    kind: ClassVar[EventKind] = "speech_ended"
    speech_ms: int
    silence_ms: int


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The caller spoke over the agent, or stopped it with a key; what was queued is dropped and will never be heard.

    Every `MarkReached` of audio that was heard has been told before this. A `SpeechEnded` follows when it was speech, a
    `Dtmf` when it was a key.
    """

    kind: ClassVar[EventKind] = "interrupted"
    heard_ms: int
    """How much of the utterance that was playing reached the wire."""
    unheard_ms: int
    """How much queued audio was dropped, all utterances together; 0 for an agent that speaks in real time."""
    marks_reached: tuple[str, ...] = ()
    """Marks since the agent began to speak that were heard, in order; the last 256."""
    marks_dropped: tuple[str, ...] = ()
    """Marks whose audio was not heard to its end, in order."""
    by: Literal["voice", "key"] = "voice"
    """What the caller did."""
    epoch: int = 0
    """`Call.epoch` from here on: what belongs to an earlier one is refused."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """What seemed an interruption was none: the agent's voice goes on exactly where it was held."""

    kind: ClassVar[EventKind] = "resumed"
    heard_ms: int


@dataclass(frozen=True, slots=True)
class Dtmf:
    """The caller pressed and released a key."""

    kind: ClassVar[EventKind] = "dtmf"
    digit: str
    """One of 0 to 9, *, #, A to D."""
    duration_ms: int
    """0 for a key by SIP INFO that came without it."""


@dataclass(frozen=True, slots=True)
class MarkReached:
    """All audio up to this mark was handed to the wire."""

    kind: ClassVar[EventKind] = "mark_reached"
    name: str


@dataclass(frozen=True, slots=True)
class Drained:
    """Everything the agent said was handed to the wire."""

    kind: ClassVar[EventKind] = "drained"


@dataclass(frozen=True, slots=True)
class MediaSilent:
    """No packet has come from the caller for `silent_ms`."""

    kind: ClassVar[EventKind] = "media_silent"
    silent_ms: int


@dataclass(frozen=True, slots=True)
class OnHold:
    """The caller has put the call on hold: no frame of audio comes until `OffHold`, and nobody hears the agent.

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
"""Events that only inform: of these, an agent that takes none for a long time may lose the oldest."""

Event = Audio | UrgentEvent
"""Everything that `Conversation.events` yields."""


class CallEndedError(Exception):
    """The agent spoke into a call that is over or no longer its own, or after it had hung up itself."""


class AgentStalledError(Exception):
    """The agent listens, but has left its urgent events alone for too long."""


class DeadAirError(AgentStalledError):
    """The agent says nothing, and the caller waits for an answer."""

    retryable = True


def contained(error: BaseException) -> Exception:
    """An agent's error as one that ends no more than its call: `sys.exit()` in an agent must not end the gateway."""
    if isinstance(error, Exception):
        return error
    fault = RuntimeError(f"the agent raised {type(error).__name__}")
    fault.__cause__ = error
    return fault
