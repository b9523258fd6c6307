"""A route of a dialplan: which calls it takes, and the steps that they go through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.dialplan.pattern import Pattern
    from gateway.dialplan.steps import AnyStep


@dataclass(frozen=True, slots=True)
class Match:
    """A route's conditions: a call must match every given key. It matches a key if it matches any of its patterns."""

    to: tuple[Pattern, ...] = ()
    from_: tuple[Pattern, ...] = ()
    trunk: tuple[Pattern, ...] = ()
    header: tuple[tuple[str, tuple[Pattern, ...]], ...] = ()
    """Header names as written, with their patterns."""
    any: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """One entry of a dialplan."""

    name: str
    match: Match | None
    """None: the route can only be reached by a goto."""
    steps: tuple[AnyStep, ...]
    fallback: tuple[AnyStep, ...]
    file: Path
    line: int
