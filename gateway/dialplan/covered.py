"""Routes that no call reaches, because an earlier one takes every call that they ask for.

Said only where it is certain from the patterns as written. It takes a bounded time: in a plan of thousands of routes
with long lists, what is not looked at is not told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.dialplan.index import NumberIndex
from gateway.dialplan.pattern import Exact, Prefix, Regex
from gateway.header_names import header_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gateway.dialplan.model import Match, Route
    from gateway.dialplan.pattern import Pattern

_MAX_COMPARISONS = 1_000_000
"""Of patterns, in a plan: under a second."""


def covered(routes: Sequence[Route]) -> Iterator[tuple[Route, Route]]:
    """Each route that asks for nothing which an earlier one has not taken, and that earlier one."""
    index = NumberIndex(routes)
    left = _MAX_COMPARISONS
    for rank, route in enumerate(routes):
        if route.match is None or route.match.any:
            continue
        for earlier in index.candidates(_example(route.match)):
            if earlier >= rank or left <= 0:
                break
            taker = routes[earlier]
            if taker.match is None or taker.match.any:
                continue
            left -= 1 + len(taker.match.to) * len(route.match.to)
            if _covers(taker.match, route.match):
                yield route, taker
                break


def _example(match: Match) -> str:
    """A number by which the index finds everything that may cover a match: a beginning is found by itself."""
    return match.to[0].text if match.to and not isinstance(match.to[0], Regex) else ""


def _covers(taker: Match, other: Match) -> bool:
    headers = {header_key(name): patterns for name, patterns in other.header}
    return (
        _takes(taker.to, other.to)
        and _takes(taker.from_, other.from_)
        and _takes(taker.trunk, other.trunk)
        and all(_takes(patterns, headers.get(header_key(name), ())) for name, patterns in taker.header)
    )


def _takes(taker: Sequence[Pattern], other: Sequence[Pattern]) -> bool:
    """Whether all that the others match, these match, too. No patterns match anything."""
    return not taker or (bool(other) and all(any(_includes(one, pattern) for one in taker) for pattern in other))


def _includes(wide: Pattern, narrow: Pattern) -> bool:
    match wide, narrow:
        case Prefix(text=text), Prefix(text=other):
            return other.startswith(text)
        case ((Prefix() | Regex()), Exact(text=text)):
            return wide.matches(text)
        case Regex(text=text), Regex(text=other):
            return text == other
        case Exact(text=text), Exact(text=other):
            return text == other
        case _:
            return False
