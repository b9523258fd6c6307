"""The backup of an agent: other agents that take its calls, in order, when it cannot."""

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
    """Their names, in order. Their own backups are not used."""
    dead_air_s: Seconds = Field(default=4.0, alias="dead_air")
    """The agent has failed when it says nothing for this long after the caller has finished; `0s`: it may be silent.
    This needs voice detection, which is most of the cost of a frame."""
    apology: SoundFile | None = None
    """A sound that the caller hears when the agent fails during the call, while the next one gets ready."""
    failures: Annotated[int, Field(ge=1)] = 5
    """After this many failed calls in a row, new calls go to the backup at once."""
    cool_down_s: PositiveSeconds = Field(default=30.0, alias="cool_down")
    """After this time, one call tries the agent again; if that works, other calls use it again too."""

    def named_files(self) -> Iterator[tuple[tuple[PathStep, ...], Path]]:
        """See `AgentSettings.named_files`."""
        if self.apology is not None and not self.apology.is_relative_to(DIALPLANS):
            yield ("backup", "apology"), self.apology


def _short(value: object) -> object:
    return {"agents": value} if isinstance(value, list | tuple) else value


Backup: TypeAlias = Annotated[BackupOptions, BeforeValidator(_short)]
"""A list of agents, or the options with the list as `agents`."""
