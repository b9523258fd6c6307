"""What happens to the callers of an agent that cannot take them: other agents, in order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, Field

from gateway.settings.context import SoundFile
from gateway.settings.document import PathStep
from gateway.settings.shipped import DIALPLANS
from gateway.settings.values import Model, Name, PositiveSeconds, Seconds


class BackupOptions(Model):
    """Other agents that get the call when this one cannot be reached, fails, or says nothing."""

    agents: tuple[Name, ...] = Field(min_length=1, max_length=8)
    """Their names, in order. Their own backups are not asked."""
    dead_air_s: Seconds = Field(default=4.0, alias="dead_air")
    """The agent has failed when it says nothing for this long after the caller has finished; `0s`: it may be silent.
    It needs voice detection, most of what a frame costs."""
    apology: SoundFile | None = None
    """A sound that the caller hears when the agent fails in mid-call, while the next one gets ready."""
    failures: Annotated[int, Field(ge=1)] = 5
    """After so many failed calls in a row, calls go to the backup at once."""
    cool_down_s: PositiveSeconds = Field(default=30.0, alias="cool_down")
    """Then, after this, one call tries the agent again; when that works, so do the others."""

    def named_files(self) -> Iterator[tuple[tuple[PathStep, ...], Path]]:
        """As `AgentSettings.named_files`."""
        if self.apology is not None and not self.apology.is_relative_to(DIALPLANS):
            yield ("backup", "apology"), self.apology


def _short(value: object) -> object:
    return {"agents": value} if isinstance(value, list | tuple) else value


Backup: TypeAlias = Annotated[BackupOptions, BeforeValidator(_short)]
"""A list of agents, or the options with the list as `agents`."""
