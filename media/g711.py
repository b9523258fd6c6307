"""G.711 mu-law as bytes, for agents that want the line's own coding. Both ways by a table.

A line that speaks PCMU loses nothing: what was decoded is encoded to the same bytes again, but for the second zero of
mu-law (0x7F), which becomes the first (0xFF) and sounds the same.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from media.leg import Pcm

RATE_HZ = 8_000


def mulaw_encoded(pcm: Pcm) -> bytes:
    """Mu-law (ITU-T G.711) of int16 samples, shape (samples,): one byte each."""
    return _ENCODED[pcm.view(np.uint16)].tobytes()


def mulaw_decoded(data: bytes) -> Pcm:
    """Int16 samples of mu-law bytes, shape (bytes,)."""
    pcm: Pcm = _DECODED[np.frombuffer(data, np.uint8)]
    return pcm


def _decoding() -> Pcm:
    code = ~np.arange(256, dtype=np.uint8)
    exponent, mantissa = (code >> 4) & 7, code & 15
    magnitude = (((mantissa.astype(np.int32) << 3) + 0x84) << exponent) - 0x84
    pcm: Pcm = np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)
    return pcm


def _encoding() -> npt.NDArray[np.uint8]:
    """For each bit pattern of a sample, its code: G.711 table 2a, with the usual bias of 132."""
    sample = np.arange(65_536, dtype=np.uint16).view(np.int16).astype(np.int32)
    magnitude = np.minimum(np.abs(sample), 32_635) + 0x84
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    code = np.where(sample < 0, 0x80, 0) | (exponent << 4) | ((magnitude >> (exponent + 3)) & 15)
    codes: npt.NDArray[np.uint8] = (~code).astype(np.uint8)
    return codes


_DECODED = _decoding()
_DECODED.flags.writeable = False
_ENCODED = _encoding()
