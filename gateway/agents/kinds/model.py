"""What the kinds have in common that are a speech-to-speech model behind a vendor's API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from gateway.settings.values import Model, Name, Text

if TYPE_CHECKING:
    from gateway.agents.network.tools import ToolSet

ResultName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class ToolOptions(Model):
    """What the model may do besides talking."""

    hang_up: bool = True
    """It may end the call."""
    go_to: dict[Name, Text] = Field(default={}, max_length=16)
    """It may hand the caller to these routes of the dialplan; the text tells it when."""
    note: dict[ResultName, Text] = Field(default={}, max_length=32)
    """It may note these results, which the record and later agents have; the text tells it what each is."""

    def tool_set(self) -> ToolSet:
        """As an agent has it."""
        from gateway.agents.network.tools import ToolSet  # noqa: PLC0415 - its library is an extra

        return ToolSet(self.hang_up, self.go_to, self.note)

    def named_routes(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """As `AgentSettings.named_routes`: those that the model may hand the caller to."""
        for route in self.go_to:
            yield ("tools", "go_to", route), route


def unless_none(text: str) -> str | None:
    """None for the word `none`, with which a default is switched off."""
    return None if text == "none" else text
