"""What goes wrong with an agent, by who must fix it."""

from __future__ import annotations

from typing import Literal

FailureReason = Literal["raised", "stalled", "silent", "unprepared"]
"""`raised`: its code raised; `stalled`: it left its events untaken, or did nothing at all; `silent`: it never began;
`unprepared`: its `prepare` raised."""


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
    """The agent has as many calls as it may have, or cannot begin another just now; another may take this one."""

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
        """Whether trying again can help: what raised says so."""


class AgentUnavailableError(Exception):
    """For agents to raise: what they need does not work just now, such as a recogniser that is overloaded.

    Any exception with an attribute `retryable` that is true says the same: trying again can help. Other exceptions say
    that it cannot. Raised by `prepare`, it leads to `on_busy`; raised by `run`, to `on_error`.
    """

    def __init__(self, detail: str, *, retryable: bool = True) -> None:
        super().__init__(detail)
        self.retryable = retryable


def is_retryable(error: BaseException) -> bool:
    """Whether an exception says that trying again can help; of several at once, all must say so."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_retryable(one) for one in error.exceptions)
    return getattr(error, "retryable", False) is True
