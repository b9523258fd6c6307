"""One agent in one call: whatever it does, it ends, and its fault stays in its call."""

from __future__ import annotations

import asyncio

import structlog

from gateway.agents.errors import AgentFailedError, FailureReason
from gateway.agents.isolation import Isolation
from gateway.agents.registry import AgentSpec
from gateway.agents.thread import run_in_thread
from gateway.loglines.values import described
from media.conversation.conversation import Conversation
from media.conversation.events import AgentStalledError, CallEndedError, contained

_log = structlog.get_logger("agents")


async def let_talk(spec: AgentSpec, call: Conversation) -> None:
    """Let an agent talk that has a place for the call; returns when it has finished, or when the call is over.

    What it said was heard to the end then. The conversation stays open. Cancellation cancels the agent, and waits
    `cancel_deadline_s` for it at most. What the agent's tasks log by structlog carries `call_id` and `agent`; what an
    `on_audio` consumer logs does not, since no task of the agent calls it.

    Raises:
        AgentFailedError: it raised, stalled, or never began. What it had queued may still sound: `call.close()`.
    """
    # No TaskGroup: it would wait for ever for an agent that swallows its cancellation.
    work = _start(spec, call)
    try:
        await _attend(spec, call, work)
    finally:
        await _end(spec, call, work)
        call.agent_ended()
    if not call.over:
        await call.said()


def _start(spec: AgentSpec, call: Conversation) -> asyncio.Future[None]:
    run = run_in_thread if spec.isolation is Isolation.THREAD else _run_here
    with structlog.contextvars.bound_contextvars(call_id=call.info.call_id, agent=spec.name):
        return asyncio.create_task(run(spec, call), name=f"agent:{spec.name}")


async def _run_here(spec: AgentSpec, call: Conversation) -> None:
    try:
        await spec.make().run(call)
    except (SystemExit, KeyboardInterrupt) as error:  # asyncio lets these two end the loop
        raise contained(error) from error


async def _attend(spec: AgentSpec, call: Conversation, work: asyncio.Future[None]) -> None:
    timeout_s = spec.settings.start_timeout_s
    reason: FailureReason = "silent"
    signs = call.signs_of_life
    while True:
        await asyncio.wait({work, call.ended}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            _raise_failure(spec, call, work)
            return
        if call.failure is not None:
            raise _failed(spec, call, _reason(call.failure), call.failure)
        if call.over:
            await asyncio.wait({work}, timeout=spec.settings.hangup_grace_s)
            return
        waits_for_end = reason == "stalled" and call.end_is_awaited  # who never began must not wait for the end
        if call.signs_of_life == signs and not (call.is_attended or waits_for_end):
            raise _failed(spec, call, reason, TimeoutError(f"it neither listened nor spoke for {timeout_s:g} s"))
        signs = call.signs_of_life
        timeout_s = spec.settings.stall_timeout_s
        reason = "stalled"


def _raise_failure(spec: AgentSpec, call: Conversation, work: asyncio.Future[None]) -> None:
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
    """Whether all that it tells is that the call is over, perhaps in several tasks at once."""
    if isinstance(error, BaseExceptionGroup):
        return all(_is_of_the_end(one) for one in error.exceptions)
    return isinstance(error, CallEndedError)


def _reason(error: BaseException) -> FailureReason:
    return "stalled" if isinstance(error, AgentStalledError) else "raised"


def _failed(spec: AgentSpec, call: Conversation, reason: FailureReason, error: BaseException) -> AgentFailedError:
    spec.failed_total += 1
    _log.error("agent.failed", agent=spec.name, call_id=call.info.call_id, reason=reason, exc_info=error)
    failed = AgentFailedError(spec.name, reason, described(error))
    failed.__cause__ = error
    return failed


async def _end(spec: AgentSpec, call: Conversation, work: asyncio.Future[None]) -> None:
    """Cancel what still runs; leave it behind, counted, when it does not end."""
    if not work.done():
        work.cancel()
        await asyncio.wait({work}, timeout=spec.settings.cancel_deadline_s)
    if work.done():
        if not work.cancelled():
            work.exception()  # taken note of: what mattered of it was told before
        return
    spec.abandon(work, call.info.call_id)
