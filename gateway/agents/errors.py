"""Errors of agents; the class says who must fix the problem."""

from __future__ import annotations

from typing import Literal

FailureReason = Literal["raised", "stalled", "silent", "unprepared"]
"""`raised`: its code raised; `stalled`: it did not take its events, or did nothing at all; `silent`: it never listened
or spoke; `unprepared`: its `prepare` raised."""


class AgentError(Exception):
    """An agent cannot take a call, or could not finish one."""


class AgentSetupError(AgentError):
    """The configuration of an agent is wrong: the administrator must fix it."""

    def __init__(self, agent: str, field: str, message: str) -> None:
        super().__init__(f"agent {agent!r}: {field}: {message}")
        self.agent = agent
        self.field = field
        self.message = message


class AgentBusyError(AgentError):
    """The agent has all the calls it may have, or cannot begin one just now. Another agent may take the call."""

    def __init__(self, agent: str, detail: str) -> None:
        super().__init__(f"agent {agent!r} is busy: {detail}")
        self.agent = agent
        self.detail = detail


class AgentFailedError(AgentError):
    """The agent failed in this call: the author of the agent must fix it; the caller gets the fallback."""

    def __init__(self, agent: str, reason: FailureReason, detail: str, *, retryable: bool = False) -> None:
        again = "; a later call may work" if retryable else ""
        super().__init__(f"agent {agent!r} failed ({reason}): {detail}{again}")
        self.agent = agent
        self.reason: FailureReason = reason
        self.detail = detail
        self.retryable = retryable
        """Whether trying again can help, according to the exception that the agent raised."""


class AgentUnavailableError(Exception):
    """An agent raises this when something that it needs does not work just now, such as an overloaded recogniser.

    Any exception with an attribute `retryable` that is True means the same: trying again can help. Other exceptions
    mean that it cannot. If `prepare` raises it, the dialplan continues with `on_busy`; if `run` does, with `on_error`.
    """

    def __init__(self, detail: str, *, retryable: bool = True) -> None:
        super().__init__(detail)
        self.retryable = retryable


def is_retryable(error: BaseException) -> bool:
    """Whether an exception says that trying again can help; in an exception group, all exceptions must say so."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_retryable(one) for one in error.exceptions)
    return getattr(error, "retryable", False) is True
