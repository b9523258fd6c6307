"""Why a call takes its route: as text for a terminal, and as JSON."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.dialplan.match import misses
from gateway.dialplan.steps import JumpTo

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.dialplan.invite import Invite
    from gateway.dialplan.match import Miss
    from gateway.dialplan.model import Route
    from gateway.dialplan.plan import Plan
    from gateway.dialplan.steps import AnyStep


@dataclass(frozen=True, slots=True)
class Passed:
    """A route that does not match the call, and every key that does not match."""

    route: Route
    misses: tuple[Miss, ...]
    """Empty for a route without `match`, which can only be reached by a goto or an agent."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a plan treats one call."""

    invite: Invite
    passed: tuple[Passed, ...]
    """The routes before the one that takes the call; all routes when none takes it."""
    winner: Route | None
    reached: tuple[Route, ...]
    """The winner, and after it the routes that its gotos may lead to."""


def explain(plan: Plan, invite: Invite) -> Explanation:
    """Follow one call through the plan."""
    passed: list[Passed] = []
    for route in plan.routes:
        against = () if route.match is None else tuple(misses(route.match, invite))
        if route.match is not None and not against:
            return Explanation(invite, tuple(passed), route, tuple(_reached(plan, route)))
        passed.append(Passed(route, against))
    return Explanation(invite, tuple(passed), None, ())


def _reached(plan: Plan, winner: Route) -> Iterator[Route]:
    seen: dict[str, None] = {}
    ahead = [winner.name]
    while ahead:
        name = ahead.pop(0)
        if name in seen:
            continue
        seen[name] = None
        route = plan.by_name[name]
        yield route
        for step in (*route.steps, *route.fallback):
            ahead += step.named("route")


def as_text(explanation: Explanation) -> str:
    """For people: one line for each route, then the steps."""
    invite = explanation.invite
    caller = invite.from_ or "nobody"
    over = f"over trunk {invite.trunk}" if invite.trunk else "over no trunk"
    lines = [f"call to {invite.to or 'nobody'} from {caller}, {over}"]
    for passed in explanation.passed:
        reasons = (
            "; ".join(_reason(miss) for miss in passed.misses) or "it has no match: only goto or an agent leads to it"
        )
        lines.append(f"  no    {_where(passed.route)}: {reasons}")
    if explanation.winner is None:
        lines.append("  no route takes it: the caller is answered 404")
        return "\n".join(lines)
    lines.append(f"  TAKES {_where(explanation.winner)}")
    for route in explanation.reached:
        lines.append(f"steps of {route.name}")
        lines += [f"  {number}. {describe(step)}" for number, step in enumerate(route.steps, 1)]
        if route.fallback:
            lines.append(f"fallback of {route.name}")
            lines += [f"  {number}. {describe(step)}" for number, step in enumerate(route.fallback, 1)]
    return "\n".join(lines)


def as_json(explanation: Explanation) -> dict[str, object]:
    """The same for programs, as JSON's types."""
    invite = explanation.invite
    return {
        "call": {
            "to": invite.to,
            "from": invite.from_,
            "trunk": invite.trunk,
            "headers": {name: list(values) for name, values in invite.headers.items()},
        },
        "route": explanation.winner.name if explanation.winner else None,
        "passed": [
            {
                **_place(passed.route),
                "misses": [
                    {"key": miss.key, "wanted": list(miss.wanted), "got": list(miss.got)} for miss in passed.misses
                ],
            }
            for passed in explanation.passed
        ],
        "routes": [
            {
                **_place(route),
                "steps": [describe(step) for step in route.steps],
                "fallback": [describe(step) for step in route.fallback],
            }
            for route in explanation.reached
        ],
    }


def describe(step: AnyStep) -> str:
    """A step as written in a dialplan, without default values."""
    return f"{step.word}: {{{', '.join(details)}}}" if (details := list(_details(step))) else step.word


def _details(step: AnyStep) -> Iterator[str]:
    for name, field in type(step).model_fields.items():
        value = getattr(step, name)
        if value != field.default:
            yield f"{field.alias or name}: {_seconds(value) if name.endswith('_s') else _written(value)}"


def _written(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case enum.Enum():
            return str(value.value)
        case JumpTo():
            return f"{{goto: {value.goto}}}"
        case _:
            return str(value)


def _seconds(seconds: float) -> str:
    return f"{seconds:g}s" if seconds >= 1 else f"{seconds * 1000:g}ms"


def _reason(miss: Miss) -> str:
    wanted = " or ".join(f'"{one}"' for one in miss.wanted)
    got = ", ".join(f'"{one}"' for one in miss.got) or "none"
    return f"{miss.key} is {got}, wanted {wanted}"


def _where(route: Route) -> str:
    return f"{route.name} ({route.file.name}:{route.line})"


def _place(route: Route) -> dict[str, object]:
    return {"route": route.name, "file": str(route.file), "line": route.line}
