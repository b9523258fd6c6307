"""G.711 encoder and decoder, for agents that want the coding of the line. Both use tables.

On a PCMU or PCMA line nothing is lost: decoding and encoding give the same bytes again. The only exception is the
second zero of mu-law (0x7F), which becomes the first one (0xFF) and sounds the same.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from media.leg import Pcm

RATE_HZ = 8_000

# `take` with mode "wrap" counts a negative sample from the end of the table, so its bit pattern is the index.
_Codes = npt.NDArray[np.uint8]


def mulaw_encoded(pcm: Pcm) -> bytes:
    """Encode int16 samples, shape (samples,), to mu-law: one byte each."""
    return _MULAW_OF.take(pcm, mode="wrap").tobytes()


def mulaw_decoded(data: bytes) -> Pcm:
    """Decode mu-law to int16 samples, shape (bytes,)."""
    return _OF_MULAW.take(np.frombuffer(data, np.uint8))


def alaw_encoded(pcm: Pcm) -> bytes:
    """Encode int16 samples, shape (samples,), to A-law: one byte each."""
    return _ALAW_OF.take(pcm, mode="wrap").tobytes()


def alaw_decoded(data: bytes) -> Pcm:
    """Decode A-law to int16 samples, shape (bytes,)."""
    return _OF_ALAW.take(np.frombuffer(data, np.uint8))


def _samples() -> npt.NDArray[np.int32]:
    """All int16 samples, in order of their bit patterns 0x0000 to 0xFFFF."""
    return np.arange(65_536, dtype=np.uint16).view(np.int16).astype(np.int32)


def _of_mulaw() -> Pcm:
    """G.711 table 2b, with the usual bias of 132."""
    code = ~np.arange(256, dtype=np.uint8)
    exponent, mantissa = (code >> 4) & 7, code & 15
    magnitude = (((mantissa.astype(np.int32) << 3) + 0x84) << exponent) - 0x84
    pcm: Pcm = np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)
    return pcm


def _mulaw_of() -> _Codes:
    """G.711 table 2a."""
    sample = _samples()
    magnitude = np.minimum(np.abs(sample), 32_635) + 0x84
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    code = np.where(sample < 0, 0x80, 0) | (exponent << 4) | ((magnitude >> (exponent + 3)) & 15)
    codes: _Codes = (~code).astype(np.uint8)
    return codes


def _of_alaw() -> Pcm:
    """G.711 table 1b; every other bit is inverted on the wire."""
    code = np.arange(256, dtype=np.uint8) ^ 0x55
    exponent, mantissa = (code >> 4) & 7, (code & 15).astype(np.int32) << 4
    magnitude = np.where(exponent > 0, (mantissa + 0x108) << np.maximum(exponent.astype(np.int32) - 1, 0), mantissa + 8)
    pcm: Pcm = np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)
    return pcm


def _alaw_of() -> _Codes:
    """G.711 table 1a."""
    sample = _samples()
    magnitude = np.where(sample < 0, ~sample, sample)
    exponent = np.maximum(np.floor(np.log2(np.maximum(magnitude, 1))).astype(np.int32) - 7, 0)
    code = np.where(sample < 0, 0, 0x80) | (exponent << 4) | ((magnitude >> (np.maximum(exponent, 1) + 3)) & 15)
    codes: _Codes = (code ^ 0x55).astype(np.uint8)
    return codes


_OF_MULAW, _MULAW_OF = _of_mulaw(), _mulaw_of()
_OF_ALAW, _ALAW_OF = _of_alaw(), _alaw_of()
for _table in (_OF_MULAW, _MULAW_OF, _OF_ALAW, _ALAW_OF):
    _table.flags.writeable = False
