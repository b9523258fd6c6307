"""What only shows when all routes are known: names that lead nowhere, steps that never run, loops without an end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.dialplan.model import Agent, Answer, Goto, Hangup, Pause, Play, Reject, Ring
from gateway.dialplan.pattern import Exact
from gateway.settings.document import dotted
from gateway.settings.problem import Problem, choice, shown

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from gateway.dialplan.model import Route
    from gateway.dialplan.model import Step as DialplanStep
    from gateway.settings.document import Document, Step


@dataclass(frozen=True, slots=True)
class Names:
    """What a plan may refer to outside of itself."""

    agents: Collection[str]
    trunks: Collection[str] | None


@dataclass(frozen=True, slots=True)
class Written:
    """A route and where it is written."""

    route: Route
    document: Document
    at: tuple[Step, ...]
    steps: tuple[tuple[tuple[Step, ...], DialplanStep], ...]
    """Every step and fallback step that could be read, with its path below the route."""
    whole: bool
    """False when something in it could not be read; only names are reviewed then."""

    def problem(self, path: Iterable[Step], message: str, mend: str, value: str | None = None) -> Problem:
        """A problem at a path below the route."""
        full = (*self.at, *path)
        shown_value = None if value is None else shown(value)
        return Problem(self.document.name, self.document.place(full), dotted(full), message, shown_value, mend)


def review(routes: Sequence[Written], names: Names, problems: list[Problem]) -> list[Problem]:
    """Add every fault to `problems`; returns warnings."""
    problems += _twice(routes)
    route_names = [written.route.name for written in routes]
    complete = not problems
    for written in routes:
        problems += _unknown_agents(written, names.agents)
        problems += _unknown_trunks(written, names.trunks)
        if complete:
            problems += _unknown_routes(written, route_names)
        if written.whole:
            problems += _order(written, written.route.steps, "steps")
            problems += _order(written, written.route.fallback, "fallback")
            problems += _no_fallback(written)
    if not problems:
        problems += [*_loops(routes), *_unreached(routes)]
    return list(_shadowed(routes))


def _twice(routes: Iterable[Written]) -> Iterator[Problem]:
    first: dict[str, Written] = {}
    for written in routes:
        name = written.route.name
        if name and name in first:
            other = first[name].route
            yield written.problem(
                ("name",), f"the name is taken by the route at {other.file}:{other.line}", "choose another", name
            )
        first.setdefault(name, written)


def _unknown_agents(written: Written, agents: Collection[str]) -> Iterator[Problem]:
    for path, step in written.steps:
        if isinstance(step, Agent) and step.name not in agents:
            mend = choice(agents, step.name) if agents else "define it under agents in the settings"
            yield written.problem((*path, "name"), "there is no such agent", mend, step.name)


def _unknown_trunks(written: Written, trunks: Collection[str] | None) -> Iterator[Problem]:
    if trunks is None:
        return
    for pattern in written.route.match.trunk if written.route.match else ():
        if any(pattern.matches(trunk) for trunk in trunks):
            continue
        mend = "define it under trunks in the settings"
        if isinstance(pattern, Exact) and trunks:
            mend = f"{choice(trunks, pattern.text)}, or {mend}" if trunks else mend
        yield written.problem(("match", "trunk"), "there is no such trunk", mend, str(pattern))


def _gotos(step: DialplanStep) -> Iterator[tuple[tuple[Step, ...], str]]:
    """The routes a step may lead to, with the path below the step at which each is named."""
    match step:
        case Goto():
            yield ("route",), step.route
        case Agent():
            for key, way in (("on_busy", step.on_busy), ("on_error", step.on_error)):
                if isinstance(way, Goto):
                    yield (key, "goto"), way.route


def _unknown_routes(written: Written, names: Collection[str]) -> Iterator[Problem]:
    for path, step in written.steps:
        for below, name in _gotos(step):
            if name not in names:
                yield written.problem((*path, *below), "there is no such route", choice(names, name), name)


def _order(written: Written, steps: Sequence[DialplanStep], key: str) -> Iterator[Problem]:
    """Steps that never run, or that come too late to do anything."""
    answered = False
    early = False
    for index, step in enumerate(steps):
        path = (key, index, step.word)
        if index and isinstance(steps[index - 1], Goto | Hangup | Reject):
            yield written.problem(
                path, f"it never runs: {steps[index - 1].word} comes before", "remove it, or move it up"
            )
        if answered and isinstance(step, Ring):
            yield written.problem(path, "the call is answered by then", "move it up, or remove it")
        if answered and isinstance(step, Reject):
            yield written.problem(path, "the call is answered by then", "use hangup")
        early = early or (isinstance(step, Ring) and step.early)
        # An agent that is busy leaves the call unanswered, and the next step may rightly refuse it.
        takes_it = isinstance(step, Agent) and step.on_busy != "next"
        answered = answered or isinstance(step, Answer) or takes_it or (isinstance(step, Play) and not early)


def _no_fallback(written: Written) -> Iterator[Problem]:
    """`fallback` written out where there is none to go to."""
    mend = "add fallback: to the route, or write next, hangup or {goto: route}"
    for path, step in written.steps:
        if not isinstance(step, Agent) or (path[0] == "steps" and written.route.fallback):
            continue
        message = "a fallback has no fallback" if path[0] == "fallback" else "the route has no fallback"
        for key in ("on_busy", "on_error"):
            if key in step.model_fields_set and getattr(step, key) == "fallback":
                yield written.problem((*path, key), message, mend, "fallback")


def _loops(routes: Sequence[Written]) -> Iterator[Problem]:
    """Gotos in a circle in which nothing takes time: they would spin until the limit."""
    at_once = {
        written.route.name: step.route
        for written in routes
        for index, step in enumerate(written.route.steps)
        if isinstance(step, Goto) and not _takes_time(written.route.steps[:index])
    }
    by_name = {written.route.name: written for written in routes}
    walked: set[str] = set()
    for start in by_name:
        way: list[str] = []
        name: str | None = start
        while name is not None and name not in way and name not in walked:
            way.append(name)
            name = at_once.get(name)
        if name in way:
            yield _loop(by_name[name], way[way.index(name) :])
        walked.update(way)


def _loop(written: Written, names: Sequence[str]) -> Problem:
    index = next(index for index, step in enumerate(written.route.steps) if isinstance(step, Goto))
    circle = " -> ".join([*names, names[0]])
    return written.problem(
        ("steps", index, "goto"), f"it goes in a circle without a pause: {circle}", "end one of the routes otherwise"
    )


def _takes_time(steps: Sequence[DialplanStep]) -> bool:
    return any(isinstance(step, Play | Pause | Agent) for step in steps)


def _targets(routes: Iterable[Written]) -> set[str]:
    return {name for written in routes for _, step in written.steps for _, name in _gotos(step)}


def _unreached(routes: Sequence[Written]) -> Iterator[Problem]:
    """Routes without a match that no goto names."""
    targets = _targets(routes)
    for written in routes:
        if written.route.match is None and written.route.name not in targets:
            mend = "add match: to take calls, or goto: it from another route"
            yield written.problem((), "it has no match, and no goto leads to it", mend)


def _shadowed(routes: Sequence[Written]) -> Iterator[Problem]:
    """Routes behind one that takes every call: only gotos reach them."""
    targets = _targets(routes)
    taker: Route | None = None
    for written in routes:
        if written.route.match is None:
            continue
        if taker is not None and written.route.name not in targets:
            message = f'warning: no call reaches it, "{taker.name}" before it takes every call'
            yield written.problem(("name",), message, f'move it above "{taker.name}"', written.route.name)
        if taker is None and written.route.match.any:
            taker = written.route
