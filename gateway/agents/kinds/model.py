"""The common parts of kinds for a speech-to-speech model behind a vendor's API."""

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
    """It may send the caller to these routes of the dialplan; the text tells it when."""
    note: dict[ResultName, Text] = Field(default={}, max_length=32)
    """It may note these results, for the record and later agents; the text tells it the meaning of each."""

    def tool_set(self) -> ToolSet:
        """Convert to the tools of an agent."""
        from gateway.agents.network.tools import ToolSet  # noqa: PLC0415 - its library is an extra

        return ToolSet(self.hang_up, self.go_to, self.note)

    def named_routes(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """See `AgentSettings.named_routes`: the routes that the model may send the caller to."""
        for route in self.go_to:
            yield ("tools", "go_to", route), route


def unless_none(text: str) -> str | None:
    """None if the text is the word `none`, which switches off a default."""
    return None if text == "none" else text
