"""The plan in force. A reload replaces all of it, or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.dialplan.load import load_plan
from gateway.settings.problem import DialplanError

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from gateway.dialplan.plan import Plan
    from gateway.settings.problem import Problem


class PlanStore:
    """Holds the plan for new calls; a call keeps the plan that it began with."""

    def __init__(
        self, paths: Collection[Path], *, agents: Collection[str], trunks: Collection[str] | None = None
    ) -> None:
        """Load the first plan.

        Raises:
            DialplanError: the files have faults, so there is no plan to start with.
        """
        self._paths, self._agents, self._trunks = paths, agents, trunks
        loaded = load_plan(paths, agents=agents, trunks=trunks)
        self._plan = loaded.plan
        self.warnings = loaded.warnings

    @property
    def plan(self) -> Plan:
        """The plan for the next call."""
        return self._plan

    def reload(self) -> tuple[Problem, ...]:
        """Read the files again. Returns their faults; if there are any, the old plan stays.

        Reads files: call it in a thread. One assignment replaces `plan`, so any thread may read it meanwhile.
        """
        try:
            loaded = load_plan(self._paths, agents=self._agents, trunks=self._trunks)
        except DialplanError as error:
            return error.problems
        self._plan, self.warnings = loaded.plan, loaded.warnings
        return ()
