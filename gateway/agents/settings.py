"""What an agent of `gateway.yaml` is, as the agents read it. Paths are absolute by now; values are checked here."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from media.conversation.floor import BargeIn, BargeInSettings

ABANDONED_LEAST = 16
"""How many runs of any agent may be abandoned: a few calls at once of one that ends slowly are no reason to stop it."""

_OFF = BargeInSettings(mode=BargeIn.OFF)


class Isolation(enum.Enum):
    """Where a user's agent runs."""

    THREAD = "thread"
    """In a thread and event loop of its own for each call: it may block, and hurts itself alone.

    A frame heard and one said cost 350 us of CPU together (1.7 % of a core per call that does so without pause), and a
    call about 110 KB: for tens of calls.
    """
    NONE = "none"
    """On the gateway's loop, for agents that are trusted never to block: 15 us, or 6 us with `on_audio`."""


class OnInterrupt(enum.Enum):
    """What a speaker does when the caller speaks over it."""

    STOP = "stop"
    NEXT = "next"
    """Go on with the next file when the caller has finished."""


@dataclass(frozen=True, slots=True)
class EchoSettings:
    """The caller hears themselves, at once. Never interrupted: it would interrupt itself."""


@dataclass(frozen=True, slots=True)
class ToneSettings:
    """A pure tone without end, for measurements; after an interruption it waits until the caller is silent."""

    frequency_hz: int = 440
    level_dbfs: float = -12.0

    def __post_init__(self) -> None:
        """Refuse what cannot sound on every codec.

        Raises:
            ValueError: names the field, its value and the fix.
        """
        if not 20 <= self.frequency_hz <= 3_400:
            raise ValueError(f"frequency_hz is {self.frequency_hz}: give 20 to 3400")
        if not -60.0 <= self.level_dbfs <= 0.0:
            raise ValueError(f"level_dbfs is {self.level_dbfs}: give -60 to 0")


@dataclass(frozen=True, slots=True)
class SpeakerSettings:
    """Plays WAV files one after the other, then ends."""

    files: tuple[Path, ...]
    repeat: int = 1
    """How often the whole sequence is played; 0 is without end."""
    on_interrupt: OnInterrupt = OnInterrupt.STOP

    def __post_init__(self) -> None:
        """Refuse an empty sequence.

        Raises:
            ValueError: names the field, its value and the fix.
        """
        if not self.files:
            raise ValueError("files is empty: name at least one WAV file")
        if self.repeat < 0:
            raise ValueError(f"repeat is {self.repeat}: give 1 or more, or 0 for without end")


@dataclass(frozen=True, slots=True)
class PythonSettings:
    """A user's own class: `module:Class` with one coroutine `run(call)`."""

    class_path: str
    options: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    """Keyword arguments of the constructor, called anew for each call, with a deep copy of its own."""
    directory: Path | None = None
    """Where the module is, when it is not installed."""
    isolation: Isolation = Isolation.THREAD


KindSettings = EchoSettings | ToneSettings | SpeakerSettings | PythonSettings


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """One agent: what it is, how many calls it takes, and how patient the gateway is with it."""

    name: str
    kind: KindSettings
    barge_in: BargeInSettings | None = None
    """None: `off` for an echo, otherwise the defaults."""
    max_calls: int | None = None
    start_timeout_s: float = 10.0
    """It must listen or speak for the first time within this."""
    stall_timeout_s: float = 30.0
    """It may neither listen nor speak nor be heard nor wait for the end of the call for this long."""
    hangup_grace_s: float = 1.0
    """After `Hangup` it may finish by itself for this long, then it is cancelled."""
    cancel_deadline_s: float = 2.0
    """Cancelled, it must end within this, or it is abandoned; so must what it leaves in its thread when it returns."""
    abandoned_max: int = ABANDONED_LEAST
    """With so many abandoned runs (a blocked thread each, perhaps) it takes no more calls."""

    def __post_init__(self) -> None:
        """Refuse limits that allow nothing.

        Raises:
            ValueError: names the field, its value and the fix.
        """
        if self.max_calls is not None and self.max_calls < 1:
            raise ValueError(f"max_calls is {self.max_calls}: give 1 or more, or leave it out")
        for name in ("start_timeout_s", "stall_timeout_s", "cancel_deadline_s"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}: give more than 0")
        if self.hangup_grace_s < 0:
            raise ValueError(f"hangup_grace_s is {self.hangup_grace_s}: give 0 or more")
        if isinstance(self.kind, EchoSettings) and self.barge_in not in {None, _OFF}:
            raise ValueError("barge_in of an echo must be off: it would be interrupted by what it repeats")

    @property
    def effective_barge_in(self) -> BargeInSettings:
        """What holds in a call of this agent."""
        if self.barge_in is not None:
            return self.barge_in
        return _OFF if isinstance(self.kind, EchoSettings) else BargeInSettings()
