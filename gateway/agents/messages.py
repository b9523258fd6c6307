"""What an agent in another thread and the gateway say to each other about one call.

Commands go up to the gateway, answers come down; both are frozen, and name answers of the agent by number. Nothing here
knows how they travel. Frames and events come down through the lanes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from media.leg import Pcm

FactName: TypeAlias = Literal["speaking", "held", "heard_ms", "queued_ms", "wait_ms"]


@dataclass(frozen=True, slots=True, eq=False)
class Play:
    """Queue audio at once, or refuse it: True, False, or `PlayoutFullError`."""

    pcm: Pcm
    mark: str | None
    epoch: int
    """What the audio belongs to, unless there is an utterance."""
    utterance: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Say(Play):
    """As `Play`, and wait for room."""


@dataclass(frozen=True, slots=True)
class Begin:
    """Make an utterance of that number, which answers what was heard in that epoch."""

    utterance: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Forget:
    """Nobody has this utterance any more."""

    utterance: int


@dataclass(frozen=True, slots=True)
class Said:
    """Wait until an utterance, or everything, was heard or dropped: the heard ms."""

    utterance: int | None = None


@dataclass(frozen=True, slots=True)
class UntilCut:
    """Wait until an utterance is interrupted."""

    utterance: int


@dataclass(frozen=True, slots=True)
class UntilOver:
    """Wait for the end of the call."""


@dataclass(frozen=True, slots=True)
class CountKeyed:
    """So many more answers are being spoken that a key shall end."""

    utterance: int
    change: int


@dataclass(frozen=True, slots=True)
class Fact:
    """How things stand with the call, or with an utterance."""

    name: FactName
    utterance: int | None = None


@dataclass(frozen=True, slots=True)
class DetectSpeech:
    """Have the caller's speech detected from now on: the agent wants its events."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Drop what is queued: the heard ms."""


@dataclass(frozen=True, slots=True)
class Confirm:
    """What holds the agent's voice is an interruption: whether something held it."""


@dataclass(frozen=True, slots=True)
class Reject:
    """What holds the agent's voice is no interruption: whether something held it."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the call when all was heard."""


@dataclass(frozen=True, slots=True, eq=False)
class Fail:
    """The agent has failed where nobody waits for it."""

    error: BaseException


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Nobody waits any more for the answer to the request of that number."""

    request: int


AgentCommand: TypeAlias = (
    Play
    | Say
    | Begin
    | Forget
    | Said
    | UntilCut
    | UntilOver
    | CountKeyed
    | Fact
    | DetectSpeech
    | Stop
    | Confirm
    | Reject
    | HangUp
    | Fail
    | Withdraw
)


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """A command, and the number under which its answer is awaited; 0 if none is."""

    number: int
    command: AgentCommand


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What came of a request."""

    number: int
    value: object


@dataclass(frozen=True, slots=True, eq=False)
class Refusal:
    """What a request raised."""

    number: int
    error: BaseException
