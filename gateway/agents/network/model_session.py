"""What the speech-to-speech models of all vendors have in common: what they say, and what they are told. No I/O.

Each vendor's protocol is a `ModelSession` in a file of its own; `gateway.agents.network.model_agent` runs it in a call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol, TypeAlias

from gateway.agents.network.coding import AudioFormat
from media.conversation.history import Role

# -- what the model says ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SessionAccepted:
    """The session has begun; its formats of audio are what `ModelSession.heard` and `said` say now."""


@dataclass(frozen=True, slots=True)
class CallerBegan:
    """The server hears the caller speak: what it said itself is interrupted."""


@dataclass(frozen=True, slots=True)
class CallerEnded:
    """The server hears that the caller has finished: an answer follows."""


@dataclass(frozen=True, slots=True)
class CallerSaid:
    """What the caller said, as text."""

    text: str


@dataclass(frozen=True, slots=True)
class AnswerBegan:
    """An answer has begun."""


@dataclass(frozen=True, slots=True)
class AnswerAudio:
    """A piece of an answer."""

    item: str
    """The model's name of the answer."""
    audio: bytes
    content_index: int = 0


@dataclass(frozen=True, slots=True)
class AnswerText:
    """What an answer said, as text; it may not have been heard to its end."""

    item: str
    text: str


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """The model wants something done."""

    call: str
    name: str
    arguments: str
    """JSON, as the model wrote it."""


@dataclass(frozen=True, slots=True)
class AnswerEnded:
    """An answer was sent, which does not mean that it was heard."""

    status: Literal["completed", "cut", "failed"] = "completed"
    by_caller: bool = False
    """The caller spoke: the server answers that without being asked."""
    error: str = ""
    """Why it failed."""


@dataclass(frozen=True, slots=True)
class SessionFault:
    """The server reports an error: in what we sent, or of its own."""

    message: str
    permanent: bool = False
    """The same request would fail again."""
    ends_session: bool = False
    """There is nothing more to be had from this session."""


@dataclass(frozen=True, slots=True)
class SessionEnding:
    """The server will end the session, in so many seconds: another one must follow, at a good moment before that."""

    left_s: float


@dataclass(frozen=True, slots=True)
class ReplyWanted:
    """The server wants this text message back at once, as after a ping."""

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
    """A message of the server is not what its API says."""


class UnusableFormatError(ValueError):
    """The server wants or sends audio in a format that is not spoken here."""


# -- what the model is told -------------------------------------------------------------------------------------------

Messages: TypeAlias = Sequence[bytes]
"""Text messages to send, in order; a vendor that has no such message gives none."""


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What one call's model is told about its work, and about the line."""

    instructions: str
    greeting: str | None
    """None lets the caller speak first."""
    line: AudioFormat
    """What loses nothing of the line: G.711 as the line has it, or linear at the line's rate."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """More facts of the call, by names of the user's choice."""


class ModelSession(Protocol):
    """A vendor's protocol in one call, through all of its connections: a renewed one begins with `opening` again.

    What a vendor has no message for, its class does not define: nothing is sent then.
    """

    binary_audio: ClassVar[bool] = False
    """Whether the caller's voice is sent in binary messages."""
    hears_phantoms: ClassVar[bool] = False
    """Whether `CallerBegan` comes without a caller who speaks: then the gateway must have heard one too."""
    heard: AudioFormat
    """The audio that the server gets."""
    said: AudioFormat
    """The audio that it sends."""

    @property
    def covered(self) -> bool:
        """Whether a session that followed now would know all that was said in this one."""
        return True

    def opening(self, history: Iterable[tuple[Role, str]]) -> Messages:
        """The first messages of a connection; with what was said in earlier ones, where the vendor takes it here."""

    def accepted(self, history: Iterable[tuple[Role, str]]) -> Messages:  # noqa: ARG002 - for vendors that can say it
        """The next ones, once the session is accepted; with what was said in earlier ones, where it is taken here."""
        return ()

    def greet(self) -> Messages:
        """Have the model speak first, once the first session is accepted."""
        return ()

    def respond(self) -> Messages:
        """Ask for an answer that the server does not give without being asked."""

    def audio(self, data: bytes) -> bytes:
        """The caller's voice, in the format `heard`."""

    def cancel(self) -> Messages:
        """Have the answer that is being made given up."""
        return ()

    def unheard(self, item: str, content_index: int, heard_ms: int) -> Messages:  # noqa: ARG002 - for vendors that can say it
        """Tell how much of an answer was heard, so that the model knows no more of it than the caller."""
        return ()

    def tool_output(self, call: ToolCalled, output: str) -> Messages:
        """What came of a tool."""

    def text(self, text: str) -> Messages:
        """What the caller has told other than by voice, as a part of the conversation."""

    def events(self, text: bytes) -> Sequence[ModelEvent]:
        """What a text message of the server says; nothing for what concerns nobody here.

        Raises:
            BadEventError: it is not what the API says.
            UnusableFormatError: the audio is in a format that is not spoken here.
        """

    def binary(self, data: bytes) -> Sequence[ModelEvent]:
        """As `events`, of a binary message."""
        raise BadEventError(f"a binary message of {len(data)} bytes")


MakeSession: TypeAlias = Callable[[SessionFacts], ModelSession]
