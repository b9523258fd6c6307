"""Which routes may take a call to a number, without a look at all of them.

Most routes of a large plan ask for a number, or for how it begins: those are found by it. What asks for no number, or
by a regular expression, may take a call to any.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from gateway.dialplan.pattern import Exact, Prefix, Regex

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gateway.dialplan.model import Match, Route


class NumberIndex:
    """Routes by the numbers that they ask for. Not changed once it is made."""

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
        """The places in the plan, in order, of all routes that a call to the number can match."""
        prefixes = [self._prefix.get(to[:length], ()) for length in self._lengths if length <= len(to)]
        return heapq.merge(self._exact.get(to, ()), *prefixes, self._any)
