"""Our own voice that comes back is known for what it is, and a caller's voice is not taken for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from media.leg import Pcm
from media.speech.own_voice import OwnVoice

SOUNDS = Path(__file__).parents[4] / "dialplans/sounds"
RATES_HZ = (8_000, 16_000, 48_000)


def spoken(name: str, rate_hz: int) -> Pcm:
    """A person's words, without the silence around them."""
    pcm, file_hz = soundfile.read(SOUNDS / name, dtype="int16")
    loud = np.flatnonzero(np.abs(pcm) > 1_000)
    return np.asarray(soxr.resample(pcm[loud[0] : loud[-1]], file_hz, rate_hz), np.int16)


def delayed(pcm: Pcm, rate_hz: int, delay_ms: int, gain_db: float) -> Pcm:
    silence = np.zeros(rate_hz * delay_ms // 1_000, np.int16)
    return (np.concatenate((silence, pcm))[: len(pcm)] * 10 ** (gain_db / 20)).astype(np.int16)


def explained(rate_hz: int, sent: Pcm, heard: Pcm) -> tuple[int, int]:
    """Frames that are loud enough to be voice; how many of them are taken for our own."""
    now = 0

    def last_sent(samples: int) -> Pcm:
        return np.concatenate((np.zeros(samples, np.int16), sent[:now]))[-samples:]

    own = OwnVoice(rate_hz, last_sent)
    frame = rate_hz // 50
    voiced = ours = 0
    for start in range(0, min(len(heard), len(sent)) - frame, frame):
        pcm = heard[start : start + frame]
        now = start + frame
        own.hear(pcm)
        if np.abs(pcm).max() < 104:  # -50 dBFS
            own.hear_no_voice()
            continue
        voiced += 1
        ours += own.explains_voice()
    return voiced, ours


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("gain_db", [0, -10, -20, -32])
@pytest.mark.parametrize("delay_ms", [50, 150, 450, 590])
def test_an_echo_is_our_own_voice(rate_hz: int, gain_db: float, delay_ms: int) -> None:
    sent = spoken("welcome.wav", rate_hz)
    voiced, ours = explained(rate_hz, sent, delayed(sent, rate_hz, delay_ms, gain_db))
    assert voiced > 50
    assert voiced - ours <= 6, "none but those of the window that is not full yet"


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_another_voice_is_not_ours(rate_hz: int) -> None:
    voiced, ours = explained(rate_hz, spoken("welcome.wav", rate_hz), spoken("sorry.wav", rate_hz))
    assert voiced > 50
    assert ours <= voiced * 0.2, "though both are the same synthetic speaker's"


@pytest.mark.parametrize("gain_db", [-10, -20])
def test_a_caller_is_heard_over_an_echo(gain_db: float) -> None:
    sent, said = spoken("welcome.wav", 8_000), spoken("sorry.wav", 8_000)
    length = min(len(sent), len(said))
    echo = delayed(sent, 8_000, 150, gain_db)[:length]
    voiced, ours = explained(8_000, sent, said[:length] + echo)
    assert ours < voiced * 0.5


def test_what_was_said_longer_ago_than_an_echo_takes_is_not_looked_at() -> None:
    sent = spoken("welcome.wav", 8_000)
    voiced, ours = explained(8_000, sent, delayed(sent, 8_000, 900, -10))
    assert ours <= voiced * 0.2


def test_an_offset_of_the_line_is_no_voice_of_ours() -> None:
    sent = np.full(8_000, 5_000, np.int16)
    voiced, ours = explained(8_000, sent, sent)
    assert voiced
    assert not ours
