"""What goes wrong with a backend."""

from __future__ import annotations

from gateway.agents.errors import AgentUnavailableError


class BackendError(AgentUnavailableError):
    """A backend cannot be reached, or failed in mid-call."""
