"""The tools of a model: end the call, send it to another route, note what the model has found out. No I/O."""

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
    """The tools that the model of an agent may call."""

    hang_up: bool = True
    go_to: Mapping[str, str] = field(default_factory=dict)
    """The routes, each with a text that tells the model when to use it."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """The results, each with a text that tells the model what it is."""

    def declared(self) -> list[dict[str, Any]]:
        """Return the declarations in the form of OpenAI's Realtime API: names, descriptions, JSON Schema."""
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
    """Runs the tools of one call: keeps what was noted, and how the model ended its part."""

    def __init__(self, tools: ToolSet) -> None:
        self.results: dict[str, str] = {}
        """The noted results."""
        self.outcome: Outcome | None = None
        """How the dialplan continues; None until the model has ended its part."""
        self.hangs_up = False
        """Whether the model has ended the call."""
        self._tools = tools

    def use(self, name: str, arguments: str) -> str:
        """Run a tool. Returns the answer for the model; an error says how to call the tool correctly."""
        try:
            given = msgspec.json.decode(arguments or "{}")
        except NOT_JSON as error:
            return f"error: the arguments are not JSON: {error}"
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
