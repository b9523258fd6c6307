"""RTP packets (RFC 3550) and mu-law (ITU-T G.711), for tests that look at the wire themselves."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .sound import Pcm

PCMU_RATE_HZ = 8000
FRAME_SAMPLES = 160
PCMU = 0
TELEPHONE_EVENT = 101
HEADER = struct.Struct("!BBHII")
VERSION_BITS = 0x80
MARKER_BIT = 0x80
DTMF_DIGITS = "0123456789*#ABCD"


@dataclass(frozen=True, slots=True)
class RtpPacket:
    """One packet, with the time at which it was sent or came."""

    time_s: float
    """CLOCK_MONOTONIC, as `time.monotonic()` gives it."""
    sequence: int
    timestamp: int
    ssrc: int
    payload_type: int
    marker: bool
    payload: bytes
    source: tuple[str, int] = ("", 0)
    target: tuple[str, int] = ("", 0)
    """Where it arrived."""

    @property
    def pcm(self) -> Pcm:
        """The sound of a PCMU packet; empty for any other."""
        return decode_ulaw(self.payload) if self.payload_type == PCMU else np.zeros(0, np.int16)

    def pack(self) -> bytes:
        """The packet as on the wire."""
        second = self.payload_type | (MARKER_BIT if self.marker else 0)
        head = HEADER.pack(VERSION_BITS, second, self.sequence & 0xFFFF, self.timestamp & 0xFFFFFFFF, self.ssrc)
        return head + self.payload


def parse_rtp(
    data: bytes, time_s: float, source: tuple[str, int], target: tuple[str, int] = ("", 0)
) -> RtpPacket | None:
    """The packet in `data`, or None if it is not RTP (RTCP on the same port included, RFC 5761 section 4)."""
    if len(data) < HEADER.size or data[0] & 0xC0 != VERSION_BITS or 192 <= data[1] <= 223:
        return None
    first, second, sequence, timestamp, ssrc = HEADER.unpack_from(data)
    start = HEADER.size + 4 * (first & 0x0F)
    if first & 0x10:
        if len(data) < start + 4:
            return None
        start += 4 + 4 * int(struct.unpack_from("!H", data, start + 2)[0])
    end = len(data) - (data[-1] if first & 0x20 else 0)
    return RtpPacket(
        time_s, sequence, timestamp, ssrc, second & 0x7F, bool(second & MARKER_BIT), data[start:end], source, target
    )


def _ulaw_table() -> npt.NDArray[np.int16]:
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84 << ((code & 0x70) >> 4)) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


ULAW = _ulaw_table()


def decode_ulaw(data: bytes) -> Pcm:
    """Linear samples of mu-law bytes."""
    return ULAW[np.frombuffer(data, np.uint8)]


def encode_ulaw(pcm: Pcm) -> bytes:
    """mu-law bytes of linear samples."""
    magnitude = np.minimum(np.abs(pcm.astype(np.int32)), 32635) + 0x84
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    code = exponent << 4 | (magnitude >> exponent + 3 & 0x0F)
    sign = np.where(pcm < 0, 0x80, 0)
    voice: bytes = (~(code | sign) & 0xFF).astype(np.uint8).tobytes()
    return voice


def dtmf_payloads(digit: str, length_ms: int) -> list[bytes]:
    """Payloads of one key press (RFC 4733): an update every 20 ms, the last one three times with the end bit."""
    event = DTMF_DIGITS.index(digit)
    samples = list(range(FRAME_SAMPLES, length_ms * 8, FRAME_SAMPLES))
    body = [struct.pack("!BBH", event, 10, duration) for duration in samples]
    return [*body, *[struct.pack("!BBH", event, 0x80 | 10, length_ms * 8)] * 3]


def timeline(packets: Sequence[RtpPacket]) -> Pcm:
    """PCMU packets as one sound by their RTP timestamps, from the first one on; what is missing is silence.

    A new SSRC, or a jump of more than a minute, is put where it arrived instead.
    """
    voice = [packet for packet in packets if packet.payload_type == PCMU]
    if not voice:
        return np.zeros(0, np.int16)
    places: list[tuple[int, Pcm]] = []
    base, anchor = voice[0], 0
    for packet in voice:
        offset = (packet.timestamp - base.timestamp + 2**31) % 2**32 - 2**31
        if packet.ssrc != base.ssrc or abs(offset) > 60 * PCMU_RATE_HZ:
            anchor, base, offset = round((packet.time_s - voice[0].time_s) * PCMU_RATE_HZ), packet, 0
        places.append((max(0, anchor + offset), packet.pcm))
    sound = np.zeros(max(start + len(pcm) for start, pcm in places), np.int16)
    for start, pcm in places:
        sound[start : start + len(pcm)] = pcm
    return sound
