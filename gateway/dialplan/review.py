"""Checks that need all routes: names that do not exist, steps that never run, loops without an end.

A fault is reported only if it remains after any fix of the other faults: a step that cannot be read may be any step,
and a route whose name cannot be read may be the target of a goto.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from gateway.dialplan.covered import covered
from gateway.dialplan.pattern import Exact, doubt
from gateway.settings.problem import choice, nearest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from gateway.dialplan.model import Route
    from gateway.dialplan.source import Illegible, Named, Names, WrittenRoute, WrittenStep
    from gateway.dialplan.steps import Step
    from gateway.settings.problem import Problem


def review(
    routes: Sequence[WrittenRoute], names: Names, illegible: Illegible
) -> tuple[Sequence[Problem], Sequence[Problem]]:
    """Every fault that is certain, and warnings."""
    route_names = dict.fromkeys(written.route.name for written in routes if written.route.name)
    problems = [*_twice(routes)]
    for written in routes:
        problems += _unknown_agents(written, names.agents)
        problems += _unknown_trunks(written, names.trunks)
        if not illegible.names:
            problems += _unknown_routes(written, route_names)
        problems += _order(written, written.steps)
        problems += _order(written, written.fallback, answered=_answered_by_the_fallback(written))
        problems += _no_fallback(written)
    problems += _loops(routes)
    warnings = [*_shadowed(routes), *_refused_late(routes), *_doubtful(routes)]
    if any(_may_go_anywhere(step) for written in routes for step in written.every_step):
        warnings += _unreached(routes, illegible.texts, "warning: it has no match, and only an agent can lead to it")
    elif not illegible.gotos:
        problems += _unreached(routes, illegible.texts, "it has no match, and no goto leads to it")
    return problems, warnings


def _twice(routes: Iterable[WrittenRoute]) -> Iterator[Problem]:
    first: dict[str, WrittenRoute] = {}
    for written in routes:
        name = written.route.name
        if name and name in first:
            other = first[name].route
            yield written.problem(
                ("name",), f"the name is taken by the route at {other.file}:{other.line}", "choose another", name
            )
        first.setdefault(name, written)


def _unknown_agents(written: WrittenRoute, agents: Collection[str] | None) -> Iterator[Problem]:
    if agents is None:
        return
    for agent in written.named("agent"):
        if agent.name not in agents:
            fix = choice(agents, agent.name) if agents else "define it under agents in the settings"
            yield written.problem(agent.path, "there is no such agent", fix, agent.name)


def _unknown_trunks(written: WrittenRoute, trunks: Collection[str] | None) -> Iterator[Problem]:
    if trunks is None:
        return
    for path, pattern in ((one.path, one.pattern) for one in written.patterns if one.path[1] == "trunk"):
        if any(pattern.matches(trunk) for trunk in trunks):
            continue
        fix = "define it under trunks in the settings"
        if isinstance(pattern, Exact) and trunks:
            known = choice(trunks, pattern.text)
            fix = f"{known} or {fix}" if known.endswith("?") else f"{known}, or {fix}"
        yield written.problem(path, "there is no such trunk", fix, str(pattern))
    for trunk in written.named("trunk"):
        if trunk.name not in trunks:
            fix = choice(trunks, trunk.name) if trunks else "define it under trunks in the settings"
            yield written.problem(trunk.path, "there is no such trunk", fix, trunk.name)


def _unknown_routes(written: WrittenRoute, names: Collection[str]) -> Iterator[Problem]:
    for target in written.named("route"):
        if target.name not in names:
            yield written.problem(target.path, "there is no such route", choice(names, target.name), target.name)


def _order(written: WrittenRoute, steps: Iterable[WrittenStep], *, answered: bool = False) -> Iterator[Problem]:
    """Steps that never run, or have no effect on an answered call. `answered`: it is answered before the first step."""
    early = False
    before: type[Step] | None = None
    for step in steps:
        if before is not None and before.ends_route:
            yield written.problem(step.path, f"it never runs: {before.word} comes before", "remove it, or move it up")
        if answered and step.kind is not None and step.kind.too_late is not None:
            yield written.problem(step.path, "the call is answered by then", step.kind.too_late)
        early = early or _may_be_early(step)
        answered = answered or _answers(step, early=early)
        before = step.kind


def _answered_by_the_fallback(written: WrittenRoute) -> bool:
    """Whether the call is certainly answered at every step that can lead to the fallback."""
    answered = early = False
    for step in written.steps:
        if step.kind is None:
            return False  # it may be any step
        early = early or _may_be_early(step)
        if step.kind.may_fail:
            return answered or step.kind.answers_before_failing(early=early)
        answered = answered or _answers(step, early=early)
    return False


def _may_be_early(written: WrittenStep) -> bool:
    return written.kind is None or written.kind.may_be_early(written.step)


def _answers(written: WrittenStep, *, early: bool) -> bool:
    return written.kind is not None and written.kind.answers(written.step, early=early)


def _no_fallback(written: WrittenRoute) -> Iterator[Problem]:
    """Keys with the value `fallback` where there is no fallback."""
    for path, step in ((one.path, one.step) for one in written.every_step):
        if step is None or (path[0] == "steps" and written.has_fallback):
            continue
        message, fix = "a fallback has no fallback", "write next, hangup or {goto: route}"
        if path[0] == "steps":
            message, fix = "the route has no fallback", f"add fallback: to the route, or {fix}"
        for key in step.failure_keys:
            if key in step.model_fields_set and getattr(step, key) == "fallback":
                yield written.problem((*path, key), message, fix, "fallback")


def _loops(routes: Sequence[WrittenRoute]) -> Iterator[Problem]:
    """Gotos in a circle without a step that waits: they would run until the limit of jumps."""
    bearers = Counter(written.route.name for written in routes)
    by_name = {written.route.name: written for written in routes if bearers[written.route.name] == 1}
    at_once = {name: target for name, written in by_name.items() if (target := _at_once(written)) is not None}
    walked: set[str] = set()
    for start in by_name:
        way: list[str] = []
        name = start
        while name in at_once and name not in way and name not in walked:
            way.append(name)
            name = at_once[name].name
        if name in way:
            circle = way[way.index(name) :]
            message = f"it goes in a circle without a pause: {' -> '.join([*circle, name])}"
            yield by_name[name].problem(at_once[name].path[:-1], message, "end one of the routes otherwise")
        walked.update(way)


def _at_once(written: WrittenRoute) -> Named | None:
    """The route that a goto leads to at once; None when a step before it waits, ends the route, or cannot be read."""
    for step in written.steps:
        if step.kind is None or step.kind.takes_time:
            return None
        if step.kind.ends_route:
            return next(step.named("route"), None)
    return None


def _may_go_anywhere(written: WrittenStep) -> bool:
    return written.kind is None or written.kind.may_go_anywhere


def _unreached(routes: Sequence[WrittenRoute], texts: Collection[str], message: str) -> Iterator[Problem]:
    """Routes without a match that no goto (not even a misspelt one) and no text in a faulty route names."""
    names = {written.route.name for written in routes}
    targets = _targets(routes)
    meant = {nearest(names, target) for target in targets if target not in names}
    for written in routes:
        name = written.route.name
        if name and not written.has_match and name not in targets and name not in meant and name not in texts:
            fix = "add match: to take calls, or goto: it from another route"
            yield written.problem((), message, fix)


def _targets(routes: Iterable[WrittenRoute]) -> set[str]:
    return {target.name for written in routes for target in written.named("route")}


def _shadowed(routes: Sequence[WrittenRoute]) -> Iterator[Problem]:
    """Routes after one that matches every call: only gotos reach them."""
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
    by_route = {id(written.route): written for written in routes}
    for route, earlier in covered([written.route for written in routes]):
        if route.name not in targets:
            message = f'warning: no call reaches it, "{earlier.name}" before it takes all that it asks for'
            fix = f'move it above "{earlier.name}", or remove it'
            yield by_route[id(route)].problem(("match",), message, fix)


def _refused_late(routes: Sequence[WrittenRoute]) -> Iterator[Problem]:
    """Gotos that lead an answered call to a route that only refuses calls."""
    refusing = {written.route.name for written in routes if _refuses(written)}
    for written in routes:
        answered = early = False
        for step in written.steps:
            target = next(step.named("route"), None) if step.kind is not None and step.kind.ends_route else None
            if answered and target is not None and target.name in refusing:
                message = "warning: the call is answered by then, and hung up where that route refuses it"
                yield written.problem(target.path, message, "use hangup", target.name)
            early = early or _may_be_early(step)
            answered = answered or _answers(step, early=early)


def _refuses(written: WrittenRoute) -> bool:
    """Whether the first step with an effect on an answered call is a refusal."""
    for step in written.steps:
        if step.kind is None or step.kind.may_fail:
            return False
        if step.kind.ends_route:
            return step.kind.too_late is not None
    return False


def _doubtful(routes: Iterable[WrittenRoute]) -> Iterator[Problem]:
    """Patterns that no called or calling number ever matches."""
    for written in routes:
        for one in written.patterns:
            found = doubt(one.pattern) if one.path[1] in {"to", "from"} else None
            if found is not None:
                message, fix = found
                yield written.problem(one.path, f"warning: {message}", fix, str(one.pattern))
