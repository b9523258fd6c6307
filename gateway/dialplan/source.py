"""Routes as they are written, faulty or not: the input of the review of a whole plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.settings.document import dotted
from gateway.settings.problem import Problem, shown

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from gateway.dialplan.model import Route
    from gateway.dialplan.pattern import Pattern
    from gateway.dialplan.steps import AnyStep, Step, Thing
    from gateway.settings.document import Document, PathStep


@dataclass(frozen=True, slots=True)
class Named:
    """An agent, a route or a trunk that a step names. It can be read even where other parts of the step are faulty."""

    path: tuple[PathStep, ...]
    """Below the route."""
    thing: Thing
    name: str


@dataclass(frozen=True, slots=True)
class WrittenStep:
    """A step, as far as it could be read."""

    path: tuple[PathStep, ...]
    """Below the route: `steps` or `fallback`, the index, and the word if it is known."""
    kind: type[Step] | None
    """None when there is no such step."""
    step: AnyStep | None = None
    """None when it is faulty."""
    names: tuple[Named, ...] = ()

    def named(self, thing: Thing) -> Iterator[Named]:
        """The names in it that are of this kind: agents, routes or trunks."""
        return (one for one in self.names if one.thing == thing)


@dataclass(frozen=True, slots=True)
class WrittenPattern:
    """A pattern of a match, and its path below the route."""

    path: tuple[PathStep, ...]
    pattern: Pattern


@dataclass(frozen=True, slots=True)
class WrittenRoute:
    """A route and where it is written."""

    route: Route
    """What could be read; its name is empty when the name is faulty."""
    document: Document
    at: tuple[PathStep, ...]
    steps: tuple[WrittenStep, ...]
    fallback: tuple[WrittenStep, ...]
    patterns: tuple[WrittenPattern, ...]
    has_match: bool
    """Also True when the match is faulty, or when a misspelt key may mean it."""
    has_fallback: bool
    """Likewise."""

    @property
    def every_step(self) -> tuple[WrittenStep, ...]:
        """All steps, those of the fallback last."""
        return (*self.steps, *self.fallback)

    def named(self, thing: Thing) -> Iterator[Named]:
        """All agents, routes or trunks that its steps name."""
        return (one for step in self.every_step for one in step.named(thing))

    def problem(self, path: Iterable[PathStep], message: str, fix: str, value: str | None = None) -> Problem:
        """A problem at a path below the route."""
        full = (*self.at, *path)
        shown_value = None if value is None else shown(value)
        return Problem(self.document.name, self.document.place(full), dotted(full), message, shown_value, fix)


@dataclass(frozen=True, slots=True)
class Names:
    """The agents and trunks of the settings, to which a plan may refer. None means unknown: any name is accepted."""

    agents: Collection[str] | None
    trunks: Collection[str] | None


@dataclass(frozen=True, slots=True)
class Illegible:
    """The parts that could not be read. They may contain what seems to be missing."""

    names: bool
    """There may be routes whose names we do not know."""
    gotos: bool
    """There may be steps that could not be read."""
    texts: Collection[str]
    """Every text in faulty routes: each may be the name of a route in a goto."""
