"""What the floor control is told of the caller's voice, and when."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from media.conversation.ear import NO_FRAME_MS, Ear
from media.conversation.events import SpeechEnded, SpeechStarted
from media.conversation.floor import Action, BargeInSettings, FloorControl
from tests.fake_leg import FakeLeg, silence, voice
from tests.virtual_time import virtual

if TYPE_CHECKING:
    from media.leg import Pcm

RATE_HZ = 8_000
FRAME = RATE_HZ // 50
SETTINGS = BargeInSettings()


def ear() -> tuple[Ear, list[Action]]:
    acted: list[Action] = []
    return Ear(FakeLeg(RATE_HZ), SETTINGS, FloorControl(SETTINGS), acted.extend), acted


async def speak(to: Ear, pcm: Pcm) -> None:
    for start in range(0, len(pcm), FRAME):
        await asyncio.sleep(0.02)
        to.hear(pcm[start : start + FRAME])


@virtual
async def test_a_turn_in_frames() -> None:
    listening, acted = ear()
    await speak(listening, voice(RATE_HZ, 400))
    assert acted == [SpeechStarted(SETTINGS.min_speech_ms)]
    await speak(listening, silence(RATE_HZ, 1_000))
    assert [type(one) for one in acted] == [SpeechStarted, SpeechEnded]
    listening.close()


@virtual
async def test_packets_that_stop_are_silence() -> None:
    listening, acted = ear()
    await speak(listening, voice(RATE_HZ, 400))
    await asyncio.sleep(SETTINGS.end_silence_ms / 1_000 + NO_FRAME_MS / 1_000)
    ended = acted[-1]
    assert isinstance(ended, SpeechEnded)
    assert SETTINGS.end_silence_ms <= ended.silence_ms <= SETTINGS.end_silence_ms + NO_FRAME_MS
    listening.close()


@virtual
async def test_a_closed_ear_hears_no_silence() -> None:
    listening, acted = ear()
    await speak(listening, voice(RATE_HZ, 400))
    listening.close()
    await asyncio.sleep(5)
    assert [type(one) for one in acted] == [SpeechStarted]


@virtual
async def test_who_acts_may_close_it() -> None:
    acted: list[Action] = []

    def end(actions: tuple[Action, ...]) -> None:
        acted.extend(actions)
        listening.close()

    listening = Ear(FakeLeg(RATE_HZ), SETTINGS, FloorControl(SETTINGS), end)
    spoken = voice(RATE_HZ, 400)
    while not acted:
        listening.hear(spoken[:FRAME])
        spoken = spoken[FRAME:]
    await asyncio.sleep(5)
    assert [type(one) for one in acted] == [SpeechStarted]
