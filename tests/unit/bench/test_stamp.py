"""Stamps: the generator writes them in mu-law, an agent reads them in linear PCM."""

from __future__ import annotations

import subprocess

import numpy as np
import numpy.typing as npt
import pytest

from bench.generator import PROGRAM, build_generator
from bench.stamp import FRAME_SAMPLES, Stamp, age_us, read_stamp, write_stamp

STAMPS = [Stamp(0, 0, 0), Stamp(999, 65535, 2**32 - 1), Stamp(0x1234, 0x5678, 0x9ABCDEF0)]


def decode_ulaw(codes: bytes) -> npt.NDArray[np.int16]:
    """ITU-T G.711, written a third time: neither the generator's code nor the probe's."""
    bits = ~np.frombuffer(codes, dtype=np.uint8).astype(np.int32) & 0xFF
    magnitude = ((((bits & 0x0F) << 3) + 132) << (bits >> 4 & 7)) - 132
    return np.where(bits & 0x80, -magnitude, magnitude).astype(np.int16)


@pytest.mark.parametrize("stamp", STAMPS)
def test_a_stamp_that_the_generator_wrote_is_read(stamp: Stamp) -> None:
    build_generator()
    options = ["--flow", str(stamp.flow), "--sequence", str(stamp.sequence), "--sent-us", str(stamp.sent_us)]
    payload = subprocess.run([str(PROGRAM), "stamp", *options], capture_output=True, check=True).stdout
    assert read_stamp(decode_ulaw(payload)) == stamp


@pytest.mark.parametrize("stamp", STAMPS)
def test_a_stamp_survives_a_codec_that_rounds(stamp: Stamp) -> None:
    pcm = write_stamp(stamp)
    assert read_stamp(pcm) == stamp
    assert read_stamp(pcm + np.where(pcm > 0, 16, -16).astype(np.int16)) == stamp


@pytest.mark.parametrize(
    "pcm",
    [
        np.zeros(FRAME_SAMPLES, np.int16),
        np.full(FRAME_SAMPLES, -32768, np.int16),
        np.full(FRAME_SAMPLES, 32767, np.int16),
        np.zeros(0, np.int16),
        write_stamp(STAMPS[1])[:80],
        np.concatenate((write_stamp(STAMPS[1])[80:], write_stamp(STAMPS[2])[:80])),
    ],
)
def test_what_is_not_a_whole_stamped_frame_is_none(pcm: npt.NDArray[np.int16]) -> None:
    assert read_stamp(pcm) is None


def test_age_is_right_across_the_wrap() -> None:
    assert age_us(Stamp(0, 0, 1_000), 6_000_999) == 5_000
    assert age_us(Stamp(0, 0, 2**32 - 10), (2**32 + 40) * 1_000) == 50
    assert age_us(Stamp(0, 0, 100), 40_000) == -60
