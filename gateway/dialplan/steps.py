"""The steps of a dialplan. Each class declares what the loader, `offhook check` and `offhook route` need to know.

Steps are written as maps of one key, `- play: {file: menu.wav, repeat: 2}`. Where one value is enough there is a short
form: `- play: menu.wav`, `- agent: echo`, `- pause: 2s`, `- goto: sales`, `- reject: 404`, `- answer`.
`gateway.dialplan.run` says what each step does.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self, TypeAlias, get_args

from pydantic import BeforeValidator, Field, model_validator

from gateway.dialplan.control import Cause
from gateway.settings.context import SoundFile
from gateway.settings.validation import fault
from gateway.settings.values import Model, Name, PositiveSeconds, Text, name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FIRST_REJECTION, LAST_REJECTION = 400, 699
CHALLENGES = {401, 407}
RETRY_AFTER_CODES = {404, 413, 480, 486, 500, 503, 600, 603}
"""Responses in which Retry-After has a meaning (RFC 3261, 20.33)."""

Thing: TypeAlias = Literal["agent", "route", "trunk", "file"]
"""What a step can name."""
KeyPath: TypeAlias = tuple[str, ...]
"""Keys below a step: `("on_busy", "goto")`."""


class Step(Model):
    """What all steps have. A subclass sets what differs from these defaults."""

    word: ClassVar[str]
    """The step's key in a dialplan."""
    main: ClassVar[str | None] = None
    """The key that gets the value of the short form."""
    ends_route: ClassVar[bool] = False
    """No step after it runs."""
    takes_time: ClassVar[bool] = False
    """The step waits, so a loop of gotos through it is allowed."""
    may_fail: ClassVar[bool] = False
    """It may lead to the fallback."""
    names: ClassVar[Mapping[Thing, tuple[KeyPath, ...]]] = MappingProxyType({})
    """Where it names agents, routes, trunks or files. Names of agents, routes and trunks are checked."""
    may_go_anywhere: ClassVar[bool] = False
    """It may lead to a route whose name is known only at run time."""
    failure_keys: ClassVar[tuple[str, ...]] = ()
    """Keys that say how the route continues after a failure (`After`)."""
    too_late: ClassVar[str | None] = None
    """The fix if the step has no effect because the call is already answered; None if it has one on any call."""

    @classmethod
    def may_be_early(cls, step: Self | None) -> bool:
        """Whether callers may hear sounds before the answer from this step on. The step is None when it is faulty."""
        del step
        return False

    @classmethod
    def answers(cls, step: Self | None, *, early: bool) -> bool:
        """Whether the call is answered for certain when the next step begins. The step is None when it is faulty.

        Args:
            step: the step.
            early: whether callers may hear sounds before the answer.
        """
        del step, early
        return False

    @classmethod
    def answers_before_failing(cls, *, early: bool) -> bool:
        """Like `answers`, for the case that the step fails and the fallback begins."""
        del early
        return False

    def named(self, thing: Thing) -> Iterator[str]:
        """The agents, routes, trunks or files that it names."""
        for path in self.names.get(thing, ()):
            value: object = self
            for key in path:
                value = getattr(value, key, None)
            if value is not None:
                yield str(value)


class AnswerStep(Step):
    """Take the call (200)."""

    word = "answer"

    @classmethod
    def answers(cls, step: Self | None, *, early: bool) -> bool:
        """Always."""
        del step, early
        return True


class RingStep(Step):
    """Ring: 180, or 183 with media from now on when `early`."""

    word = "ring"
    too_late = "move it up, or remove it"
    early: bool = False

    @classmethod
    def may_be_early(cls, step: Self | None) -> bool:
        """With `early: true`."""
        return step is None or step.early


class PlayStep(Step):
    """Play a sound to its end."""

    word = "play"
    main = "file"
    takes_time = True
    may_fail = True
    names = MappingProxyType({"file": (("file",),)})
    file: SoundFile
    repeat: Annotated[int, Field(ge=1, le=1000)] = 1
    """How many times in total."""

    @classmethod
    def answers(cls, step: Self | None, *, early: bool) -> bool:
        """When sounds cannot be heard otherwise."""
        del step
        return not early

    @classmethod
    def answers_before_failing(cls, *, early: bool) -> bool:
        """Likewise: the call is answered before the file is opened."""
        return not early


class PauseStep(Step):
    """Wait."""

    word = "pause"
    main = "duration"
    takes_time = True
    duration_s: PositiveSeconds = Field(alias="duration")


class GotoStep(Step):
    """Continue with another route's steps."""

    word = "goto"
    main = "route"
    ends_route = True
    names = MappingProxyType({"route": (("route",),)})
    route: Name


class JumpTo(Model):
    """`{goto: route}` as the value of a key."""

    goto: Name


def _after(value: object) -> object:
    """`next`, `fallback`, `hangup`, or `{goto: route}`."""
    match value:
        case JumpTo():
            return value
        case str() if value in {"next", "fallback", "hangup"}:
            return str(value)
        case {"goto": str(route), **others} if not others:
            return JumpTo(goto=name(route))
    raise fault("not a valid way to continue", "write next, fallback, hangup or {goto: route}")


After: TypeAlias = Annotated[Literal["next", "fallback", "hangup"] | JumpTo, BeforeValidator(_after)]


class AgentStep(Step):
    """Connect the call to an agent."""

    word = "agent"
    main = "name"
    takes_time = True
    may_fail = True
    names = MappingProxyType({"agent": (("name",),), "route": (("on_busy", "goto"), ("on_error", "goto"))})
    may_go_anywhere = True  # to the route that the agent asks for
    failure_keys = ("on_busy", "on_error")
    name: Name
    max_duration_s: PositiveSeconds | None = Field(default=None, alias="max_duration")
    on_busy: After = "fallback"
    on_error: After = "fallback"

    @classmethod
    def answers(cls, step: Self | None, *, early: bool) -> bool:
        """Unless the next step also follows when the agent is busy or not prepared, and may then refuse the call."""
        del early
        return step is not None and "next" not in {step.on_busy, step.on_error}


class RejectStep(Step):
    """Refuse a call that was not answered."""

    word = "reject"
    main = "code"
    ends_route = True
    too_late = "use hangup"
    code: Annotated[int, Field(ge=FIRST_REJECTION, le=LAST_REJECTION)]
    reason: Text | None = None
    """The reason phrase; None means the default phrase of the code."""
    retry_after_s: PositiveSeconds | None = Field(default=None, alias="retry_after")

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.code in CHALLENGES:
            raise fault(f"{self.code} asks for a password, and nothing here checks one", "reject with 403")
        if self.retry_after_s is not None and self.code not in RETRY_AFTER_CODES:
            codes = ", ".join(map(str, sorted(RETRY_AFTER_CODES)))
            raise fault(f"retry_after has no meaning with {self.code}", f"remove it, or use one of {codes}")
        return self


class HangupStep(Step):
    """End the call."""

    word = "hangup"
    main = "cause"
    ends_route = True
    cause: Cause = Cause.NORMAL


AnyStep: TypeAlias = (
    AnswerStep  # error messages list them in this order
    | RingStep
    | PlayStep
    | PauseStep
    | AgentStep
    | RejectStep
    | HangupStep
    | GotoStep
)
STEPS: Mapping[str, type[AnyStep]] = MappingProxyType({step.word: step for step in get_args(AnyStep)})
"""The classes by their words."""
