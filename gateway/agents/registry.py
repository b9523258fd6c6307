"""Agents by name, each made anew for every call and counted while it has one."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import structlog

from gateway.agents.agent import Agent
from gateway.agents.echo import EchoAgent
from gateway.agents.errors import AgentBusyError, AgentSetupError
from gateway.agents.python import load_class
from gateway.agents.settings import (
    AgentSettings,
    EchoSettings,
    Isolation,
    PythonSettings,
    SpeakerSettings,
    ToneSettings,
)
from gateway.agents.speaker import SpeakerAgent, check_files
from gateway.agents.tone import ToneAgent

_log = structlog.get_logger("agents")


class AgentSpec:
    """One agent of the configuration, ready to take calls."""

    __slots__ = ("abandoned", "abandoned_total", "calls", "failed_total", "make", "settings")

    def __init__(self, settings: AgentSettings) -> None:
        """Check the settings against the machine: files, modules.

        Raises:
            AgentSetupError: names the agent, the field, the value and the fix.
        """
        self.settings = settings
        self.make: Callable[[], Agent] = _factory(settings)
        """Makes the agent of one call; may block or raise if it is a user's class."""
        self.calls = 0
        """Calls it has now."""
        self.abandoned = 0
        """Runs that have not ended although they were cancelled, or have returned and leave something behind."""
        self.abandoned_total = 0
        self.failed_total = 0

    @property
    def name(self) -> str:
        """As the dialplan names it."""
        return self.settings.name

    @property
    def isolation(self) -> Isolation:
        """Where it runs; built-in agents never block."""
        kind = self.settings.kind
        return kind.isolation if isinstance(kind, PythonSettings) else Isolation.NONE

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Count a call while it lasts.

        Raises:
            AgentBusyError: it has all the calls it may have, or too many of its runs never ended.
        """
        limit = self.settings.max_calls
        if limit is not None and self.calls >= limit:
            raise AgentBusyError(self.name, f"it has {self.calls} calls, max_calls is {limit}")
        if self.abandoned >= self.settings.abandoned_max:
            raise AgentBusyError(self.name, f"{self.abandoned} of its runs were cancelled and have not ended yet")
        self.calls += 1
        try:
            yield
        finally:
            self.calls -= 1

    def abandon(self, work: asyncio.Future[None], call_id: str) -> None:
        """Count a run that has not ended within the cancel deadline, until it does."""
        self.abandoned += 1
        self.abandoned_total += 1
        work.add_done_callback(self._on_late_end)
        deadline_s = self.settings.cancel_deadline_s
        _log.error("agent.abandoned", agent=self.name, call_id=call_id, deadline_s=deadline_s, abandoned=self.abandoned)

    def _on_late_end(self, work: asyncio.Future[None]) -> None:
        self.abandoned -= 1
        if not work.cancelled():
            work.exception()  # taken note of; its call ended long ago


class AgentRegistry:
    """The agents that dialplans may name."""

    __slots__ = ("_specs",)

    def __init__(self, settings: Iterable[AgentSettings]) -> None:
        """Prepare all of them.

        Raises:
            ExceptionGroup: of every `AgentSetupError` there is.
        """
        self._specs: dict[str, AgentSpec] = {}
        errors: list[AgentSetupError] = []
        for one in settings:
            try:
                self._specs[one.name] = AgentSpec(one)
            except AgentSetupError as error:
                errors.append(error)
        if errors:
            raise ExceptionGroup("agents cannot be prepared", errors)

    def __iter__(self) -> Iterator[AgentSpec]:
        return iter(self._specs.values())

    def __contains__(self, name: str) -> bool:
        return name in self._specs

    def __getitem__(self, name: str) -> AgentSpec:
        """The agent of this name; KeyError if there is none."""
        return self._specs[name]


def _factory(settings: AgentSettings) -> Callable[[], Agent]:
    kind = settings.kind
    match kind:
        case EchoSettings():
            return EchoAgent
        case ToneSettings():
            return lambda: ToneAgent(kind)
        case SpeakerSettings():
            check_files(settings.name, kind)
            return lambda: SpeakerAgent(kind)
        case PythonSettings():
            user_class = load_class(settings.name, kind)
            # A copy for each call: what an agent does to a list of its options must not reach the next caller.
            return lambda: user_class(**copy.deepcopy(dict(kind.options)))
