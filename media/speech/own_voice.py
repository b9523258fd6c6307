"""Whether the caller's line brings back our own voice, as the line's hybrid or a loudspeaker does."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from media.leg import Pcm

MAX_DELAY_MS = 600
"""From a sample that was sent to its echo: the network twice, and the buffers at the far end."""
_WINDOW_MS = 120
_HZ = 4_000
"""Enough to know a voice by, and a quarter of the work of 8 kHz."""
_SHARE = 0.3
"""Of the window's energy, what one delay must explain. Measured over five readers and five voices of agents: an echo
explains more than 0.77 in 99 frames of 100, another voice less than 0.33 (half of the frames less than 0.06)."""
_GAIN_MAX = 10.0
"""An echo is not louder than what made it, but for the rounding of a faint one; in energy."""
_VERDICT_FRAMES = 3
"""How many frames of voice one look stands for: 60 ms."""

Samples = npt.NDArray[np.float32]


class OwnVoice:
    """Compares the caller's audio with what was sent, at all delays at once (cross-correlation by FFT).

    Measured over 160 s each of echoes at -10, -20 and -32 dB and 50 to 500 ms, through G.711 and a line's noise: 2 to 7
    pauses a second of speech without it, none with it. A caller who speaks over an agent without an echo is heard as
    soon as before; over an echo of -20 dB 0.2 s later (median). Of an echo that a room has smeared over 60 ms (-20 dB),
    one pause in 6 s is left of two in 1 s. A look costs 80 us, and is taken only while there is voice.
    """

    __slots__ = ("_frames_left", "_heard", "_heard_samples", "_mean", "_ours", "_rate_hz", "_sent", "_step", "_window")

    def __init__(self, rate_hz: int, sent: Callable[[int], Pcm]) -> None:
        """`sent(samples)` returns what was sent last, silence included, newest sample last."""
        self._rate_hz = rate_hz
        self._step = rate_hz // _HZ
        self._mean = np.full(self._step, 1 / self._step, np.float32)
        self._window = rate_hz * _WINDOW_MS // 1_000
        self._sent = sent
        self._heard: deque[Pcm] = deque()
        self._heard_samples = 0
        self._frames_left = 0
        self._ours = False

    @property
    def history_samples(self) -> int:
        """How much of what was sent is compared."""
        return self._window + self._rate_hz * MAX_DELAY_MS // 1_000

    def hear(self, pcm: Pcm) -> None:
        """Note one frame of the caller's audio, voice or not."""
        self._heard.append(pcm.copy())  # a frame on hold would keep all that came with it
        self._heard_samples += len(pcm)
        while self._heard_samples - len(self._heard[0]) >= self._window:
            self._heard_samples -= len(self._heard.popleft())

    def explains_voice(self) -> bool:
        """Whether the voice in the frame that was noted last is our own."""
        if self._frames_left == 0:
            self._frames_left = _VERDICT_FRAMES
            self._ours = self._heard_samples >= self._window and self._look()
        self._frames_left -= 1
        return self._ours

    def hear_no_voice(self) -> None:
        """There is no voice in the frame that was noted last: look anew at the next one that has."""
        self._frames_left = 0

    def _look(self) -> bool:
        sent = self._narrow(self._sent(self.history_samples))
        if not sent.any():
            return False
        heard = self._narrow(np.concatenate(self._heard)[-self._window :])
        return explained_share(heard, sent) > _SHARE

    def _narrow(self, pcm: Pcm) -> Samples:
        if len(pcm) % self._step:
            pcm = pcm[len(pcm) % self._step :]
        return pcm.astype(np.float32).reshape(-1, self._step) @ self._mean


def explained_share(heard: Samples, sent: Samples) -> float:
    """How much of the energy of `heard` is some stretch of `sent` of the same length, at whatever level: 0 to 1."""
    heard = heard - heard.mean()
    sent = sent - sent.mean()
    energy = float(heard @ heard)
    lags = len(sent) - len(heard) + 1
    transform = _fft_length(len(sent))
    spectrum = np.fft.rfft(sent, transform) * np.fft.rfft(heard, transform).conj()
    products = np.fft.irfft(spectrum, transform)[:lags]
    sums = np.concatenate(((0.0,), np.cumsum(sent * sent, dtype=np.float64)))
    energies = sums[len(heard) :] - sums[: -len(heard)]
    loud = energies * _GAIN_MAX > energy
    if energy <= 0.0 or not loud.any():
        return 0.0
    return float((products[loud] ** 2 / energies[loud]).max()) / energy


def _fft_length(samples: int) -> int:
    """The next length that is fast to transform, a power of two or three quarters of one."""
    power = 1 << (samples - 1).bit_length()
    return power * 3 // 4 if power * 3 // 4 >= samples else power
