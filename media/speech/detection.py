"""The voice detectors that an agent may choose from, and their common interface."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Protocol

from media.leg import Pcm
from media.speech.silero import Heard, SileroBatch
from media.speech.vad import VoiceDetector

Verdict = Callable[[bool, int], object]
"""Called for each piece of the audio, in order: whether it contains voice, and its length in ms."""


class Detector(enum.Enum):
    """Which detector is used for the caller's audio."""

    WEBRTCVAD = "webrtcvad"
    """Decides on each frame at once, at very low cost. At 5 dB above the noise it detects a quarter of the speech."""
    SILERO = "silero"
    """A small neural network (Silero VAD v6). Works in noise; costs many times more, and is tens of ms later."""


class Detection(Protocol):
    """One party's audio on its way through a detector. For the asyncio thread only."""

    def hear(self, pcm: Pcm) -> None:
        """Take one frame of any length; its verdict follows at once or some tens of milliseconds later, in order."""

    def close(self) -> None:
        """Stop: no more verdicts follow."""


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
        """Nothing to stop: no verdicts are pending."""


def new_detection(
    detector: Detector, rate_hz: int, aggressiveness: int, floor_dbfs: float, verdict: Verdict
) -> Detection:
    """Begin to detect, inside a running loop.

    Raises:
        ValueError: the rate is not 8000, 16000 or 48000.
        SileroMissingError: the runtime of Silero VAD is not installed.
    """
    if detector is Detector.SILERO:
        return SileroBatch.of_running_loop().join(rate_hz, verdict, Heard(aggressiveness, floor_dbfs))
    return FrameByFrame(VoiceDetector(rate_hz, aggressiveness, floor_dbfs), rate_hz, verdict)
