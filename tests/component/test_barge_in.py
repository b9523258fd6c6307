"""Barge-in on a whole conversation: what the caller's voice does to the agent's, to the frame."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from media.conversation.conversation import Conversation
from media.conversation.events import (
    Audio,
    Event,
    Hangup,
    Interrupted,
    MarkReached,
    Resumed,
    SpeechEnded,
    SpeechStarted,
)
from media.conversation.floor import BargeIn, BargeInSettings
from media.leg import Pcm
from tests.fake_leg import FakeLeg, caller_sends, silence, talk, voice
from tests.virtual_time import virtual

RATES_HZ = (8_000, 16_000, 48_000)


def ramp(rate_hz: int, duration_ms: int) -> Pcm:
    """Audio in which every sample tells its place."""
    return (np.arange(rate_hz * duration_ms // 1_000) % 30_000 + 1).astype(np.int16)


async def collect(call: Conversation, into: list[Event]) -> None:
    into.extend([event async for event in call.events() if not isinstance(event, Audio)])


async def scene(
    mode: BargeIn, said: Pcm, *, rate_hz: int = 8_000, answer_ms: int = 5_000, event_delay_ms: float = 3.0
) -> tuple[FakeLeg, Conversation, list[Event]]:
    """The agent answers at 0 s, the caller sends `said`; ends when both are done."""
    leg = FakeLeg(rate_hz, event_delay_ms=event_delay_ms)
    call = Conversation(leg, barge_in=BargeInSettings(mode=mode))
    events: list[Event] = []
    listener = asyncio.create_task(collect(call, events))
    answer = ramp(rate_hz, answer_ms)
    for index, start in enumerate(range(0, len(answer), rate_hz)):
        await call.say(answer[start : start + rate_hz], mark=f"s{index}")
    await caller_sends(leg, said)
    await call.said()
    call.on_call_over()
    await listener
    call.close()
    leg.stop_clock()
    return leg, call, events


def names(events: list[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@virtual
async def test_cut_stops_on_the_frame_that_completes_min_speech(rate_hz: int) -> None:
    said = np.concatenate((silence(rate_hz, 1_500), voice(rate_hz, 1_000), silence(rate_hz, 1_500)))
    leg, _, events = await scene(BargeIn.CUT, said, rate_hz=rate_hz)
    cut = next(event for event in events if isinstance(event, Interrupted))
    sounding = [index for index, frame in enumerate(leg.wire) if frame.any()]
    # The first packet with voice arrives at 1,520 ms, min_speech_ms is complete 5 packets later.
    assert sounding[-1] * 20 <= 1_520 + 100 + 20
    assert cut.heard_ms == len(sounding) * 20
    assert cut.heard_ms + cut.unheard_ms == 5_000
    assert cut.marks_reached == ("s0",)
    assert cut.marks_dropped == ("s1", "s2", "s3", "s4")
    assert names(events) == ["MarkReached", "SpeechStarted", "Interrupted", "SpeechEnded", "Hangup"]


@virtual
async def test_pause_confirms_and_cuts_where_it_paused() -> None:
    said = np.concatenate((silence(8_000, 1_500), voice(8_000, 1_000), silence(8_000, 1_500)))
    leg, call, events = await scene(BargeIn.PAUSE, said)
    cut = next(event for event in events if isinstance(event, Interrupted))
    assert 1_600 <= cut.heard_ms <= 1_640
    assert np.array_equal(np.concatenate([f for f in leg.wire if f.any()]), ramp(8_000, cut.heard_ms))
    assert call.counters.barge_ins_confirmed == 1
    assert call.counters.barge_ins_rejected == 0


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("cough_ms", [60, 150])
@virtual
async def test_a_cough_loses_not_a_sample(rate_hz: int, cough_ms: int) -> None:
    said = np.concatenate((silence(rate_hz, 1_500), voice(rate_hz, cough_ms), silence(rate_hz, 1_500)))
    leg, call, events = await scene(BargeIn.PAUSE, said, rate_hz=rate_hz)
    heard = leg.heard()
    assert np.array_equal(heard[heard != 0], ramp(rate_hz, 5_000))
    assert not any(isinstance(event, Interrupted) for event in events)
    resumed = sum(isinstance(event, Resumed) for event in events)
    assert call.counters.barge_ins_rejected == leg.calls.count("pause") == resumed
    assert resumed == (1 if cough_ms == 150 else resumed)


@virtual
async def test_off_lets_the_caller_talk_and_tells_the_turns() -> None:
    said = np.concatenate((silence(8_000, 500), voice(8_000, 1_000), silence(8_000, 1_000)))
    leg, _, events = await scene(BargeIn.OFF, said)
    heard = leg.heard()
    assert np.array_equal(heard[heard != 0], ramp(8_000, 5_000))
    started = next(event for event in events if isinstance(event, SpeechStarted))
    ended = next(event for event in events if isinstance(event, SpeechEnded))
    assert started.speech_ms == 120
    assert 980 <= ended.speech_ms <= 1_140
    assert ended.silence_ms == 600
    assert set(leg.calls) == {"flush"}  # of close alone


@pytest.mark.parametrize("event_delay_ms", [0.0, 5.0, 19.0, 250.0])
@virtual
async def test_marks_heard_are_told_before_the_interruption(event_delay_ms: float) -> None:
    said = np.concatenate((silence(8_000, 900), voice(8_000, 1_500)))
    leg, _, events = await scene(BargeIn.CUT, said, event_delay_ms=event_delay_ms)
    cut = next(event for event in events if isinstance(event, Interrupted))
    told = [event.name for event in events[: events.index(cut)] if isinstance(event, MarkReached)]
    assert told == list(cut.marks_reached) == ["s0"]
    assert sum(isinstance(event, MarkReached) for event in events) == 1
    assert events[-1] == Hangup()
    assert len([f for f in leg.wire if f.any()]) * 20 == cut.heard_ms


async def speaks_in_real_time(call: Conversation, first_s: float, length_ms: int) -> None:
    """One frame every 20 ms, until it is interrupted."""
    await asyncio.sleep(first_s)
    answer = call.utterance()
    for _ in range(length_ms // 20):
        if not answer.play(ramp(call.rate_hz, 20)):
            return
        await asyncio.sleep(0.02)


async def real_time_scene(
    mode: BargeIn, said: Pcm, *, first_s: float = 0.0, length_ms: int = 10_000
) -> tuple[FakeLeg, Conversation, list[Event]]:
    leg = FakeLeg()
    call = Conversation(leg, barge_in=BargeInSettings(mode=mode))
    events: list[Event] = []
    listener = asyncio.create_task(collect(call, events))
    agent = asyncio.create_task(speaks_in_real_time(call, first_s, length_ms))
    await asyncio.sleep(0.005)
    await caller_sends(leg, said)
    agent.cancel()
    await asyncio.wait({agent})
    call.on_call_over()
    await listener
    call.close()
    leg.stop_clock()
    return leg, call, events


@pytest.mark.parametrize("first_s", [0.001, 0.01, 0.019], ids=["early", "amid", "late"])
@pytest.mark.parametrize(("mode", "after_ms"), [(BargeIn.CUT, 120), (BargeIn.PAUSE, 400)])
@virtual
async def test_an_agent_that_speaks_in_real_time_is_interrupted(mode: BargeIn, after_ms: int, first_s: float) -> None:
    said = np.concatenate((silence(8_000, 500), voice(8_000, 1_000), silence(8_000, 700)))
    leg, call, events = await real_time_scene(mode, said, first_s=first_s)
    assert names(events) == ["SpeechStarted", "Interrupted", "SpeechEnded", "Hangup"]
    cut = next(event for event in events if isinstance(event, Interrupted))
    # Both modes fall silent when min_speech_ms is complete; what came while it was held is never heard.
    assert cut.heard_ms == pytest.approx(620, abs=40)
    assert cut.unheard_ms == pytest.approx(after_ms - 120, abs=40)
    assert len([frame for frame in leg.wire if frame.any()]) * 20 == cut.heard_ms
    assert call.counters.barge_ins_confirmed == 1


@virtual
async def test_a_cough_holds_an_agent_that_speaks_in_real_time_and_loses_nothing() -> None:
    said = np.concatenate((silence(8_000, 500), voice(8_000, 150), silence(8_000, 2_500)))
    leg, call, events = await real_time_scene(BargeIn.PAUSE, said, length_ms=2_000)
    assert names(events) == ["SpeechStarted", "Resumed", "SpeechEnded", "Drained", "Hangup"]
    assert sum(frame.any() for frame in leg.wire) * 20 == 2_000
    assert call.counters.barge_ins_rejected == 1


@pytest.mark.parametrize("mode", [BargeIn.CUT, BargeIn.PAUSE])
@virtual
async def test_an_agent_that_has_finished_is_not_interrupted(mode: BargeIn) -> None:
    said = np.concatenate((silence(8_000, 600), voice(8_000, 1_000), silence(8_000, 700)))
    leg, call, events = await real_time_scene(mode, said, length_ms=400)
    assert names(events) == ["Drained", "SpeechStarted", "SpeechEnded", "Hangup"]
    assert leg.calls == ["flush"], "of close alone"
    assert call.counters.barge_ins_confirmed == call.counters.barge_ins_rejected == 0


@virtual
async def test_an_agent_that_finishes_while_it_is_held_is_neither_interrupted_nor_resumed() -> None:
    said = np.concatenate((silence(8_000, 500), voice(8_000, 200), silence(8_000, 700)))
    leg, call, events = await real_time_scene(BargeIn.PAUSE, said, length_ms=620)
    assert leg.calls[:2] == ["pause", "resume"]
    assert names(events) == ["SpeechStarted", "Drained", "SpeechEnded", "Hangup"]
    assert call.counters.barge_ins_confirmed == call.counters.barge_ins_rejected == 0


async def line_echoes(leg: FakeLeg, delay_ms: int, gain_db: float, said: Pcm) -> None:
    """The caller's line brings what was sent so long ago, and what the caller says from the start on."""
    frame = leg.rate_hz // 50
    said = np.concatenate((said, np.zeros(leg.rate_hz * 8 - len(said), np.int16)))
    for start in range(0, len(said), frame):
        await asyncio.sleep(0.02)
        wire = leg.heard()
        end = len(wire) - leg.rate_hz * delay_ms // 1_000
        echo = wire[max(end - frame, 0) : max(end, 0)] * 10 ** (gain_db / 20)
        echo = np.concatenate((np.zeros(frame - len(echo)), echo))
        assert leg.listener is not None
        leg.listener.on_frame((said[start : start + frame] + echo).astype(np.int16))


async def echoing_scene(mode: BargeIn, delay_ms: int, gain_db: float, said: Pcm) -> tuple[FakeLeg, list[Event]]:
    leg = FakeLeg()
    call = Conversation(leg, barge_in=BargeInSettings(mode=mode))
    events: list[Event] = []
    listener = asyncio.create_task(collect(call, events))
    await call.say(talk(8_000, 6_000))
    await line_echoes(leg, delay_ms, gain_db, said)
    call.on_call_over()
    await listener
    call.close()
    leg.stop_clock()
    return leg, events


@pytest.mark.parametrize("mode", [BargeIn.PAUSE, BargeIn.CUT])
@pytest.mark.parametrize("gain_db", [-10, -20, -32])
@pytest.mark.parametrize("delay_ms", [50, 150, 450, 500])
@virtual
async def test_the_agents_own_voice_interrupts_nobody(mode: BargeIn, delay_ms: int, gain_db: float) -> None:
    leg, events = await echoing_scene(mode, delay_ms, gain_db, silence(8_000, 8_000))
    assert leg.calls.count("pause") == leg.calls.count("flush") - 1 == 0  # the one of close()
    assert names(events) == ["Drained", "Hangup"]


@pytest.mark.parametrize("mode", [BargeIn.PAUSE, BargeIn.CUT])
@virtual
async def test_a_caller_interrupts_an_agent_that_echoes(mode: BargeIn) -> None:
    said = np.concatenate((silence(8_000, 2_000), voice(8_000, 1_000, pitch_hz=210, level=0.2)))
    _, events = await echoing_scene(mode, 150, -20, said)
    cut = next(event for event in events if isinstance(event, Interrupted))
    settings = BargeInSettings()
    least_ms = settings.min_speech_ms if mode is BargeIn.CUT else settings.min_speech_ms + 20
    assert 2_000 + least_ms - 40 <= cut.heard_ms <= 2_000 + 400, "held or cut soon after the caller has begun"
