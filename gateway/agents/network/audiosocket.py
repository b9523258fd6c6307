"""Asterisk's AudioSocket: frames on a TCP connection, each a kind, a length and a payload. No I/O.

Source: Asterisk's documentation of the application AudioSocket, and `res_audiosocket.h` (the kinds of audio).
"""

from __future__ import annotations

import enum
import struct
import uuid
from collections.abc import Iterator, Mapping

HEADER = struct.Struct(">BH")
"""Kind, and length of the payload."""

RATES_HZ: Mapping[int, int] = {0x10: 8_000, 0x12: 16_000, 0x13: 24_000, 0x14: 32_000, 0x15: 44_100, 0x16: 48_000}
"""Of signed linear audio, by kind; 12, 96 and 192 kHz are not supported here."""
KINDS_OF_AUDIO: Mapping[int, int] = {rate_hz: kind for kind, rate_hz in RATES_HZ.items()}


class FrameKind(enum.IntEnum):
    """Frames that are no audio."""

    HANG_UP = 0x00
    UUID = 0x01
    DTMF = 0x03
    ERROR = 0xFF


class FrameReader:
    """Takes what comes apart."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """The frames that are complete now: kind and payload. A rest waits, 64 KiB at most."""
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
    """One frame; its payload has 65,535 bytes at most."""
    return HEADER.pack(kind, len(payload)) + payload


def uuid_frame(call: str) -> bytes:
    """The first frame of a connection: which call it is; one that has no id gets one."""
    return frame(FrameKind.UUID, (uuid.UUID(call) if call else uuid.uuid4()).bytes)


def dtmf_frame(digit: str) -> bytes:
    """A key."""
    return frame(FrameKind.DTMF, digit.encode("ascii"))
