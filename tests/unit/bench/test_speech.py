"""The caller's voice of the barge-in measurement is speech from its first frame; line noise is none."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest
import webrtcvad

from bench.generator import PROGRAM, build_generator
from tests.unit.bench.test_stamp import decode_ulaw

FRAME_BYTES = 320


def frames(pcm: bytes) -> list[bytes]:
    return [pcm[start : start + FRAME_BYTES] for start in range(0, len(pcm), FRAME_BYTES)]


@pytest.mark.parametrize("aggressiveness", [0, 1, 2, 3])
def test_speech_is_heard_from_its_first_frame_on(aggressiveness: int) -> None:
    build_generator()
    codes = subprocess.run([str(PROGRAM), "speech", "--seconds", "10"], capture_output=True, check=True).stdout
    detector = webrtcvad.Vad(aggressiveness)
    for _ in range(150):
        detector.is_speech(bytes(FRAME_BYTES), 8000)
    assert all(detector.is_speech(frame, 8000) for frame in frames(decode_ulaw(codes).tobytes()))


@pytest.mark.parametrize("aggressiveness", [2, 3])
def test_line_noise_is_no_speech_once_it_is_known(aggressiveness: int) -> None:
    noise = np.random.default_rng(1).integers(-1, 2, 8000 * 3).astype(np.int16) * 8
    detector = webrtcvad.Vad(aggressiveness)
    heard = [detector.is_speech(frame, 8000) for frame in frames(noise.astype(np.int16).tobytes())]
    assert not any(heard[10:])
