"""The generator's stamp as linear PCM: which flow, which packet, and when it was sent.

The layout is written down once, in `loadgen/src/stamp.hpp`.
"""

from __future__ import annotations

import binascii
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

FRAME_SAMPLES = 160
NIBBLES = 20
SAMPLES_PER_NIBBLE = FRAME_SAMPLES // NIBBLES
WRAP_US = 1 << 32

_BODY = struct.Struct(">HHI")
_STAMP = struct.Struct(">HHIH")
_CRC_INIT = 0xFFFF
_MANTISSA = 8
_BIAS = 0x84


@dataclass(frozen=True, slots=True)
class Stamp:
    """What one 20 ms frame tells about itself."""

    flow: int
    sequence: int
    sent_us: int
    """CLOCK_MONOTONIC at sending, modulo 2**32."""


def _level(nibble: int) -> int:
    """The linear value of a nibble's mu-law code (ITU-T G.711): bit 3 is the sign, bits 0-2 the segment."""
    magnitude = (((_MANTISSA << 3) + _BIAS) << (nibble & 7)) - _BIAS
    return -magnitude if nibble & 8 else magnitude


LEVELS = np.array([_level(nibble) for nibble in range(16)], dtype=np.int16)


def _nibble_table() -> npt.NDArray[np.uint8]:
    # The nearest level wins, so that a codec which rounds differently does not blind the probe.
    values = np.arange(1 << 16, dtype=np.uint16).view(np.int16).astype(np.int32)
    distance = np.abs(values[:, None] - LEVELS.astype(np.int32)[None, :])
    table: npt.NDArray[np.uint8] = distance.argmin(axis=1).astype(np.uint8)
    return table


_NIBBLE_OF = _nibble_table()
"""Indexed by an int16 sample; a negative one counts from the end, as its bits do."""


def read_stamp(pcm: npt.NDArray[np.int16]) -> Stamp | None:
    """The stamp of a frame of 160 samples at 8 kHz; None if it holds none."""
    if len(pcm) != FRAME_SAMPLES:
        return None
    nibbles = _NIBBLE_OF[pcm[SAMPLES_PER_NIBBLE // 2 :: SAMPLES_PER_NIBBLE]]
    packed = (nibbles[0::2] << 4 | nibbles[1::2]).tobytes()
    flow, sequence, sent_us, crc = _STAMP.unpack(packed)
    if binascii.crc_hqx(packed[: _BODY.size], _CRC_INIT) != crc:
        return None
    return Stamp(flow, sequence, sent_us)


def write_stamp(stamp: Stamp) -> npt.NDArray[np.int16]:
    """A frame that carries the stamp, as the gateway decodes the generator's."""
    body = _BODY.pack(stamp.flow, stamp.sequence, stamp.sent_us)
    packed = np.frombuffer(body + binascii.crc_hqx(body, _CRC_INIT).to_bytes(2, "big"), dtype=np.uint8)
    nibbles = np.stack((packed >> 4, packed & 0x0F), axis=1).reshape(-1)
    frame: npt.NDArray[np.int16] = np.repeat(LEVELS[nibbles], SAMPLES_PER_NIBBLE)
    return frame


def age_us(stamp: Stamp, now_ns: int) -> int:
    """How long ago, on CLOCK_MONOTONIC, the frame was sent; right up to 35 minutes."""
    elapsed = (now_ns // 1_000 - stamp.sent_us) % WRAP_US
    return elapsed - WRAP_US if elapsed >= WRAP_US // 2 else elapsed
