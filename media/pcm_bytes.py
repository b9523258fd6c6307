"""Samples as bytes, 16 bits, little-endian: what most backends call PCM16, s16le or linear16."""

from __future__ import annotations

import numpy as np

from media.leg import Pcm


def pcm16_encoded(pcm: Pcm) -> bytes:
    """Two bytes for each sample."""
    return pcm.astype("<i2", copy=False).tobytes()


def pcm16_decoded(data: bytes) -> Pcm:
    """Int16 samples, shape (bytes // 2,); an odd last byte is dropped."""
    return np.frombuffer(data[: len(data) & ~1], "<i2").astype(np.int16, copy=False)
