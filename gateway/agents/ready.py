"""Calls an agent's `prepare`."""

from __future__ import annotations

import inspect

from gateway.agents.agent import Agent, PreparesItself


async def ready(agent: Agent) -> None:
    """Call the agent's `prepare`, if it has one, and wait for it if it is a coroutine."""
    if isinstance(agent, PreparesItself):
        prepared = agent.prepare()
        if inspect.isawaitable(prepared):
            await prepared
