"""Runs one agent in one call. The run always ends, and an error of the agent affects only this call."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import structlog

from gateway.agents.agent import Agent, CanBeDiscarded
from gateway.agents.errors import AgentBusyError, AgentError, AgentFailedError, FailureReason, is_retryable
from gateway.agents.isolation import Isolation
from gateway.agents.outcome import DONE, Outcome, outcome_of
from gateway.agents.ready import ready
from gateway.agents.registry import AgentSpec
from gateway.agents.thread import ThreadRun
from gateway.loglines.values import described
from media.conversation.conversation import Conversation
from media.conversation.events import AgentStalledError, CallEndedError, contained

_log = structlog.get_logger("agents")


class AgentRun(Protocol):
    """One agent in one call, from its preparation on; on the loop or in its own thread."""

    async def prepare(self) -> None:
        """Make the agent and call its `prepare`. Called at most once, and only if it has a `prepare`."""

    async def talk(self, call: Conversation) -> Outcome:
        """Run the agent; make it first if `prepare` was not called. Cancellation cancels the agent and waits for it."""

    def discard(self) -> None:
        """Release the agent, unless it has had the call."""


async def prepare(spec: AgentSpec, call_id: str) -> AgentRun:
    """Prepare an agent that has admitted the call; returns at once if it has nothing to prepare.

    The caller must pass the run to `let_talk`, or discard it.

    Raises:
        AgentBusyError: its `prepare` raised an error that is retryable, or took too long.
        AgentFailedError: its `prepare` raised something else.
    """
    run: AgentRun = ThreadRun(spec, call_id) if spec.isolation is Isolation.THREAD else _RunHere(spec)
    if spec.prepare_timeout_s is not None:
        try:
            await _prepare(spec, call_id, run)
        except BaseException:
            run.discard()
            raise
    return run


async def _prepare(spec: AgentSpec, call_id: str, run: AgentRun) -> None:
    with structlog.contextvars.bound_contextvars(call_id=call_id, agent=spec.name):
        work = asyncio.create_task(run.prepare(), name=f"prepare:{spec.name}")
    try:
        await asyncio.wait({work}, timeout=spec.prepare_timeout_s)
        in_time = work.done()
    finally:
        await _end(spec, call_id, work)
    if not in_time:
        raise _unprepared(spec, call_id, _LateError(f"it was not ready after {spec.prepare_timeout_s:g} s"))
    error = asyncio.CancelledError("the agent cancelled itself") if work.cancelled() else work.exception()
    if error is not None:
        raise _unprepared(spec, call_id, error)


class _LateError(TimeoutError):
    """An agent's `prepare` took too long: what it waits for may work again at the next call."""

    retryable = True


def _unprepared(spec: AgentSpec, call_id: str, error: BaseException) -> AgentError:
    if is_retryable(error):
        why = str(error) if isinstance(error, _LateError) else described(error)
        _log.warning("agent.unprepared", agent=spec.name, call_id=call_id, why=why)
        return AgentBusyError(spec.name, f"prepare: {why}")
    spec.failed_total += 1
    _log.error("agent.failed", agent=spec.name, call_id=call_id, reason="unprepared", retryable=False, exc_info=error)
    return AgentFailedError(spec.name, "unprepared", described(error))


async def let_talk(spec: AgentSpec, call: Conversation, run: AgentRun | None = None) -> Outcome:
    """Let an agent that has admitted the call talk; returns when it has finished, or when the call is over.

    `run` is the result of `prepare`; without it the agent is made now.

    On return, everything that it said was played to the end, unless the call is over. The conversation stays open.
    Cancellation cancels the agent, and waits at most `cancel_deadline_s` for it. Log lines that the agent's tasks write
    by structlog have `call_id` and `agent`; those of an `on_audio` consumer do not, as no task of the agent calls it.

    Raises:
        AgentFailedError: it raised, stalled, or never began. Its queued audio may still be played: use `call.close()`.
    """
    # No TaskGroup: it would wait for ever for an agent that suppresses its cancellation.
    work = _start(spec, call, run or await prepare(spec, call.info.call_id))
    try:
        await _attend(spec, call, work)
    finally:
        await _end(spec, call.info.call_id, work)
        call.agent_ended()
    if not call.over:
        await call.said()
    return DONE if not work.done() or work.cancelled() or work.exception() else work.result()


def _start(spec: AgentSpec, call: Conversation, run: AgentRun) -> asyncio.Future[Outcome]:
    with structlog.contextvars.bound_contextvars(call_id=call.info.call_id, agent=spec.name):
        return asyncio.create_task(run.talk(call), name=f"agent:{spec.name}")


class _RunHere:
    """An agent on the gateway's own loop."""

    def __init__(self, spec: AgentSpec) -> None:
        self._spec = spec
        self._agent: Agent | None = None

    async def prepare(self) -> None:
        """See `AgentRun.prepare`."""
        with _contained():
            self._agent = agent = self._spec.make()
            await ready(agent)
        if self._agent is None:  # meanwhile discarded by code that did not wait for this
            self._discard(agent)

    async def talk(self, call: Conversation) -> Outcome:
        """See `AgentRun.talk`."""
        with _contained():
            agent, self._agent = self._agent or self._spec.make(), None
            return outcome_of(await agent.run(call))

    def discard(self) -> None:
        """See `AgentRun.discard`."""
        agent, self._agent = self._agent, None
        self._discard(agent)

    def _discard(self, agent: Agent | None) -> None:
        if not isinstance(agent, CanBeDiscarded):
            return
        try:
            with _contained():
                agent.discard()
        except Exception:  # noqa: BLE001 - the agent's edge: the call continues without it
            _log.exception("agent.discard_failed", agent=self._spec.name)


@contextmanager
def _contained() -> Iterator[None]:
    try:
        yield
    except (SystemExit, KeyboardInterrupt) as error:  # asyncio would end the loop for these two
        raise contained(error) from error


async def _attend(spec: AgentSpec, call: Conversation, work: asyncio.Future[Outcome]) -> None:
    timeout_s = spec.settings.start_timeout_s
    reason: FailureReason = "silent"
    signs = call.signs_of_life
    either: set[asyncio.Future[Any]] = {work, call.ended}
    while True:
        await asyncio.wait(either, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            _raise_failure(spec, call, work)
            return
        if call.failure is not None:
            raise _failed(spec, call, _reason(call.failure), call.failure)
        if call.over:
            await asyncio.wait({work}, timeout=spec.settings.hangup_grace_s)
            return
        waits_for_end = reason == "stalled" and call.end_is_awaited  # not allowed before it has begun
        if call.signs_of_life == signs and not (call.is_attended or waits_for_end):
            raise _failed(spec, call, reason, TimeoutError(f"it neither listened nor spoke for {timeout_s:g} s"))
        signs = call.signs_of_life
        timeout_s = spec.settings.stall_timeout_s
        reason = "stalled"


def _raise_failure(spec: AgentSpec, call: Conversation, work: asyncio.Future[Outcome]) -> None:
    error = asyncio.CancelledError("the agent cancelled itself") if work.cancelled() else work.exception()
    if call.failure is not None:
        error = call.failure
    came_too_late = call.hung_up or (call.ending and call.failure is None)
    if error is None or came_too_late or _is_of_the_end(error):
        if error is not None and not _is_of_the_end(error) and not isinstance(error, asyncio.CancelledError):
            _log.warning("agent.failed_after_hangup", agent=spec.name, call_id=call.info.call_id, exc_info=error)
        return
    raise _failed(spec, call, _reason(error), error)


def _is_of_the_end(error: BaseException) -> bool:
    """Whether the error only says that the call is over; also a group of such errors, from several tasks."""
    if isinstance(error, BaseExceptionGroup):
        return all(_is_of_the_end(one) for one in error.exceptions)
    return isinstance(error, CallEndedError)


def _reason(error: BaseException) -> FailureReason:
    return "stalled" if isinstance(error, AgentStalledError) else "raised"


def _failed(spec: AgentSpec, call: Conversation, reason: FailureReason, error: BaseException) -> AgentFailedError:
    spec.failed_total += 1
    again = is_retryable(error)
    facts = {"agent": spec.name, "call_id": call.info.call_id, "reason": reason, "retryable": again}
    _log.error("agent.failed", **facts, exc_info=error)
    failed = AgentFailedError(spec.name, reason, described(error), retryable=again)
    failed.__cause__ = error
    return failed


async def _end(spec: AgentSpec, call_id: str, work: asyncio.Future[Any]) -> None:
    """Cancel the work if it still runs; if it does not end in time, abandon and count it."""
    if not work.done():
        work.cancel()
        await asyncio.wait({work}, timeout=spec.settings.cancel_deadline_s)
    if work.done():
        if not work.cancelled():
            work.exception()  # retrieved, so that asyncio does not log it: it is already reported
        return
    spec.abandon(work, call_id)
