"""G.711 against the values of the recommendation."""

from __future__ import annotations

import numpy as np
import pytest

from media.g711 import alaw_decoded, alaw_encoded, mulaw_decoded, mulaw_encoded
from tests.e2e.peers.rtp import encode_ulaw

CODES = bytes(range(256))


@pytest.mark.parametrize(
    ("code", "sample"),
    [(0xFF, 0), (0x7F, 0), (0x80, 32_124), (0x00, -32_124), (0xFE, 8), (0x7E, -8), (0xEF, 132), (0x8F, 16_764)],
)
def test_decoding_gives_the_values_of_table_2a(code: int, sample: int) -> None:
    """G.711 counts to 8,159 with 14 bits: four of ours are one of its."""
    assert mulaw_decoded(bytes([code])).tolist() == [sample]


def test_what_was_decoded_is_encoded_to_the_same_but_for_the_second_zero() -> None:
    again = mulaw_encoded(mulaw_decoded(CODES))
    assert again == CODES.replace(b"\x7f", b"\xff")


def test_every_sample_becomes_what_another_implementation_makes_of_it() -> None:
    samples = np.arange(-32_768, 32_768).astype(np.int16)
    assert mulaw_encoded(samples) == encode_ulaw(samples)


@pytest.mark.parametrize(("code", "sample"), [(0xD5, 8), (0x55, -8), (0xAA, 32_256), (0x2A, -32_256), (0xC5, 264)])
def test_decoding_a_law_gives_the_values_of_table_1b(code: int, sample: int) -> None:
    """G.711 counts to 4,032 with 13 bits: eight of ours are one of its."""
    assert alaw_decoded(bytes([code])).tolist() == [sample]


def test_a_law_that_was_decoded_is_encoded_to_the_same() -> None:
    assert alaw_encoded(alaw_decoded(CODES)) == CODES


def test_a_law_is_off_by_half_a_step_at_most() -> None:
    samples = np.arange(-32_768, 32_768).astype(np.int16)
    decoded = alaw_decoded(alaw_encoded(samples)).astype(int)
    step = np.maximum(16, np.exp2(np.floor(np.log2(np.maximum(np.abs(decoded), 1))) - 4))
    assert np.all(np.abs(decoded - samples) <= step / 2 + 1)
