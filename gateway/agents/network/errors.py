"""Errors of backends on the network."""

from __future__ import annotations

from gateway.agents.errors import AgentUnavailableError

NOT_JSON = (ValueError, RecursionError)
"""What msgspec raises for bytes that are not JSON, not UTF-8, not of the expected type, or nested too deeply."""


class BackendError(AgentUnavailableError):
    """A backend cannot be reached, or failed during a call."""
