"""What goes wrong with a backend."""

from __future__ import annotations

from gateway.agents.errors import AgentUnavailableError

NOT_JSON = (ValueError, RecursionError)
"""What msgspec raises for bytes that are no JSON, not UTF-8, not of the type, or nested too deeply."""


class BackendError(AgentUnavailableError):
    """A backend cannot be reached, or failed in mid-call."""
