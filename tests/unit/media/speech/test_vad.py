"""Voice is told from silence and from the noise of a line, at every rate and frame length."""

from __future__ import annotations

import numpy as np
import pytest

from media.leg import Pcm
from media.speech.vad import VoiceDetector
from tests.fake_leg import silence, voice

RATES_HZ = (8_000, 16_000, 48_000)


def judged(rate_hz: int, pcm: Pcm, frame_ms: float = 20, **settings: float) -> list[bool]:
    detector = VoiceDetector(rate_hz, **settings)  # type: ignore[arg-type]
    size = int(rate_hz * frame_ms / 1_000)
    return [detector.is_voice(pcm[start : start + size]) for start in range(0, len(pcm) - size + 1, size)]


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_voice_begins_within_a_frame_and_ends_within_the_hangover(rate_hz: int) -> None:
    sound = np.concatenate((silence(rate_hz, 1_000), voice(rate_hz, 1_000), silence(rate_hz, 1_000)))
    found = judged(rate_hz, sound)
    assert not any(found[:50])
    assert found.index(True) in {50, 51}
    assert sum(found[50:100]) >= 48
    assert not any(found[106:])


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("frame_ms", [10, 20, 30, 40, 60, 5, 12.5, 25])
def test_any_length_of_frame(rate_hz: int, frame_ms: float) -> None:
    sound = np.concatenate((silence(rate_hz, 600), voice(rate_hz, 600), silence(rate_hz, 600)))
    found = judged(rate_hz, sound, frame_ms)
    third = len(found) // 3
    assert not any(found[: third - 1])
    if frame_ms >= 10:
        assert sum(found[third : 2 * third]) >= 0.9 * third
    assert not any(found[-third // 2 :])


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_what_is_below_the_floor_is_never_voice(rate_hz: int) -> None:
    speech = voice(rate_hz, 1_000, level=0.1)  # -20 dBFS
    assert all(judged(rate_hz, speech)[2:])
    assert not any(judged(rate_hz, speech, floor_dbfs=-19.0))


def test_the_floor_ends_the_hangover_on_a_quiet_line() -> None:
    click = np.concatenate((silence(8_000, 500), voice(8_000, 40), silence(8_000, 500)))
    assert sum(judged(8_000, click, aggressiveness=0)) == 2
    assert sum(judged(8_000, click, aggressiveness=0, floor_dbfs=-96.0)) > 4


@pytest.mark.parametrize("aggressiveness", [0, 1, 2, 3])
def test_digital_silence_is_none(aggressiveness: int) -> None:
    assert not any(judged(8_000, np.zeros(8_000, np.int16), aggressiveness=aggressiveness))


def test_a_rate_that_it_cannot_take_is_named() -> None:
    with pytest.raises(ValueError, match="rate_hz is 44100: voice detection takes 8000, 16000 or 48000"):
        VoiceDetector(44_100)


@pytest.mark.parametrize("offset", [4_000, -4_000])
def test_a_voice_is_one_on_either_side_of_zero(offset: int) -> None:
    lopsided = (voice(8_000, 1_000, level=0.1) + offset).astype(np.int16)
    assert sum(judged(8_000, lopsided)) >= 40
