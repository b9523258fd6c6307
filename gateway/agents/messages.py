"""The messages about one call between an agent in another thread and the gateway.

Commands go to the gateway, and answers come back. Both are frozen, and refer to the agent's utterances by number. How
they are transported is not defined here. Frames and events reach the agent through the lanes, not as messages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from media.leg import Pcm

FactName: TypeAlias = Literal["speaking", "held", "heard_ms", "queued_ms", "wait_ms"]


@dataclass(frozen=True, slots=True, eq=False)
class Play:
    """Queue audio at once. The answer is True, False (refused), or `PlayoutFullError`."""

    pcm: Pcm
    mark: str | None
    epoch: int
    """The epoch that the audio belongs to, unless `utterance` is given."""
    utterance: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Say(Play):
    """Like `Play`, but wait for room."""


@dataclass(frozen=True, slots=True)
class Begin:
    """Make an utterance with this number, which answers what was heard in this epoch."""

    utterance: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Forget:
    """The agent no longer has this utterance."""

    utterance: int


@dataclass(frozen=True, slots=True)
class Said:
    """Wait until an utterance, or everything, was heard or dropped. The answer is how many ms were heard."""

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
    """Change the number of answers being spoken that a key must end."""

    utterance: int
    change: int


@dataclass(frozen=True, slots=True)
class Fact:
    """Ask for a current property of the call, or of an utterance."""

    name: FactName
    utterance: int | None = None


@dataclass(frozen=True, slots=True)
class DetectSpeech:
    """Detect the caller's speech from now on: the agent wants the speech events."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Drop what is queued. The answer is how many ms were heard."""


@dataclass(frozen=True, slots=True)
class Confirm:
    """The speech that holds the agent's voice is an interruption. The answer is whether the voice was held."""


@dataclass(frozen=True, slots=True)
class Reject:
    """The speech that holds the agent's voice is no interruption. The answer is whether the voice was held."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the call when everything was heard."""


@dataclass(frozen=True, slots=True, eq=False)
class Fail:
    """The agent has failed in code that nothing waits for, such as a consumer of audio."""

    error: BaseException


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Cancel the request with this number: its answer is no longer awaited."""

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
    """A command, with a number to match the answer; 0 if no answer is awaited."""

    number: int
    command: AgentCommand


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """The result of a request."""

    number: int
    value: object


@dataclass(frozen=True, slots=True, eq=False)
class Refusal:
    """The exception that a request raised."""

    number: int
    error: BaseException
