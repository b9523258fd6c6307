"""The detectors of voice that an agent may choose from, and what they have in common."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Protocol

from media.leg import Pcm
from media.speech.silero import Heard, SileroBatch
from media.speech.vad import VoiceDetector

Verdict = Callable[[bool, int], object]
"""Told of each piece of the audio in order, whether it holds voice, and how many ms it is."""


class Detector(enum.Enum):
    """Which one listens to the caller."""

    WEBRTCVAD = "webrtcvad"
    """Judges each frame at once, for next to nothing. In noise of 5 dB it hears a quarter of what is said."""
    SILERO = "silero"
    """A small network (Silero VAD v6). Hears in noise; many times the cost, and tens of ms later."""


class Detection(Protocol):
    """One party's audio on its way through a detector. For the asyncio thread only."""

    def hear(self, pcm: Pcm) -> None:
        """Take one frame of any length; its verdict follows at once or some tens of milliseconds later, in order."""

    def close(self) -> None:
        """No verdict any more."""


class FrameByFrame:
    """webrtcvad: the verdict comes within `hear`."""

    __slots__ = ("_detector", "_frame_samples", "_rate_hz", "_verdict")

    def __init__(self, detector: VoiceDetector, rate_hz: int, verdict: Verdict) -> None:
        self._detector = detector
        self._rate_hz = rate_hz
        self._frame_samples = rate_hz // 50
        self._verdict = verdict

    def hear(self, pcm: Pcm) -> None:
        """Judge one frame."""
        samples = len(pcm)
        duration_ms = 20 if samples == self._frame_samples else samples * 1_000 // self._rate_hz
        self._verdict(self._detector.is_voice(pcm), duration_ms)

    def close(self) -> None:
        """Nothing waits here."""


def new_detection(
    detector: Detector, rate_hz: int, aggressiveness: int, floor_dbfs: float, verdict: Verdict
) -> Detection:
    """Begin to detect, inside a running loop.

    Raises:
        ValueError: the rate is not 8000, 16000 or 48000.
        SileroMissingError: its runtime is not installed.
    """
    if detector is Detector.SILERO:
        return SileroBatch.of_running_loop().join(rate_hz, verdict, Heard(aggressiveness, floor_dbfs))
    return FrameByFrame(VoiceDetector(rate_hz, aggressiveness, floor_dbfs), rate_hz, verdict)
