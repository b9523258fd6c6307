"""Finds the routes that can match a called number, without testing all routes.

Routes are indexed by the exact numbers and prefixes in their `to`. Routes without `to`, or with a regular expression,
are always candidates.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from gateway.dialplan.pattern import Exact, Prefix, Regex

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gateway.dialplan.model import Match, Route


class NumberIndex:
    """Routes by the numbers in their `to`. Immutable."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._exact: dict[str, list[int]] = {}
        self._prefix: dict[str, list[int]] = {}
        self._any: list[int] = []
        for rank, route in enumerate(routes):
            if route.match is not None:
                self._add(route.match, rank)
        self._lengths = sorted({len(text) for text in self._prefix})

    def _add(self, match: Match, rank: int) -> None:
        if not match.to or any(isinstance(one, Regex) or one == Prefix("") for one in match.to):
            self._any.append(rank)
            return
        for one in match.to:
            match one:
                case Exact(text=text):
                    self._exact.setdefault(text, []).append(rank)
                case Prefix(text=text):
                    self._prefix.setdefault(text, []).append(rank)

    def candidates(self, to: str) -> Iterable[int]:
        """The indexes of all routes that a call to the number can match, in the plan's order."""
        prefixes = [self._prefix.get(to[:length], ()) for length in self._lengths if length <= len(to)]
        return heapq.merge(self._exact.get(to, ()), *prefixes, self._any)
