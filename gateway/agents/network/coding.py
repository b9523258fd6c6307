"""Audio formats of backends, and the conversion of a call's audio to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from media.g711 import alaw_decoded, alaw_encoded, mulaw_decoded, mulaw_encoded
from media.leg import Pcm
from media.pcm_bytes import pcm16_decoded, pcm16_encoded
from media.resample import Resampler

Coding: TypeAlias = Literal["mulaw", "alaw", "l16"]
"""G.711, or 16-bit little-endian samples."""


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """A format of mono audio as bytes."""

    coding: Coding
    rate_hz: int


MULAW_8K = AudioFormat("mulaw", 8_000)
ALAW_8K = AudioFormat("alaw", 8_000)

ENCODED: Mapping[Coding, Callable[[Pcm], bytes]] = {
    "mulaw": mulaw_encoded,
    "alaw": alaw_encoded,
    "l16": pcm16_encoded,
}
DECODED: Mapping[Coding, Callable[[bytes], Pcm]] = {
    "mulaw": mulaw_decoded,
    "alaw": alaw_decoded,
    "l16": pcm16_decoded,
}


def line_format(codec: str, rate_hz: int) -> AudioFormat:
    """Return the format that carries a line's audio without loss.

    Args:
        codec: the codec of the call, such as "PCMA/8000".
        rate_hz: the rate of the call's audio.
    """
    if rate_hz != MULAW_8K.rate_hz:
        return AudioFormat("l16", rate_hz)
    return ALAW_8K if "PCMA" in codec else MULAW_8K


class Encoder:
    """Encodes a call's audio in the format that a backend wants; the format may change during the call."""

    def __init__(self, line_hz: int, wanted: AudioFormat) -> None:
        self._line_hz = line_hz
        self._rate_hz = 0
        self.use(wanted)

    def use(self, wanted: AudioFormat) -> None:
        """Use this format from now on."""
        self._encode = ENCODED[wanted.coding]
        if wanted.rate_hz != self._rate_hz:
            self._rate_hz = wanted.rate_hz
            self._resampler = Resampler(self._line_hz, wanted.rate_hz) if wanted.rate_hz != self._line_hz else None

    def encoded(self, pcm: Pcm) -> bytes:
        """Encode int16 samples at the line's rate, shape (samples,)."""
        return self._encode(self._resampler.process(pcm) if self._resampler is not None else pcm)
