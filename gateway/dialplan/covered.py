"""Routes that no call reaches, because an earlier route matches every call that they match.

A route is reported only if the patterns prove it. The number of comparisons is limited: in a plan of
thousands of routes with long lists, some of these routes may not be reported.
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
"""Comparisons of two patterns in one plan. They take less than a second."""


def covered(routes: Sequence[Route]) -> Iterator[tuple[Route, Route]]:
    """Each route whose calls an earlier route takes, and that earlier route."""
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
    """A number for which the index returns every route that may cover the match; for a prefix, the prefix itself."""
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
    """Whether `taker` matches everything that `other` matches. An empty sequence matches everything."""
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
