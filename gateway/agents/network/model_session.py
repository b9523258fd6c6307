"""The common interface to the speech-to-speech models of all vendors: events from the model, messages to it. No I/O.

Each vendor's protocol is a `ModelSession` in its own file; `gateway.agents.network.model_agent` uses it in a call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol, TypeAlias

from gateway.agents.network.coding import AudioFormat
from media.conversation.history import Role

# -- events from the model --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SessionAccepted:
    """The session has begun; `ModelSession.heard` and `said` now have its audio formats."""


@dataclass(frozen=True, slots=True)
class CallerBegan:
    """The server hears the caller speak; this interrupts the model."""


@dataclass(frozen=True, slots=True)
class CallerEnded:
    """The server hears that the caller has finished; an answer follows."""


@dataclass(frozen=True, slots=True)
class CallerSaid:
    """The text of what the caller said."""

    text: str


@dataclass(frozen=True, slots=True)
class AnswerBegan:
    """The model has begun an answer."""


@dataclass(frozen=True, slots=True)
class AnswerAudio:
    """A piece of an answer's audio."""

    item: str
    """The id of the answer."""
    audio: bytes
    content_index: int = 0


@dataclass(frozen=True, slots=True)
class AnswerText:
    """The text of an answer, including what the caller may not have heard."""

    item: str
    text: str


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """The model calls a tool."""

    call: str
    name: str
    arguments: str
    """JSON, as the model wrote it."""


@dataclass(frozen=True, slots=True)
class AnswerEnded:
    """The server has sent the whole answer, or will send no more of it; the caller may not have heard it yet."""

    status: Literal["completed", "cut", "failed"] = "completed"
    by_caller: bool = False
    """Whether it ended because the caller spoke; the server answers that by itself."""
    error: str = ""
    """Why it failed, with the status `failed`."""


@dataclass(frozen=True, slots=True)
class SessionFault:
    """The server reports an error, in our messages or in the server itself."""

    message: str
    permanent: bool = False
    """Whether the same request would fail again."""
    ends_session: bool = False
    """Whether the session cannot be used any more."""


@dataclass(frozen=True, slots=True)
class SessionEnding:
    """The server will end the session in `left_s` seconds; before that, in a pause, a new session must be opened."""

    left_s: float


@dataclass(frozen=True, slots=True)
class ReplyWanted:
    """A text message that must be sent to the server at once, such as the answer to a ping."""

    message: bytes


ModelEvent: TypeAlias = (
    SessionAccepted
    | CallerBegan
    | CallerEnded
    | CallerSaid
    | AnswerBegan
    | AnswerAudio
    | AnswerText
    | ToolCalled
    | AnswerEnded
    | SessionFault
    | SessionEnding
    | ReplyWanted
)


class BadEventError(ValueError):
    """A message of the server does not conform to its API."""


class UnusableFormatError(ValueError):
    """The server wants or sends audio in a format that is not supported."""


# -- messages to the model --------------------------------------------------------------------------------------------

Messages: TypeAlias = Sequence[bytes]
"""Text messages to send, in order; empty if the vendor has no such message."""


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """The facts of one call that its sessions need."""

    instructions: str
    greeting: str | None
    """With None, the caller speaks first."""
    line: AudioFormat
    """The format that carries the line's audio without loss: the line's G.711, or linear at the line's rate."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """More facts of the call, by names that the user chose."""


class ModelSession(Protocol):
    """A vendor's protocol in one call. It lasts for all connections of the call: each new one begins with `opening`.

    A vendor's class leaves out the methods for which the vendor has no message; then nothing is sent.
    """

    binary_audio: ClassVar[bool] = False
    """Whether the caller's voice is sent in binary messages."""
    hears_phantoms: ClassVar[bool] = False
    """Whether the server may report `CallerBegan` though nobody speaks: then the gateway must hear the caller too."""
    heard: AudioFormat
    """The format of the audio that the server receives."""
    said: AudioFormat
    """The format of the audio that the server sends."""

    @property
    def covered(self) -> bool:
        """Whether a new session, opened now, would know all that was said in this one."""
        return True

    def opening(self, history: Iterable[tuple[Role, str]]) -> Messages:
        """The first messages of a connection; with the conversation so far, if the vendor expects it here."""

    def accepted(self, history: Iterable[tuple[Role, str]]) -> Messages:  # noqa: ARG002 - for vendors that use it
        """The messages after the session is accepted; with the conversation so far, if the vendor expects it here."""
        return ()

    def greet(self) -> Messages:
        """Let the model speak first; sent when the first session is accepted."""
        return ()

    def respond(self) -> Messages:
        """Request an answer, where the server does not answer by itself."""

    def audio(self, data: bytes) -> bytes:
        """A message with the caller's voice; `data` is in the format `heard`."""

    def cancel(self) -> Messages:
        """Cancel the answer that is being made."""
        return ()

    def unheard(self, item: str, content_index: int, heard_ms: int) -> Messages:  # noqa: ARG002 - for vendors that use it
        """Report how much of an answer was heard; the model then forgets the rest of it."""
        return ()

    def tool_output(self, call: ToolCalled, output: str) -> Messages:
        """The result of a tool."""

    def text(self, text: str) -> Messages:
        """A text from the caller, such as typed keys, as part of the conversation."""

    def events(self, text: bytes) -> Sequence[ModelEvent]:
        """Return the events in a text message of the server; none if the message is of no interest here.

        Raises:
            BadEventError: it does not conform to the API.
            UnusableFormatError: the audio is in a format that is not supported.
        """

    def binary(self, data: bytes) -> Sequence[ModelEvent]:
        """Like `events`, for a binary message."""
        raise BadEventError(f"a binary message of {len(data)} bytes")


MakeSession: TypeAlias = Callable[[SessionFacts], ModelSession]
