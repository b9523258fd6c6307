"""What the steps of a route do to a call.

Steps run in order, each to its end:

- `answer`: 200. On an answered call it does nothing.
- `ring`: 180; with `early: true` 183, and sounds can be heard before the call is answered (and charged). The
  next step follows at once: put a `pause` after it to let it ring. On an answered call it does nothing.
- `play`: answers first, unless the call is answered or rings early. The next step follows when the sound has ended.
- `pause`: waits; never answers.
- `agent`: takes a place with the agent, lets an unanswered call ring while the agent prepares itself (if it does), then
  answers if necessary, then waits until the agent is done, or `max_duration` has passed: the next step follows in both
  cases, or the route that the agent asks for. When the agent itself hangs up, the call ends.
  An agent that has a `backup` in gateway.yaml and cannot take the call, or fails, gives it to the backup first.
  No place, or the agent cannot begin just now: `on_busy`; this does not answer the call. The agent fails, or asks for
  a route that does not exist, or for a transfer: `on_error`. Both may be `next` (the next step), `fallback` (the
  route's fallback steps; the default), `hangup`, or `{goto: route}`.
- `reject`: refuses the call, with any code from 400 on. An answered call cannot be refused any more, so it is hung up.
- `hangup`: ends the call. A call that was not answered is refused with the response that matches `cause`
  (normal and unavailable 480, busy 486, declined 603, congestion 503, error 500).
- `goto`: goes on with the steps of another route, and with its fallback from then on. Nothing comes back.

A sound that cannot be played leads to the fallback. `fallback` in a route without fallback steps, or within
the fallback steps, means that the call ends: with 486 when the agent was busy, 500 after an error, or BYE when it was
answered.
After the last step the call is hung up, or refused with 480 when it was not answered. After the last fallback step it
is hung up, or refused with 486 or 500, depending on what failed. The BYE after an agent's failure gives
congestion as its reason if the agent said that trying again can help.
More than MAX_JUMPS gotos end the call: a loop whose agent is always busy would never end.

When the caller hangs up, the task that runs `run_route` is cancelled; the cancellation is never swallowed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, assert_never

from gateway.agents.errors import AgentBusyError, AgentFailedError
from gateway.agents.outcome import GoTo, Outcome, TransferTo
from gateway.dialplan.control import AgentEnded, CallControl, Cause, Why
from gateway.dialplan.steps import (
    AgentStep,
    AnswerStep,
    GotoStep,
    HangupStep,
    JumpTo,
    PauseStep,
    PlayStep,
    RejectStep,
    RingStep,
)
from media.wav import WavError

if TYPE_CHECKING:
    from gateway.dialplan.model import Route
    from gateway.dialplan.plan import Plan
    from gateway.dialplan.steps import After, AnyStep

MAX_JUMPS = 50


@dataclass(frozen=True, slots=True)
class Ending:
    """How a route ended a call. Not used when the caller hung up."""

    why: Why
    cause: Cause
    code: int | None
    """The final answer, when the call was refused; None when it was answered and hung up."""
    routes: tuple[str, ...]
    """The routes whose steps ran, in order."""
    trouble: Why | None = None
    """The failure that ended the call, or that led to the fallback steps that ended it."""
    detail: str = ""
    """The failed step's error message."""


@dataclass(frozen=True, slots=True)
class _Trouble:
    """A step failed."""

    why: Why
    cause: Cause
    detail: str


_Next: TypeAlias = "Ending | JumpTo | _Trouble | None"


async def run_route(plan: Plan, route: Route, control: CallControl) -> Ending:
    """Run a route's steps on a call until a step ends the call, or no steps are left.

    When it returns the call has been hung up or refused. Exceptions of `control` other than those in its contract
    pass through, and the call is left as it was.
    """
    return await _Run(plan, control, route).to_the_end()


class _Run:
    """One call's way through the plan."""

    def __init__(self, plan: Plan, control: CallControl, route: Route) -> None:
        self._plan = plan
        self._control = control
        self._route = route
        self._steps = list(reversed(route.steps))
        """The steps that are still to run, in reverse order."""
        self._visited = [route.name]
        self._early = False
        self._in_fallback = False
        self._trouble: _Trouble | None = None
        """What failed last."""

    async def to_the_end(self) -> Ending:
        while self._steps:
            outcome = await self._step(self._steps.pop())
            match outcome:
                case None:
                    continue
                case Ending():
                    return outcome
                case JumpTo():
                    if len(self._visited) > MAX_JUMPS:
                        return await self._end(Why.TOO_MANY_JUMPS, Cause.ERROR)
                    self._enter(self._plan.by_name[outcome.goto])
                case _Trouble():
                    if self._in_fallback or not self._route.fallback:
                        return await self._end(outcome.why, outcome.cause)
                    self._in_fallback = True
                    self._steps = list(reversed(self._route.fallback))
                case _:
                    assert_never(outcome)
        if self._in_fallback and self._trouble is not None:
            return await self._end(Why.RAN_OUT, self._trouble.cause)
        return await self._end(Why.RAN_OUT, Cause.NORMAL)

    def _enter(self, route: Route) -> None:
        self._route = route
        self._steps = list(reversed(route.steps))
        self._visited.append(route.name)
        self._in_fallback = False

    async def _step(self, step: AnyStep) -> _Next:
        outcome: _Next = None
        match step:
            case AnswerStep():
                await self._control.answer()
            case RingStep():
                await self._ring(step)
            case PlayStep():
                outcome = await self._play(step)
            case PauseStep():
                await self._control.pause(step.duration_s)
            case AgentStep():
                outcome = await self._agent(step)
            case RejectStep():
                outcome = await self._reject(step)
            case HangupStep():
                outcome = await self._end(Why.STEP, step.cause)
            case GotoStep():
                outcome = JumpTo(goto=step.route)
            case _:
                assert_never(step)
        return outcome

    async def _ring(self, step: RingStep) -> None:
        if not self._control.answered:
            self._early = await self._control.ring(early=step.early) or self._early

    async def _play(self, step: PlayStep) -> _Next:
        if not self._control.answered and not self._early:
            await self._control.answer()
        try:
            await self._control.play(step.file, repeat=step.repeat)
        except WavError as error:
            return self._note(_Trouble(Why.SOUND_FAILED, Cause.ERROR, str(error)))
        return None

    async def _agent(self, step: AgentStep) -> _Next:
        try:
            ended = await self._control.run_agent(step.name, max_duration_s=step.max_duration_s)
        except AgentBusyError as error:
            return await self._after(step.on_busy, _Trouble(Why.AGENT_BUSY, Cause.BUSY, str(error)))
        except AgentFailedError as error:
            cause = Cause.CONGESTION if error.retryable else Cause.ERROR
            return await self._after(step.on_error, _Trouble(Why.AGENT_FAILED, cause, str(error)))
        return await self._after_agent(step, ended)

    async def _after_agent(self, step: AgentStep, ended: Outcome | AgentEnded) -> _Next:
        match ended:
            case AgentEnded.HUNG_UP:
                return await self._end(Why.AGENT_HUNG_UP, Cause.NORMAL)
            case GoTo(route=route) if route in self._plan.by_name:
                return JumpTo(goto=route)
            case GoTo(route=route):
                return await self._wrong_outcome(step, f"it asked for route {route!r}, and there is no such route")
            case TransferTo(target=target):
                return await self._wrong_outcome(step, f"it asked for a transfer to {target!r}: not possible yet")
            case _:
                return None

    async def _wrong_outcome(self, step: AgentStep, detail: str) -> _Next:
        trouble = _Trouble(Why.AGENT_FAILED, Cause.ERROR, f"agent {step.name!r}: {detail}")
        return await self._after(step.on_error, trouble)

    def _note(self, trouble: _Trouble) -> _Trouble:
        self._trouble = trouble
        self._control.note_failure(trouble.why, trouble.detail)
        return trouble

    async def _after(self, way: After, trouble: _Trouble) -> _Next:
        self._note(trouble)
        match way:
            case JumpTo():
                return way
            case "next":
                return None
            case "hangup":
                return await self._end(trouble.why, trouble.cause)
            case _:
                return trouble

    async def _reject(self, step: RejectStep) -> Ending:
        if self._control.answered:
            return await self._end(Why.STEP, Cause.NORMAL)
        await self._control.reject(step.code, step.reason, step.retry_after_s)
        return self._ending(Why.STEP, _cause_of(step.code), step.code)

    async def _end(self, why: Why, cause: Cause) -> Ending:
        if self._control.answered:
            await self._control.hang_up(cause)
            return self._ending(why, cause, None)
        await self._control.reject(cause.sip_code, None, None)
        return self._ending(why, cause, cause.sip_code)

    def _ending(self, why: Why, cause: Cause, code: int | None) -> Ending:
        trouble = self._trouble
        return Ending(
            why,
            cause,
            code,
            tuple(self._visited),
            trouble.why if trouble else None,
            trouble.detail if trouble else "",
        )


def _cause_of(code: int) -> Cause:
    """The cause that a record shows for a refusal with this code."""
    match code:
        case 486 | 600:
            return Cause.BUSY
        case 403 | 603:
            return Cause.DECLINED
        case 503:
            return Cause.CONGESTION
        case 500:
            return Cause.ERROR
        case _:
            return Cause.UNAVAILABLE
