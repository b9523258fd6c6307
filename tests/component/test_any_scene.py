"""Whatever the caller and the agent do, what was heard is known to the sample, and nobody stays held."""

from __future__ import annotations

import asyncio

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from media.conversation.conversation import Conversation
from media.conversation.events import Drained, Event, Hangup, Interrupted, MarkReached, SpeechEnded, SpeechStarted
from media.conversation.floor import BargeIn, BargeInSettings
from tests.fake_leg import FakeLeg, caller_sends, silence, voice
from tests.virtual_time import run_virtual

RATE_HZ = 8_000
DEED = st.one_of(
    st.tuples(st.just("voice"), st.sampled_from([20, 60, 140, 300, 700])),
    st.tuples(st.just("silence"), st.sampled_from([20, 60, 300, 1_000])),
    st.tuples(st.just("no packets"), st.sampled_from([20, 100, 500, 1_500])),
    st.tuples(st.just("say"), st.sampled_from([10, 20, 33, 250, 1_500])),
    st.tuples(st.sampled_from(["stop", "confirm", "reject"]), st.just(0)),
)


async def play_scene(mode: BargeIn, event_delay_ms: int, deeds: list[tuple[str, int]]) -> None:  # noqa: C901 - one case for each deed
    leg = FakeLeg(RATE_HZ, event_delay_ms=event_delay_ms)
    call = Conversation(leg, barge_in=BargeInSettings(mode=mode))
    events: list[Event] = []

    async def listen() -> None:
        async for event in call.events():
            events.append(event)  # noqa: PERF401 - seen while it runs

    listening = asyncio.create_task(listen())
    accepted = said = 0
    for deed, duration_ms in deeds:
        match deed:
            case "voice":
                await caller_sends(leg, voice(RATE_HZ, duration_ms))
            case "silence":
                await caller_sends(leg, silence(RATE_HZ, duration_ms))
            case "no packets":
                await asyncio.sleep(duration_ms / 1_000)
            case "say":
                said += 1
                if call.play(np.full(RATE_HZ * duration_ms // 1_000, 7, np.int16), mark=f"m{said}"):
                    accepted += RATE_HZ * duration_ms // 1_000
                else:
                    call.utterance()  # the next one is a new answer
            case "stop":
                call.stop()
            case "confirm":
                call.confirm_interruption()
            case _:
                call.reject_interruption()
        assert call.held <= (mode is BargeIn.PAUSE)
    await caller_sends(leg, silence(RATE_HZ, 1_000))
    assert not call.held
    await call.said()
    await asyncio.sleep(event_delay_ms / 1_000 + 0.05)
    call.on_call_over()
    await listening
    sounding = int((leg.heard() != 0).sum())
    assert sounding == leg.position().played_samples
    assert abs((accepted - sounding) * 1_000 // RATE_HZ - call.counters.unheard_ms) <= len(deeds)  # each rounded down
    check_events(events, mode)
    leg.stop_clock()


def check_events(events: list[Event], mode: BargeIn) -> None:
    assert events[-1] == Hangup()
    told = [event.name for event in events if isinstance(event, MarkReached)]
    assert told == sorted(set(told), key=lambda name: int(name[1:])), "each mark once, in order"
    turns = [event for event in events if isinstance(event, SpeechStarted | SpeechEnded)]
    assert all(isinstance(turn, SpeechStarted if number % 2 == 0 else SpeechEnded) for number, turn in enumerate(turns))
    before: set[str] = set()
    for event in events:
        match event:
            case MarkReached(name):
                before.add(name)
            case Interrupted():
                assert mode is not BargeIn.OFF
                assert event.unheard_ms >= 0
                assert set(event.marks_reached) <= before, "told of a mark before its event"
                assert not set(event.marks_dropped) & set(told)
            case Drained() | _:
                pass


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(BargeIn), st.sampled_from([0, 3, 45]), st.lists(DEED, max_size=14))
def test_any_scene(mode: BargeIn, event_delay_ms: int, deeds: list[tuple[str, int]]) -> None:
    run_virtual(play_scene(mode, event_delay_ms, deeds))
