"""Is this frame voice? webrtcvad, once per call, with two floors below which nothing is: a fixed one, and the noise."""

from __future__ import annotations

import numpy as np
import webrtcvad

from media.leg import Pcm
from media.speech.noise import NoiseFloor

VAD_FRAME_MS = (30, 20, 10)
"""The only lengths that webrtcvad takes."""

_FULL_SCALE = 32_768
_NARROW_HZ = 8_000
_AVERAGE_OF_6 = np.full(6, 1 / 6, np.float32)


class VoiceDetector:
    """Tells voice from silence in one party's audio; keeps a noise model, so one for each party.

    The floor is what keeps a click from being speech: after each voiced frame webrtcvad goes on saying "voice" for 60
    to 140 ms. Of 20 s with 10 % clicks at -40 dBFS it takes 42 % for voice (aggressiveness 1), with the floor 10 %; of
    a voice that sounds 56 % of the time it takes 76 %, with the floor 58 %. So a cough of 150 ms stays 150 ms on a
    quiet line. Voice is found down to -45 dBFS at aggressiveness 2, and down to -30 dBFS only at 3. The noise is what
    keeps a loud line, which webrtcvad takes for voice without end, from being speech: see `NoiseFloor`.

    At 48 kHz the audio is averaged down to 8 kHz first: webrtcvad resamples inside at 25 us a frame
    and decides on 8 kHz in the end; averaging costs 4 us.
    """

    __slots__ = ("_decimation", "_floor", "_frame_samples", "_is_speech", "_noise", "_rate_hz", "_rest")

    def __init__(self, rate_hz: int, aggressiveness: int = 2, floor_dbfs: float = -50.0) -> None:
        """Make a detector.

        Raises:
            ValueError: the rate is not 8000, 16000 or 48000.
        """
        if rate_hz not in {8_000, 16_000, 48_000}:
            raise ValueError(f"rate_hz is {rate_hz}: voice detection takes 8000, 16000 or 48000")
        self._is_speech = webrtcvad.Vad(aggressiveness).is_speech
        self._decimation = 6 if rate_hz == 48_000 else 1
        self._rate_hz = rate_hz // self._decimation
        self._frame_samples = rate_hz // 50
        self._floor = int(_FULL_SCALE * 10 ** (floor_dbfs / 20))
        self._noise = NoiseFloor()
        self._rest: Pcm | None = None

    def is_voice(self, pcm: Pcm) -> bool:
        """Whether there is voice in this audio; any length, 10, 20 and 30 ms at no extra cost.

        What does not fill a frame of 10 ms is kept for the next call.
        """
        # The noise is followed through all frames, also those that webrtcvad takes for silence.
        is_above = self._noise.is_above(pcm, len(pcm) * 20 // self._frame_samples)
        if len(pcm) != self._frame_samples or self._rest is not None:
            return self._reframed(pcm) and is_above
        return self._judge(pcm) and is_above

    def learn(self, pcm: Pcm) -> None:
        """Take audio of any length that another judges, and learn the noise of the line from it."""
        self._noise.is_above(pcm, len(pcm) * 20 // self._frame_samples)

    def _judge(self, pcm: Pcm) -> bool:
        # webrtcvad takes the array as it is only by an undocumented way (1.4 us); with bytes it is 1.6 us. The floor
        # comes second: its 0.9 us are spent only on what webrtcvad takes for voice, whose noise model must see noise.
        if self._decimation == 1:
            voice: bool = self._is_speech(pcm.tobytes(), self._rate_hz)
        else:
            narrow = pcm.reshape(-1, 6).astype(np.float32) @ _AVERAGE_OF_6
            voice = self._is_speech(narrow.astype(np.int16).tobytes(), _NARROW_HZ)
        # Either side of zero will do: a line's offset, or pulses that point down, leave little above it.
        return voice and (int(np.maximum.reduce(pcm)) >= self._floor or -int(np.minimum.reduce(pcm)) >= self._floor)

    def _reframed(self, pcm: Pcm) -> bool:
        if self._rest is not None:
            pcm = np.concatenate((self._rest, pcm))
            self._rest = None
        voice = False
        start = 0
        for frame_ms in VAD_FRAME_MS:
            samples = self._frame_samples * frame_ms // 20
            while len(pcm) - start >= samples:
                voice |= self._judge(pcm[start : start + samples])
                start += samples
        if start < len(pcm):
            self._rest = pcm[start:].copy()
        return voice
