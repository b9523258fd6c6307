"""Agents as the administrator names them: what kind, how many calls, and how the caller may interrupt."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BeforeValidator, Field, model_validator

from gateway.settings.context import AnyPath, SoundFile
from gateway.settings.document import typed
from gateway.settings.validation import fault
from gateway.settings.values import Milliseconds, Model, PositiveSeconds, Seconds
from media.conversation import floor

_DEFAULT = floor.BargeInSettings()


class BargeIn(Model):
    """What happens when the caller speaks over the agent. Defaults and meaning: `floor.BargeInSettings`."""

    mode: Literal["cut", "pause", "off"] = "pause"
    min_speech_ms: Milliseconds = Field(default=_DEFAULT.min_speech_ms, alias="min_speech")
    confirm_ms: Milliseconds = Field(default=_DEFAULT.confirm_ms, alias="confirm")
    reject_after_ms: Milliseconds = Field(default=_DEFAULT.reject_after_ms, alias="reject_after")
    end_silence_ms: Milliseconds = Field(default=_DEFAULT.end_silence_ms, alias="end_silence")
    max_turn_ms: Milliseconds = Field(default=_DEFAULT.max_turn_ms, alias="max_turn")
    gap_ms: Milliseconds = Field(default=_DEFAULT.gap_ms, alias="gap")
    aggressiveness: Annotated[int, Field(ge=0, le=3)] = _DEFAULT.aggressiveness
    floor_dbfs: Annotated[float, Field(ge=-96, le=0)] = Field(default=_DEFAULT.floor_dbfs, alias="floor")
    keys: Literal["asked", "always", "never"] = "asked"
    """When a key ends what the agent says, whatever the mode."""

    def settings(self) -> floor.BargeInSettings:
        """The same, as the pipeline takes it."""
        values = self.model_dump(exclude={"mode", "keys"})
        return floor.BargeInSettings(mode=floor.BargeIn(self.mode), keys=floor.Keys(self.keys), **values)

    @model_validator(mode="after")
    def _together(self) -> Self:
        try:
            self.settings()
        except ValueError as error:
            message, _, fix = re.sub(r"_(ms|dbfs)\b", "", str(error)).partition(": ")
            raise fault(message, fix) from None
        return self


class _Agent(Model):
    max_calls: Annotated[int, Field(ge=1)] | None = None
    """How many calls it serves at once; None is as many as the gateway takes."""
    start_timeout_s: PositiveSeconds = Field(default=10.0, alias="start_timeout")
    stall_timeout_s: PositiveSeconds = Field(default=30.0, alias="stall_timeout")
    hangup_grace_s: Seconds = Field(default=1.0, alias="hangup_grace")
    cancel_deadline_s: PositiveSeconds = Field(default=2.0, alias="cancel_deadline")


class _Speaking(_Agent):
    barge_in: BargeIn = BargeIn()


class EchoAgent(_Agent):
    """Says what it hears. It has no `barge_in`: it would be interrupted by what it repeats."""

    kind: Literal["echo"]


class ToneAgent(_Speaking):
    """Sounds a steady tone, for measurements."""

    kind: Literal["tone"]
    frequency_hz: Annotated[int, Field(ge=20, le=3400)] = Field(default=440, alias="frequency")
    level_dbfs: Annotated[float, Field(ge=-60, le=0)] = Field(default=-12.0, alias="level")


class SpeakerAgent(_Speaking):
    """Plays sounds in order."""

    kind: Literal["speaker"]
    files: tuple[SoundFile, ...] = Field(min_length=1)
    repeat: Annotated[int, Field(ge=0, le=1000)] = 1
    """How many times the whole sequence is played; 0 is without end."""
    on_interrupt: Literal["stop", "next"] = "stop"


def _entry(value: object) -> object:
    if isinstance(value, str) and not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*", value):
        raise fault("not module:Class", "write where the class is, as mycompany.agents:Receptionist")
    return str(value) if isinstance(value, str) else value


class PythonAgent(_Speaking):
    """A user's own class."""

    kind: Literal["python"]
    class_path: Annotated[str, BeforeValidator(_entry)] = Field(alias="class")
    """`module:Class`, imported when the gateway starts."""
    directory: AnyPath | None = None
    """Where the module is, when it is not installed."""
    options: Annotated[dict[str, Any], BeforeValidator(typed)] = Field(default={}, validate_default=False)
    """Keyword arguments of the class, any YAML."""
    isolation: Literal["thread", "none"] = "thread"


Agent: TypeAlias = Annotated[EchoAgent | ToneAgent | SpeakerAgent | PythonAgent, Field(discriminator="kind")]
