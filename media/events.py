"""What an agent is told about its call, and the facts of the call that do not change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from media.leg import Pcm


@dataclass(frozen=True, slots=True)
class CallInfo:
    """The facts of a call as its INVITE told them."""

    call_id: str = ""
    to: str = ""
    from_: str = ""
    trunk: str = ""
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    codec: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Audio:
    """The caller's voice: one frame, 20 ms as a rule, int16 at the call's rate, read-only."""

    pcm: Pcm


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The caller has been speaking for `speech_ms` (at least `min_speech_ms`)."""

    speech_ms: int


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """The caller spoke for `speech_ms`, pauses inside included, and has now been silent for `silence_ms`.

    That is 0 when a turn was ended for its length (`barge_in.max_turn`): the next one has begun.
    """

    speech_ms: int
    silence_ms: int


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The caller spoke over the agent; what was queued is dropped and will never be heard.

    Every `MarkReached` of audio that was heard has been told before this.
    """

    heard_ms: int
    """How much of the utterance that was playing reached the wire."""
    unheard_ms: int
    """How much queued audio was dropped, all utterances together; 0 for an agent that speaks in real time."""
    marks_reached: tuple[str, ...] = ()
    """Marks since the agent began to speak that were heard, in order; the last 256."""
    marks_dropped: tuple[str, ...] = ()
    """Marks whose audio was not heard to its end, in order."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """What seemed an interruption was none: the agent's voice goes on exactly where it was held."""

    heard_ms: int


@dataclass(frozen=True, slots=True)
class Dtmf:
    """The caller pressed and released a key."""

    digit: str
    duration_ms: int


@dataclass(frozen=True, slots=True)
class MarkReached:
    """All audio up to this mark was handed to the wire."""

    name: str


@dataclass(frozen=True, slots=True)
class Drained:
    """Everything the agent said was handed to the wire."""


@dataclass(frozen=True, slots=True)
class MediaSilent:
    """No packet has come from the caller for `silent_ms`."""

    silent_ms: int


@dataclass(frozen=True, slots=True)
class Hangup:
    """The call is over; the last event of every call."""


UrgentEvent = SpeechStarted | SpeechEnded | Interrupted | Resumed | Dtmf | MarkReached | Drained | MediaSilent | Hangup
"""Events that overtake all audio."""

INFORMING = frozenset({Drained, MarkReached, MediaSilent, Resumed, SpeechEnded, SpeechStarted})
"""Those that tell of what has passed: an agent that speaks for an hour without looking may lose the oldest."""

Event = Audio | UrgentEvent
"""Everything that `Conversation.events` yields."""


class CallEndedError(Exception):
    """The agent spoke into a call that is over or no longer its own, or after it had hung up itself."""


class AgentStalledError(Exception):
    """The agent listens, but has left its urgent events alone for too long."""


def contained(error: BaseException) -> Exception:
    """An agent's error as one that ends no more than its call: `sys.exit()` in an agent must not end the gateway."""
    if isinstance(error, Exception):
        return error
    fault = RuntimeError(f"the agent raised {type(error).__name__}")
    fault.__cause__ = error
    return fault
