"""The options in `gateway.yaml` that every kind of agent has, besides its own."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, NamedTuple, Self

from pydantic import Field, model_validator

from gateway.agents.agent import Agent
from gateway.agents.isolation import Isolation
from gateway.agents.kinds.backup import Backup
from gateway.settings.document import PathStep
from gateway.settings.validation import fault
from gateway.settings.values import Milliseconds, Model, PositiveSeconds, Seconds
from media.conversation import floor
from media.speech.detection import Detector

_DEFAULT = floor.BargeInSettings()
_OFF = floor.BargeInSettings(mode=floor.BargeIn.OFF)


class BargeInOptions(Model):
    """What happens when the caller speaks over the agent."""

    mode: floor.BargeIn = floor.BargeIn.PAUSE
    """`cut`: the agent stops; `pause`: it stops, and continues if it was only a cough; `off`: it continues to speak."""
    min_speech_ms: Milliseconds = Field(default=_DEFAULT.min_speech_ms, alias="min_speech")
    """Voice this long is speech."""
    confirm_ms: Milliseconds = Field(default=_DEFAULT.confirm_ms, alias="confirm")
    """Mode `pause`: speech this long is an interruption, not a cough."""
    reject_after_ms: Milliseconds = Field(default=_DEFAULT.reject_after_ms, alias="reject_after")
    """Mode `pause`: silence this long means that there was no interruption."""
    end_silence_ms: Milliseconds = Field(default=_DEFAULT.end_silence_ms, alias="end_silence")
    """Silence this long ends the caller's turn."""
    max_turn_ms: Milliseconds = Field(default=_DEFAULT.max_turn_ms, alias="max_turn")
    """A turn this long ends without a silence, and the next one begins."""
    gap_ms: Milliseconds = Field(default=_DEFAULT.gap_ms, alias="gap")
    """Pauses up to this long within speech count as speech."""
    detector: Detector = _DEFAULT.detector
    """The voice detector: `webrtcvad`, or `silero`, which works in noise (install `offhook[silero]`)."""
    aggressiveness: Annotated[int, Field(ge=0, le=3)] = _DEFAULT.aggressiveness
    """For `webrtcvad`: 0 detects most voice, 3 ignores most noise."""
    floor_dbfs: Annotated[float, Field(ge=-96, le=0)] = Field(default=_DEFAULT.floor_dbfs, alias="floor")
    """In dBFS; audio below this level is never speech."""
    keys: floor.Keys = floor.Keys.ASKED
    """When a key ends what the agent says, in every mode: `always`, `never`, or `asked`, while it asks for keys."""

    def settings(self) -> floor.BargeInSettings:
        """Convert to the settings of the floor control."""
        return floor.BargeInSettings(**self.model_dump())

    @model_validator(mode="after")
    def _together(self) -> Self:
        try:
            self.settings()
        except ValueError as error:
            message, _, fix = re.sub(r"_(ms|dbfs)\b", "", str(error)).partition(": ")
            raise fault(message, fix) from None
        return self


class Maker(NamedTuple):
    """Makes an agent for each call."""

    make: Callable[[], Agent]
    """May block or raise if it is a user's class."""
    prepare_timeout_s: float | None = None
    """How long its `prepare` may take; None if it has none."""


class AgentSettings(Model, ABC):
    """One agent of `gateway.yaml`. Each kind is a subclass, in its own file in this directory."""

    max_calls: Annotated[int, Field(ge=1)] | None = None
    """How many calls it may have at once; without it, as many as the gateway takes."""
    start_timeout_s: PositiveSeconds = Field(default=10.0, alias="start_timeout")
    """It must listen or speak for the first time within this time."""
    stall_timeout_s: PositiveSeconds = Field(default=30.0, alias="stall_timeout")
    """It has stalled if for this time it does not listen, speak or wait in `until_over`, and is not heard."""
    hangup_grace_s: Seconds = Field(default=1.0, alias="hangup_grace")
    """After the caller hangs up, it has this time to finish by itself; then it is cancelled."""
    cancel_deadline_s: PositiveSeconds = Field(default=2.0, alias="cancel_deadline")
    """When cancelled, it must end within this time, or it is abandoned; so must work left in its thread on return."""
    backup: Backup | None = None
    """Agents that get the call when this one cannot be reached, fails, or says nothing: `[other]`, or with options."""

    @property
    def effective_barge_in(self) -> floor.BargeInSettings:
        """The barge-in settings of this agent's calls."""
        return _OFF

    @property
    def where(self) -> Isolation:
        """Where it runs."""
        return Isolation.NONE

    @abstractmethod
    def maker(self, name: str) -> Maker:
        """Return what makes the agent of one call, for the agent `name`; checks what it needs on the machine.

        Raises:
            gateway.agents.AgentSetupError: names the field, the value and the fix.
        """

    def named_routes(self) -> Iterator[tuple[tuple[PathStep, ...], str]]:
        """Every route of the dialplan that the options name, with the place of the name."""
        yield from ()

    def named_files(self) -> Iterator[tuple[tuple[PathStep, ...], Path]]:
        """Every file that the options name, with the place of the name; for warnings of unreadable files."""
        yield from ()


class SpeakingSettings(AgentSettings, ABC):
    """An agent that the caller can interrupt."""

    barge_in: BargeInOptions = BargeInOptions()
    """What happens when the caller speaks over the agent."""

    @property
    def effective_barge_in(self) -> floor.BargeInSettings:
        """The barge-in settings of this agent's calls."""
        return self.barge_in.settings()
