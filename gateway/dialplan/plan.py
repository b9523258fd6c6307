"""All routes of a gateway, with indexes to find the route of a call."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from gateway.dialplan.index import NumberIndex

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.dialplan.model import Route


@dataclass(frozen=True, slots=True)
class Plan:
    """All routes of all dialplans, in order."""

    routes: tuple[Route, ...]
    by_name: Mapping[str, Route] = field(init=False, repr=False, compare=False)
    by_number: NumberIndex = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index the routes by name, and by their conditions."""
        names = MappingProxyType({route.name: route for route in self.routes})
        object.__setattr__(self, "by_name", names)
        object.__setattr__(self, "by_number", NumberIndex(self.routes))
