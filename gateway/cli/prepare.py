"""Reads and checks everything that the configuration names. `run` starts with it, `check` only reports the faults."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.agents.errors import AgentSetupError
from gateway.agents.from_settings import agent_settings, unseen_files
from gateway.agents.registry import AgentRegistry
from gateway.dialplan.load import load_plan
from gateway.dialplan.store import PlanStore
from gateway.settings.load import load_settings
from gateway.settings.partial import SettingsError
from gateway.settings.problem import ConfigurationError, DialplanError, Place, Problem, choice
from gateway.settings.service import is_system, service_account, unseen
from gateway.settings.shipped import DIALPLANS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.dialplan.model import Route
    from gateway.dialplan.plan import Plan
    from gateway.settings.document import Document
    from gateway.settings.load import Loaded
    from gateway.settings.model import Settings
    from gateway.settings.partial import PartialSettings


@dataclass(frozen=True, slots=True)
class Prepared:
    """A configuration that can be run."""

    settings: Settings
    source: Path | None
    """The settings file; None for the embedded default."""
    document: Document
    agents: AgentRegistry
    plans: PlanStore
    warnings: tuple[Problem, ...]


def prepare(path: Path | None, *, offline: bool = False) -> Prepared:
    """Read settings, agents and dialplans. Imports the modules of users' agents, and opens no socket.

    Args:
        path: the settings file; None is the embedded default.
        offline: do not require secrets that only the service can see.

    Raises:
        ConfigurationError: with every fault; if the settings are faulty, also faults of the agents and dialplans that
            their valid parts name.
    """
    try:
        loaded = load_settings(path, offline=offline)
    except SettingsError as error:
        raise ConfigurationError([*error.problems, *_further_problems(error.partial)]) from None
    settings = loaded.settings
    problems: list[Problem] = []
    plans: PlanStore | None = None
    agents = _agents(loaded, problems)
    try:
        plans = PlanStore(settings.dialplans, agents=settings.agents, trunks=settings.trunks)
    except DialplanError as error:
        problems += error.problems
    if agents is not None and plans is not None:
        problems += _missing_routes(agents, plans.plan, loaded.document)
    if agents is None or plans is None or problems:
        raise ConfigurationError(problems)
    warnings = [*loaded.warnings, *plans.warnings]
    if offline and loaded.source is not None and is_system(loaded.source):
        warnings += unseen_files({spec.name: spec.settings for spec in agents}, loaded.document)
        warnings += _unseen_sounds(plans.plan)
    return Prepared(settings, loaded.source, loaded.document, agents, plans, tuple(warnings))


def _missing_routes(agents: AgentRegistry, plan: Plan, document: Document) -> Iterator[Problem]:
    """Routes to which agents may transfer callers, but which no dialplan has."""
    for spec in agents:
        for at, route in spec.settings.named_routes():
            if route not in plan.by_name:
                fix = choice(plan.by_name, route)
                yield document.problem(("agents", spec.name, *at), f"there is no route {route}", fix)


def _unseen_sounds(plan: Plan) -> Iterator[Problem]:
    """Sounds of dialplans that the user who runs the check can read, but the service cannot."""
    account = service_account()
    sounds: dict[Path, Route] = {}
    for route in plan.routes:
        for step in (*route.steps, *route.fallback):
            for sound in map(Path, step.named("file")):
                if not sound.is_relative_to(DIALPLANS):
                    sounds.setdefault(sound, route)
    for sound, route in sounds.items():
        found = unseen(sound, account)
        if found is not None:
            message, fix = found
            yield Problem(str(route.file), Place(route.line, 1), route.name, message, None, fix)


def _further_problems(partial: PartialSettings | None) -> list[Problem]:
    """Faults of agents and dialplans, in addition to those of the settings."""
    problems: list[Problem] = []
    if partial is not None:
        _agents(partial, problems)
        try:
            load_plan(partial.dialplans, agents=partial.agents, trunks=partial.trunks, complete=partial.all_dialplans)
        except DialplanError as error:
            problems += error.problems
    return problems


def _agents(read: Loaded | PartialSettings, problems: list[Problem]) -> AgentRegistry | None:
    settings = read.settings
    agents, found = agent_settings(settings.agents, read.document, read.context)
    try:
        registry = AgentRegistry(agents, settings.limits.calls)
    except* AgentSetupError as group:
        found += _agent_problems(read.document, group)
    problems += found
    return None if found else registry


def _agent_problems(document: Document, group: BaseExceptionGroup[AgentSetupError]) -> Iterator[Problem]:
    for error in group.exceptions:
        if isinstance(error, AgentSetupError):
            yield document.problem(("agents", error.agent, error.field), error.message)
        else:
            yield from _agent_problems(document, error)
