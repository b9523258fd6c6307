"""What a model may do besides talking: end the call, hand it to another route, note what it has found out. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gateway.agents.network.errors import NOT_JSON
from gateway.agents.outcome import MAX_VALUE, Done, GoTo, Outcome

HANG_UP, GO_TO, NOTE = "hang_up", "go_to", "note"


@dataclass(frozen=True, slots=True)
class ToolSet:
    """The tools that an agent's model has."""

    hang_up: bool = True
    go_to: Mapping[str, str] = field(default_factory=dict)
    """When to go to each of these routes, in words for the model."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """What each of these results is, in words for the model."""

    def declared(self) -> list[dict[str, Any]]:
        """As the Realtime API has functions: names, descriptions, JSON Schema."""
        found: list[dict[str, Any]] = []
        if self.hang_up:
            about = "End the call. Say goodbye first. Use it when the caller has said goodbye or wants to hang up."
            found.append(_function(HANG_UP, about, {}, ()))
        if self.go_to:
            about = "Hand the caller to another department: " + "; ".join(f"{k}: {v}" for k, v in self.go_to.items())
            route = {"type": "string", "enum": list(self.go_to)}
            found.append(_function(GO_TO, about, {"route": route}, ("route",)))
        if self.notes:
            values = {name: {"type": "string", "description": about} for name, about in self.notes.items()}
            found.append(_function(NOTE, "Note facts that the caller has told, as soon as you know them.", values, ()))
        return found


def _function(name: str, about: str, properties: Mapping[str, Any], required: Sequence[str]) -> dict[str, Any]:
    parameters = {"type": "object", "properties": dict(properties), "required": list(required)}
    return {"type": "function", "name": name, "description": about, "parameters": parameters}


class ToolUse:
    """The tools in one call: what was noted, and how the model ends its part."""

    def __init__(self, tools: ToolSet) -> None:
        self.results: dict[str, str] = {}
        """What was noted."""
        self.outcome: Outcome | None = None
        """How the dialplan goes on, once the model has ended its part."""
        self.hangs_up = False
        """Whether it has ended the call."""
        self._tools = tools

    def use(self, name: str, arguments: str) -> str:
        """Run a tool. Returns the answer for the model; an error says how to call the tool correctly."""
        try:
            given = msgspec.json.decode(arguments or "{}")
        except NOT_JSON as error:
            return f"error: the arguments are no JSON: {error}"
        if not isinstance(given, dict):
            return "error: the arguments must be an object"
        if name not in {tool["name"] for tool in self._tools.declared()}:
            return f"error: there is no tool called {name[:64]}"
        match name:
            case "hang_up":
                self.hangs_up = True
                self.outcome = Done(self.results)
                return "done"
            case "go_to":
                return self._go_to(given.get("route"))
            case _:
                return self._note(given)

    def _go_to(self, route: object) -> str:
        if route not in self._tools.go_to:
            return f"error: there is no such route; use one of {', '.join(self._tools.go_to)}"
        self.outcome = GoTo(str(route), self.results)
        return "done"

    def _note(self, given: Mapping[str, Any]) -> str:
        unknown = [name for name in given if name not in self._tools.notes]
        for name, value in given.items():
            if name in self._tools.notes:
                self.results[name] = (value if isinstance(value, str) else str(value))[:MAX_VALUE]
        return f"error: only these can be noted: {', '.join(self._tools.notes)}" if unknown else "noted"
