"""What goes wrong with an agent, by who must fix it."""

from __future__ import annotations

from typing import Literal

FailureReason = Literal["raised", "stalled", "silent"]
"""`raised`: its code raised; `stalled`: it left its events untaken, or did nothing at all; `silent`: it never began."""


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
    """The agent has as many calls as it may have; another may take this one."""

    def __init__(self, agent: str, detail: str) -> None:
        super().__init__(f"agent {agent!r} is busy: {detail}")
        self.agent = agent
        self.detail = detail


class AgentFailedError(AgentError):
    """The agent failed in this call: the author of the agent must fix it; the caller gets the fallback."""

    def __init__(self, agent: str, reason: FailureReason, detail: str) -> None:
        super().__init__(f"agent {agent!r} failed ({reason}): {detail}")
        self.agent = agent
        self.reason: FailureReason = reason
        self.detail = detail
