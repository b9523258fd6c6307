"""Noise that grows, or is there all the time, neither interrupts without end nor keeps a turn open."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
import soundfile
import soxr

from bench.noises import KINDS, Sound, band, growing, noise, normal, pcm
from gateway.settings.shipped import DIALPLANS
from media.conversation.conversation import Conversation
from media.conversation.events import Audio, Event, Interrupted, SpeechEnded, SpeechStarted
from media.conversation.floor import BargeInSettings
from media.leg import Pcm
from media.speech.detection import Detector
from tests.fake_leg import FakeLeg, caller_sends, talk
from tests.inline_silero import judge_inline
from tests.virtual_time import virtual

RATE_HZ = 8_000
LEARNT_WITHIN_MS = 5_000
"""Of a noise that begins or grows: what it may hold the floor for."""


async def heard(said: Pcm, detector: Detector) -> list[tuple[float, Event]]:
    """What happens, and at which second, to an agent that speaks but in the caller's turns."""
    judge_inline()
    leg = FakeLeg(RATE_HZ)
    call = Conversation(leg, barge_in=BargeInSettings(detector=detector))
    loop = asyncio.get_running_loop()
    told: list[tuple[float, Event]] = []
    answer = np.full(RATE_HZ * 50, 1, np.int16)

    async def listen() -> None:
        async for event in call.events():
            if not isinstance(event, Audio):
                told.append((loop.time(), event))
            if isinstance(event, SpeechEnded):
                call.play(answer)

    call.play(answer)
    listener = asyncio.create_task(listen())
    await caller_sends(leg, said)
    await asyncio.sleep(0.04)
    listener.cancel()
    await asyncio.gather(listener, return_exceptions=True)
    call.close()
    leg.stop_clock()
    return told


def floor_taken_ms(told: list[tuple[float, Event]], end_s: float) -> float:
    """For how long all turns together were open."""
    taken_s, since_s = 0.0, None
    for at_s, event in told:
        if isinstance(event, SpeechStarted):
            since_s = at_s
        elif isinstance(event, SpeechEnded) and since_s is not None:
            taken_s += at_s - since_s
            since_s = None
    return 1_000 * (taken_s + (end_s - since_s if since_s is not None else 0))


@pytest.mark.slow
@pytest.mark.parametrize("detector", Detector)
@pytest.mark.parametrize("within_ms", [1, 5_000, 30_000], ids=["fan-on", "in-5s", "in-30s"])
@pytest.mark.parametrize("kind", ["car", "fan"])
@virtual
async def test_noise_that_grows_does_not_hold_the_floor(kind: str, within_ms: int, detector: Detector) -> None:
    sound, begin = noise(kind, RATE_HZ, 45_000), 3 * RATE_HZ
    told = await heard(
        growing(sound, (-60, -26), from_sample=begin, to_sample=begin + RATE_HZ * within_ms // 1_000), detector
    )
    assert floor_taken_ms(told, 45.0) <= LEARNT_WITHIN_MS
    assert sum(isinstance(event, Interrupted) for _, event in told) <= 2
    late_s = (3_000 + within_ms + LEARNT_WITHIN_MS) / 1_000
    assert not [event for at_s, event in told if at_s > late_s]


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(KINDS))
@virtual
async def test_steady_noise_of_5_db_neither_holds_a_turn_open_nor_interrupts_without_end(kind: str) -> None:
    sound = noise(kind, RATE_HZ, 30_000) * 10 ** (-26 / 20)
    spoken = normal(talk(RATE_HZ, 3_000).astype(np.float64)) * 10 ** ((-26 + 5) / 20)
    for start_s in (10, 20):
        sound[start_s * RATE_HZ :][: len(spoken)] += spoken
    told = await heard(pcm(sound), Detector.WEBRTCVAD)
    turns = [event for _, event in told if isinstance(event, SpeechStarted)]
    assert len(turns) == sum(isinstance(event, SpeechEnded) for _, event in told)
    assert sum(isinstance(event, Interrupted) for _, event in told) <= len(turns) <= 5
    assert floor_taken_ms(told, 30.0) <= LEARNT_WITHIN_MS + 2 * 4_000


def room_full_of_voices(duration_ms: int, voices: int = 20) -> Sound:
    """Both recordings again and again, each time at another pitch, with a mean square of 1."""
    samples = RATE_HZ * duration_ms // 1_000
    mixed = np.zeros(samples)
    for number in range(voices):
        recorded, hz = soundfile.read(DIALPLANS / "sounds" / ("welcome.wav", "sorry.wav")[number % 2], dtype="float64")
        spoken = recorded[slice(*np.flatnonzero(np.abs(recorded) > 0.03)[[0, -1]])]
        one = soxr.resample(spoken, hz * (0.8 + 0.5 * number / voices), RATE_HZ)
        mixed += normal(np.roll(np.resize(one, samples), number * RATE_HZ // 3))
    return normal(band(mixed, RATE_HZ))


@pytest.mark.slow
@virtual
async def test_a_room_full_of_voices_does_not_keep_a_turn_open() -> None:
    """At -32 dBFS, under a caller at -16: a detector of voices hears them all without end."""
    sound = room_full_of_voices(30_000) * 10 ** (-32 / 20)
    spoken = normal(talk(RATE_HZ, 3_000).astype(np.float64)) * 10 ** (-16 / 20)
    for start_s in (8, 18):
        sound[start_s * RATE_HZ :][: len(spoken)] += spoken
    told = await heard(pcm(sound), Detector.WEBRTCVAD)
    ended_s = [at_s for at_s, event in told if isinstance(event, SpeechEnded)]
    for start_s in (8, 18):
        assert any(start_s + 3 < at_s < start_s + 5 for at_s in ended_s)
    assert len(ended_s) == sum(isinstance(event, SpeechStarted) for _, event in told)
    assert floor_taken_ms(told, 30.0) <= LEARNT_WITHIN_MS + 2 * 4_000


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(KINDS))
@virtual
async def test_silero_hears_a_turn_in_noise_of_5_db_and_its_end(kind: str) -> None:
    sound = noise(kind, RATE_HZ, 30_000) * 10 ** (-26 / 20)
    recorded, hz = soundfile.read(DIALPLANS / "sounds" / "sorry.wav", dtype="float64")
    spoken = normal(band(soxr.resample(recorded, hz, RATE_HZ), RATE_HZ)) * 10 ** ((-26 + 5) / 20)
    ends_s = [start_s + len(spoken) / RATE_HZ for start_s in (5, 17)]
    for start_s in (5, 17):
        sound[start_s * RATE_HZ :][: len(spoken)] += spoken
    told = await heard(pcm(sound), Detector.SILERO)
    begun_s = [at_s for at_s, event in told if isinstance(event, SpeechStarted)]
    ended_s = [at_s for at_s, event in told if isinstance(event, SpeechEnded)]
    assert len(begun_s) == len(ended_s) <= 6
    for start_s, end_s in zip((5, 17), ends_s, strict=True):
        assert any(start_s < at_s < start_s + 1.5 for at_s in begun_s)
        assert any(end_s - 1.0 < at_s < end_s + 1.0 for at_s in ended_s)
    assert all(
        any(start_s < at_s < end_s + 1 for start_s, end_s in zip((5, 17), ends_s, strict=True)) for at_s in begun_s
    )
    assert 2 <= sum(isinstance(event, Interrupted) for _, event in told) <= len(begun_s)
