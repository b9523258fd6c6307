"""Who has the floor: turns of the caller, and when the agent must fall silent. A core without I/O or clock."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from media.conversation.events import SpeechEnded, SpeechStarted
from media.speech.detection import Detector

UNDERRUN_MS = 200
"""If an agent's synthesis is late by no more than this, the agent counts as still speaking."""


class BargeIn(enum.Enum):
    """How the caller's voice affects the agent's voice."""

    CUT = "cut"
    """Speech ends the utterance at once."""
    PAUSE = "pause"
    """Speech pauses the utterance. If the speech continues, the utterance is cut; if not, the utterance continues."""
    OFF = "off"
    """The agent is never interrupted; it still learns when the caller speaks."""


class Keys(enum.Enum):
    """When a key that the caller presses ends what the agent says, in every mode."""

    ASKED = "asked"
    """While the agent asks for keys: it waits for a key while it speaks, or it speaks with `keys=True`."""
    ALWAYS = "always"
    NEVER = "never"
    """Not even while the agent asks for keys."""


@dataclass(frozen=True, slots=True)
class BargeInSettings:
    """How speech is distinguished from noise, and when it takes the floor. All times are of received audio."""

    mode: BargeIn = BargeIn.PAUSE
    min_speech_ms: int = 120
    """Voice this long is speech. On the frame that completes it, the turn begins and the agent becomes silent."""
    confirm_ms: int = 400
    """`pause` mode: speech over the agent this long is an interruption. A cough with the VAD's hangover is shorter."""
    reject_after_ms: int = 300
    """`pause` mode: silence this long means that it was not an interruption, and the agent continues."""
    end_silence_ms: int = 600
    """Silence this long ends the caller's turn. While the agent's voice is held, the turn does not end."""
    gap_ms: int = 40
    """Pauses up to this long within speech count as speech (stop consonants, unvoiced sounds, a lost packet)."""
    max_turn_ms: int = 60_000
    """A turn this long ends without a silence, and another begins: noise taken for voice must not hold up a call."""
    detector: Detector = Detector.WEBRTCVAD
    aggressiveness: int = 2
    """The mode of webrtcvad, from 0 (detects most voice) to 3 (ignores most noise)."""
    floor_dbfs: float = -50.0
    """A frame whose peak is below this is never speech, even if the VAD takes the noise on the line for voice."""
    keys: Keys = Keys.ASKED

    def __post_init__(self) -> None:
        """Refuse settings that cannot work together.

        Raises:
            ValueError: names the field, its value and the fix.
        """
        for name in ("min_speech_ms", "confirm_ms", "reject_after_ms", "end_silence_ms"):
            if getattr(self, name) < 10:
                raise ValueError(f"{name} is {getattr(self, name)}: give at least 10 ms")
        if self.max_turn_ms < 1_000:
            raise ValueError(f"max_turn_ms is {self.max_turn_ms}: give at least 1000 ms")
        if self.gap_ms < 0:
            raise ValueError(f"gap_ms is {self.gap_ms}: give 0 or more")
        if self.mode is BargeIn.PAUSE and self.confirm_ms <= self.min_speech_ms:
            raise ValueError(
                f"confirm_ms is {self.confirm_ms}: it must be greater than min_speech_ms ({self.min_speech_ms})"
            )
        for name in ("reject_after_ms", "end_silence_ms"):
            if getattr(self, name) <= self.gap_ms:
                raise ValueError(f"{name} is {getattr(self, name)}: it must be greater than gap_ms ({self.gap_ms})")
        if self.aggressiveness not in {0, 1, 2, 3}:
            raise ValueError(f"aggressiveness is {self.aggressiveness}: give 0, 1, 2 or 3")
        if not -96.0 <= self.floor_dbfs <= 0.0:
            raise ValueError(f"floor_dbfs is {self.floor_dbfs}: give a level between -96 and 0")


@dataclass(frozen=True, slots=True)
class PausePlayout:
    """Pause the agent's voice at its current position."""


@dataclass(frozen=True, slots=True)
class ResumePlayout:
    """Let the agent's voice continue exactly where it was paused."""


@dataclass(frozen=True, slots=True)
class CutPlayout:
    """Drop what the agent has queued and report to it how much was heard."""


Action = PausePlayout | ResumePlayout | CutPlayout | SpeechStarted | SpeechEnded

_PAUSE = PausePlayout()
_RESUME = ResumePlayout()
_CUT = CutPlayout()


class FloorControl:
    """Turns and barge-in of one call. The input is voice and silence; the output is what must be done at once.

    While `busy` is False, there is no turn, no pause and no speech to decide about, and silence need not be reported.
    Every cut is followed by a `SpeechEnded` when the caller has been silent for long enough.
    """

    __slots__ = (
        "_confirm_ms",
        "_end_silence_ms",
        "_gap_ms",
        "_max_turn_ms",
        "_min_speech_ms",
        "_mode",
        "_over_ms",
        "_overruled",
        "_pending",
        "_quiet_ms",
        "_reject_after_ms",
        "_silence_ms",
        "_speaking",
        "_speech_ms",
        "_turn_open",
        "busy",
    )

    def __init__(self, settings: BargeInSettings) -> None:
        self._mode = settings.mode
        self._min_speech_ms = settings.min_speech_ms
        self._confirm_ms = settings.confirm_ms
        self._reject_after_ms = settings.reject_after_ms
        self._end_silence_ms = settings.end_silence_ms
        self._gap_ms = settings.gap_ms
        self._max_turn_ms = settings.max_turn_ms
        self._speaking = False  # the agent has audio queued
        self._pending = False  # the playout is paused; it is not decided yet whether this is an interruption
        self._overruled = False  # the agent decided that the current speech is no interruption
        self._turn_open = False
        self._speech_ms = 0  # of the turn, or of speech that may become a turn
        self._over_ms = 0  # speech over the agent's voice
        self._silence_ms = 0  # since the last voice
        self._quiet_ms = 0  # the caller's speech since the agent stopped
        self.busy = False

    def on_voice(self, duration_ms: int) -> tuple[Action, ...]:
        """Audio with voice in it was heard."""
        self.busy = True
        gap_ms = self._silence_ms
        self._silence_ms = 0
        actions: tuple[Action, ...] = ()
        if self._turn_open:
            self._speech_ms += duration_ms + gap_ms
            if self._speech_ms >= self._max_turn_ms:
                actions = (SpeechEnded(self._speech_ms, 0), SpeechStarted(duration_ms))
                self._speech_ms = duration_ms
        else:
            self._speech_ms += duration_ms + (gap_ms if self._speech_ms else 0)
            if self._speech_ms >= self._min_speech_ms:
                self._turn_open = True
                actions = (SpeechStarted(self._speech_ms),)
        if not self._speaking:
            self._quiet_ms += duration_ms
            return actions
        if self._overruled or self._mode is BargeIn.OFF:
            return actions
        bridged_ms = gap_ms if self._over_ms and gap_ms <= self._gap_ms else 0
        self._over_ms += duration_ms + bridged_ms
        return actions + self._decide()

    def _decide(self) -> tuple[Action, ...]:
        if self._pending:
            return self._cut() if self._over_ms >= self._confirm_ms else ()
        if self._over_ms < self._min_speech_ms:
            return ()
        if self._mode is BargeIn.CUT:
            return self._cut()
        self._pending = True
        return (_PAUSE,)

    def on_silence(self, duration_ms: int) -> tuple[Action, ...]:
        """Audio without voice was heard, or nothing came for this long."""
        self._silence_ms += duration_ms
        silence_ms = self._silence_ms
        actions: tuple[Action, ...] = ()
        if silence_ms > self._gap_ms:
            if not self._pending:
                self._over_ms = 0
            if not self._turn_open:
                self._speech_ms = 0
        if silence_ms >= self._reject_after_ms:
            self._overruled = False
            if self._pending:
                actions = self._release()
        # Not while the agent's voice is held: if a cut came after the end of the turn, no SpeechEnded would follow it.
        if self._turn_open and not self._pending and silence_ms >= self._end_silence_ms:
            actions += (SpeechEnded(self._speech_ms, silence_ms),)
            self._turn_open = False
            self._speech_ms = 0
        self.busy = self._turn_open or self._pending or self._overruled or self._speech_ms > 0
        return actions

    def on_agent_started(self) -> None:
        """The agent's voice begins; only speech from now on counts as spoken over it.

        An exception is an agent that was out of audio only for a moment: earlier speech over it still counts.
        """
        self._speaking = True
        if self._quiet_ms > UNDERRUN_MS:
            self._over_ms = 0

    def on_agent_stopped(self) -> tuple[Action, ...]:
        """The agent has no audio left, finally or for a moment. In the second case, speech over it still counts."""
        self._speaking = False
        self._quiet_ms = 0
        if not self._pending:
            return ()
        self._pending = False
        return (_RESUME,)

    def on_agent_silenced(self) -> None:
        """All queued audio of the agent was dropped, and its voice is no longer held."""
        self._cut()

    def confirm(self) -> tuple[Action, ...]:
        """The agent decides: the speech that holds its voice is an interruption. No effect if its voice is not held."""
        return self._cut() if self._pending else ()

    def reject(self) -> tuple[Action, ...]:
        """The agent decides: the speech that holds its voice is no interruption, even if it continues."""
        if not self._pending:
            return ()
        self._overruled = True
        return self._release()

    def _cut(self) -> tuple[Action, ...]:
        self._speaking = self._pending = False
        self._over_ms = self._quiet_ms = 0
        return (_CUT,)

    def _release(self) -> tuple[Action, ...]:
        self._pending = False
        self._over_ms = 0
        return (_RESUME,)
