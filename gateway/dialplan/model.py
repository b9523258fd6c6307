"""A dialplan as it is run: ordered routes, what each wants of a call, and the steps it takes.

Steps are written as maps of one key, `- play: {file: menu.wav, repeat: 2}`; where one value says it all the short form
is the same: `- play: menu.wav`, `- agent: echo`, `- pause: 2s`, `- goto: sales`, `- reject: 404`, `- answer`.
What each step does is said once, in `gateway.dialplan.run`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self, TypeAlias

from pydantic import BeforeValidator, Field, model_validator

from gateway.dialplan.control import Cause
from gateway.settings.context import SoundFile
from gateway.settings.validation import fault
from gateway.settings.values import Model, Name, PositiveSeconds, Text, name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.dialplan.pattern import Pattern

FIRST_REJECTION, LAST_REJECTION = 400, 699
CHALLENGES = {401, 407}
RETRY_AFTER_CODES = {404, 413, 480, 486, 500, 503, 600, 603}
"""Answers in which Retry-After has a meaning (RFC 3261, 20.33)."""


class _Step(Model):
    word: ClassVar[str]
    """The step's key in a dialplan."""
    main: ClassVar[str | None] = None
    """The key that the short form stands for."""


class Answer(_Step):
    """Take the call (200)."""

    word = "answer"


class Ring(_Step):
    """Let it ring: 180, or 183 with media from now on when `early`."""

    word = "ring"
    early: bool = False


class Play(_Step):
    """Play a sound to its end."""

    word = "play"
    main = "file"
    file: SoundFile
    repeat: Annotated[int, Field(ge=1, le=1000)] = 1
    """How many times in all."""


class Pause(_Step):
    """Wait."""

    word = "pause"
    main = "duration"
    duration_s: PositiveSeconds = Field(alias="duration")


class Goto(_Step):
    """Go on with another route's steps."""

    word = "goto"
    main = "route"
    route: Name


def _after(value: object) -> object:
    """`next`, `fallback`, `hangup`, or `{goto: route}`."""
    match value:
        case Goto():
            return value
        case str() if value in {"next", "fallback", "hangup"}:
            return str(value)
        case {"goto": str(route), **others} if not others:
            return Goto(route=name(route))
    raise fault("not a way to go on", "write next, fallback, hangup or {goto: route}")


After: TypeAlias = Annotated[Literal["next", "fallback", "hangup"] | Goto, BeforeValidator(_after)]


class Agent(_Step):
    """Let an agent have the call."""

    word = "agent"
    main = "name"
    name: Name
    max_duration_s: PositiveSeconds | None = Field(default=None, alias="max_duration")
    on_busy: After = "fallback"
    on_error: After = "fallback"


class Reject(_Step):
    """Refuse a call that was not answered."""

    word = "reject"
    main = "code"
    code: Annotated[int, Field(ge=FIRST_REJECTION, le=LAST_REJECTION)]
    reason: Text | None = None
    """The reason phrase; None is the code's own."""
    retry_after_s: PositiveSeconds | None = Field(default=None, alias="retry_after")

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.code in CHALLENGES:
            raise fault(f"{self.code} asks for a password, and nothing here checks one", "reject with 403")
        if self.retry_after_s is not None and self.code not in RETRY_AFTER_CODES:
            codes = ", ".join(map(str, sorted(RETRY_AFTER_CODES)))
            raise fault(f"retry_after has no meaning with {self.code}", f"remove it, or use one of {codes}")
        return self


class Hangup(_Step):
    """End the call."""

    word = "hangup"
    main = "cause"
    cause: Cause = Cause.NORMAL


Step: TypeAlias = Answer | Ring | Play | Pause | Agent | Reject | Hangup | Goto
STEPS: Mapping[str, type[Step]] = MappingProxyType(
    {step.word: step for step in (Answer, Ring, Play, Pause, Agent, Reject, Hangup, Goto)}
)


@dataclass(frozen=True, slots=True)
class Match:
    """What a route wants of a call: each key that is given, by any one of its patterns."""

    to: tuple[Pattern, ...] = ()
    from_: tuple[Pattern, ...] = ()
    trunk: tuple[Pattern, ...] = ()
    header: tuple[tuple[str, tuple[Pattern, ...]], ...] = ()
    """Header names as written, with their patterns."""
    any: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """One entry of a dialplan."""

    name: str
    match: Match | None
    """None: only a goto leads here."""
    steps: tuple[Step, ...]
    fallback: tuple[Step, ...]
    file: Path
    line: int
