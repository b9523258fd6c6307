"""Agents by name. Each call gets a new object; calls are counted while they last."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import structlog

from gateway.agents.breaker import Breaker
from gateway.agents.errors import AgentBusyError, AgentFailedError, AgentSetupError
from gateway.agents.isolation import Isolation
from gateway.agents.kinds.settings import AgentSettings
from gateway.settings.problem import choice
from media.speech.detection import Detector
from media.speech.silero_model import SileroMissingError, network

_log = structlog.get_logger("agents")

ABANDONED_LEAST = 16
"""The least value of `abandoned_max`: a few simultaneous calls that end slowly are no reason to stop an agent."""

PROVEN_S = 10.0
"""An agent that has had a call for this long counts as working, before the call ends."""


class AgentSpec:
    """One agent of the configuration, ready to take calls."""

    __slots__ = (
        "abandoned",
        "abandoned_max",
        "abandoned_total",
        "breaker",
        "calls",
        "failed_total",
        "make",
        "name",
        "prepare_timeout_s",
        "settings",
    )

    def __init__(self, name: str, settings: AgentSettings, gateway_calls: int = ABANDONED_LEAST) -> None:
        """Check what the settings need on this machine: files, modules.

        The agent may abandon as many runs as it may have calls, or `gateway_calls` if it has no own limit: this number
        is reached when all of its calls hang.

        Raises:
            AgentSetupError: names the agent, the field, the value and the fix.
        """
        self.name = name
        """The agent's name in the dialplan."""
        self.settings = settings
        _check_detector(name, settings)
        self.make, self.prepare_timeout_s = settings.maker(name)
        """`make` makes the agent of one call; it may block or raise. `prepare_timeout_s` is None without `prepare`."""
        self.calls = 0
        """How many calls it has now."""
        self.abandoned = 0
        """Runs that did not end after they were cancelled, or that returned and left something running."""
        self.abandoned_total = 0
        self.abandoned_max = max(ABANDONED_LEAST, settings.max_calls or gateway_calls)
        """With this many abandoned runs (each may be a blocked thread) it takes no more calls."""
        self.failed_total = 0
        backup = settings.backup
        self.breaker = None if backup is None else Breaker(backup.failures, backup.cool_down_s)
        """If the agent has a backup: decides whether calls try this agent at all."""

    @property
    def isolation(self) -> Isolation:
        """Where it runs; built-in agents never block."""
        return self.settings.where

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Count a call while it lasts.

        Raises:
            AgentBusyError: it has all the calls it may have, or too many abandoned runs.
        """
        limit = self.settings.max_calls
        if limit is not None and self.calls >= limit:
            raise AgentBusyError(self.name, f"it has {self.calls} calls, max_calls is {limit}")
        if self.abandoned >= self.abandoned_max:
            raise AgentBusyError(self.name, f"{self.abandoned} of its runs were cancelled and have not ended yet")
        self.calls += 1
        try:
            yield
        finally:
            self.calls -= 1

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Report the result of one call's preparation and conversation to the breaker.

        Raises:
            AgentBusyError: the breaker is open, because the agent has failed repeatedly.
        """
        breaker, loop = self.breaker, asyncio.get_running_loop()
        if breaker is None:
            yield
            return
        attempt = breaker.begin(loop.time())
        if attempt is None:
            again = f"tried again in {breaker.wait_s(loop.time()):.0f} s" if breaker.state == "open" else "being tried"
            raise AgentBusyError(self.name, f"{breaker.failed_in_a_row} calls in a row have failed; it is {again}")
        proven = loop.call_later(PROVEN_S, breaker.succeeded, attempt)
        try:
            yield
        except (AgentBusyError, AgentFailedError):
            if breaker.failed(attempt, loop.time()):
                _log.warning("agent.breaker_open", agent=self.name, failed_in_a_row=breaker.failed_in_a_row)
            raise
        except BaseException:
            breaker.left(attempt)
            raise
        else:
            breaker.succeeded(attempt)
        finally:
            proven.cancel()

    def abandon(self, work: asyncio.Future[Any], call_id: str) -> None:
        """Count a run that has not ended within the cancel deadline, until it does."""
        self.abandoned += 1
        self.abandoned_total += 1
        work.add_done_callback(self._on_late_end)
        deadline_s = self.settings.cancel_deadline_s
        _log.error("agent.abandoned", agent=self.name, call_id=call_id, deadline_s=deadline_s, abandoned=self.abandoned)

    def _on_late_end(self, work: asyncio.Future[Any]) -> None:
        self.abandoned -= 1
        if not work.cancelled():
            work.exception()  # retrieved, so that asyncio does not log it: its call ended long ago


def _check_detector(name: str, settings: AgentSettings) -> None:
    """Load the network of the detector now, so that no call waits for it."""
    if settings.effective_barge_in.detector is Detector.SILERO:
        try:
            network()
        except SileroMissingError as error:
            raise AgentSetupError(name, "barge_in.detector", str(error)) from error


class AgentRegistry:
    """The agents that dialplans may name."""

    __slots__ = ("_specs",)

    def __init__(self, agents: Mapping[str, AgentSettings], gateway_calls: int = ABANDONED_LEAST) -> None:
        """Prepare all agents, by name.

        Raises:
            ExceptionGroup: with all `AgentSetupError`s.
        """
        self._specs: dict[str, AgentSpec] = {}
        errors: list[AgentSetupError] = []
        for name, settings in agents.items():
            try:
                self._specs[name] = AgentSpec(name, settings, gateway_calls)
            except AgentSetupError as error:
                errors.append(error)
        errors += self._wrong_backups()
        if errors:
            raise ExceptionGroup("agents cannot be prepared", errors)

    def _wrong_backups(self) -> Iterator[AgentSetupError]:
        for name, spec in self._specs.items():
            backups = spec.settings.backup.agents if spec.settings.backup is not None else ()
            for at, other in enumerate(backups):
                if other == name:
                    yield AgentSetupError(name, "backup", "it is its own backup: name another agent")
                elif other in backups[:at]:
                    yield AgentSetupError(name, "backup", f"{other} is named twice: remove one")
                elif other not in self._specs:
                    yield AgentSetupError(name, "backup", f"there is no agent {other}: {choice(self._specs, other)}")

    def chain(self, name: str) -> tuple[AgentSpec, ...]:
        """The agent of this name, and its backups in order."""
        spec = self._specs[name]
        backup = spec.settings.backup
        return (spec, *(self._specs[other] for other in backup.agents)) if backup is not None else (spec,)

    def __iter__(self) -> Iterator[AgentSpec]:
        return iter(self._specs.values())

    def __contains__(self, name: str) -> bool:
        return name in self._specs

    def __getitem__(self, name: str) -> AgentSpec:
        """The agent of this name; KeyError if there is none."""
        return self._specs[name]
