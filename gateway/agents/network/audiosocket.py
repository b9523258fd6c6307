"""The frames of Asterisk's AudioSocket on a TCP connection: each has a kind, a length and a payload. No I/O.

Source: Asterisk's documentation of the application AudioSocket, and `res_audiosocket.h` (the kinds of audio).
"""

from __future__ import annotations

import enum
import struct
import uuid
from collections.abc import Iterator, Mapping

HEADER = struct.Struct(">BH")
"""The kind, and the length of the payload."""

RATES_HZ: Mapping[int, int] = {0x10: 8_000, 0x12: 16_000, 0x13: 24_000, 0x14: 32_000, 0x15: 44_100, 0x16: 48_000}
"""Rates of signed linear audio, by kind of frame; 12, 96 and 192 kHz are not supported."""
KINDS_OF_AUDIO: Mapping[int, int] = {rate_hz: kind for kind, rate_hz in RATES_HZ.items()}


class FrameKind(enum.IntEnum):
    """The kinds of frames that are not audio."""

    HANG_UP = 0x00
    UUID = 0x01
    DTMF = 0x03
    ERROR = 0xFF


class FrameReader:
    """Splits a stream of bytes into frames."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield the frames that are now complete, as kind and payload; keeps at most 64 KiB of an incomplete frame."""
        self._rest += data
        at = 0
        while len(self._rest) - at >= HEADER.size:
            kind, length = HEADER.unpack_from(self._rest, at)
            end = at + HEADER.size + length
            if end > len(self._rest):
                break
            yield kind, bytes(self._rest[at + HEADER.size : end])
            at = end
        del self._rest[:at]


def frame(kind: int, payload: bytes = b"") -> bytes:
    """Return one frame; its payload may have at most 65,535 bytes."""
    return HEADER.pack(kind, len(payload)) + payload


def uuid_frame(call: str) -> bytes:
    """Return the first frame of a connection, with the call's id; without an id, a random one is used."""
    return frame(FrameKind.UUID, (uuid.UUID(call) if call else uuid.uuid4()).bytes)


def dtmf_frame(digit: str) -> bytes:
    """Return the frame for a key that the caller pressed."""
    return frame(FrameKind.DTMF, digit.encode("ascii"))
