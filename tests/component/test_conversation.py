"""A conversation on a fake leg: backpressure, what was heard, stale audio, the end, and hostile agents."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator

import numpy as np
import pytest

from media.conversation.conversation import Conversation, play_once
from media.conversation.events import (
    AgentStalledError,
    Audio,
    CallEndedError,
    Drained,
    Dtmf,
    Event,
    Hangup,
    Interrupted,
    MarkReached,
    OffHold,
    OnHold,
    Resumed,
    SpeechEnded,
)
from media.conversation.floor import BargeIn, BargeInSettings
from media.leg import Pcm, PlayoutFullError
from tests.fake_leg import FakeLeg, caller_sends, silence, voice
from tests.virtual_time import virtual

RATE_HZ = 8_000


def tone(duration_ms: int) -> Pcm:
    return np.full(RATE_HZ * duration_ms // 1_000, 5_000, np.int16)


def start(mode: BargeIn = BargeIn.CUT, **leg_settings: float) -> tuple[FakeLeg, Conversation]:
    leg = FakeLeg(RATE_HZ, **leg_settings)  # type: ignore[arg-type]
    return leg, Conversation(leg, barge_in=BargeInSettings(mode=mode))


def sounding_ms(leg: FakeLeg) -> int:
    return int((leg.heard() != 0).sum()) * 1_000 // RATE_HZ


@virtual
async def test_say_accepts_10_s_at_once_and_then_keeps_the_pace_of_speech() -> None:
    leg, call = start()
    now_s = asyncio.get_running_loop().time
    assert await call.say(tone(10_000))
    assert now_s() == 0
    assert await call.say(tone(10_000))
    assert now_s() == pytest.approx(5.0, abs=0.6)
    assert 14_000 <= call.queued_ms <= 15_000
    assert await call.said() == 20_000
    assert sounding_ms(leg) == 20_000
    assert all(frame.any() for frame in leg.wire[:1_000]), "no gap"
    leg.stop_clock()


@virtual
async def test_a_leg_that_holds_less_than_max_ahead_is_waited_for() -> None:
    leg, call = start(queue_max_ms=2_000)
    assert await call.say(tone(6_000))
    assert await call.said() == 6_000
    with pytest.raises(PlayoutFullError):
        call.play(tone(3_000))
    assert call.queued_ms == 0
    leg.stop_clock()


@virtual
async def test_heard_is_known_at_any_time() -> None:
    leg, call = start()
    assert call.heard_ms == 0
    call.play(tone(1_000))
    await asyncio.sleep(0.401)
    assert call.heard_ms == 400
    await asyncio.sleep(1)
    assert call.heard_ms == 1_000
    call.play(tone(500))
    assert call.heard_ms == 0, "a new utterance"
    await asyncio.sleep(0.201)
    assert call.stop() == call.heard_ms == 200
    assert call.queued_ms == 0
    leg.stop_clock()


@virtual
async def test_what_was_heard_is_of_the_utterance_that_was_cut_not_of_one_behind_it() -> None:
    leg, call = start()
    await call.utterance().say(tone(1_000))
    await call.say(tone(1_000))
    await asyncio.sleep(0.310)
    assert call.stop() == call.heard_ms == 300
    call.close()
    leg.stop_clock()


@virtual
async def test_an_utterance_outlives_underruns() -> None:
    leg, call = start()
    utterance = call.utterance()
    for _ in range(3):
        await utterance.say(tone(100))
        await asyncio.sleep(0.5)
    assert utterance.heard_ms == call.heard_ms == 300
    assert not utterance.interrupted
    leg.stop_clock()


@virtual
async def test_utterances_in_a_row_are_told_apart() -> None:
    leg, call = start()
    first, second = call.utterance(), call.utterance()
    first.play(tone(300))
    second.play(tone(300))
    await asyncio.sleep(0.401)
    assert (first.heard_ms, second.heard_ms, call.heard_ms) == (300, 100, 100)
    call.stop()
    assert first.interrupted
    assert not second.play(tone(20))
    assert (first.heard_ms, second.heard_ms) == (300, 100)
    leg.stop_clock()


@virtual
async def test_marks_are_told_in_order_with_drained_last() -> None:
    leg, call = start(BargeIn.OFF)
    events: list[Event] = []

    async def listen() -> None:
        async for event in call.events():
            events.append(event)  # noqa: PERF401 - seen while it runs

    listening = asyncio.create_task(listen())
    await asyncio.sleep(0)
    call.play(tone(200), mark="one")
    call.play(tone(0), mark="empty")
    call.play(tone(100), mark="two")
    await call.said()
    call.on_call_over()
    await listening
    assert events == [MarkReached("one"), MarkReached("empty"), MarkReached("two"), Drained(), Hangup()]
    leg.stop_clock()


async def endless(closed: list[bool]) -> AsyncIterator[Pcm]:
    try:
        while True:
            yield tone(100)
            await asyncio.sleep(0.05)
    finally:
        closed.append(True)


@virtual
async def test_an_interruption_closes_the_synthesis_and_silences_it() -> None:
    leg, call = start()
    closed: list[bool] = []
    synthesis = endless(closed)
    speaking = asyncio.create_task(call.speak(synthesis))
    await caller_sends(leg, np.concatenate((silence(RATE_HZ, 500), voice(RATE_HZ, 600))))
    spoken = await speaking
    assert spoken.interrupted
    assert closed == [True], "closed by us, not when nobody knows it any more"
    del synthesis
    assert spoken.heard_ms == sounding_ms(leg)
    assert 580 <= spoken.heard_ms <= 620
    await asyncio.sleep(1)
    assert sounding_ms(leg) == spoken.heard_ms
    call.close()
    leg.stop_clock()


def rattling(closed: list[bool]) -> Iterator[Pcm]:
    try:
        while True:
            yield tone(100)
    finally:
        closed.append(True)


class Synthesis(AsyncIterable[Pcm]):
    """No generator itself, but it has one to be asked."""

    def __init__(self, closed: list[bool]) -> None:
        self.pieces = self.rattle(closed)

    async def rattle(self, closed: list[bool]) -> AsyncIterator[Pcm]:
        try:
            while True:
                yield tone(100)
        finally:
            closed.append(True)

    def __aiter__(self) -> AsyncIterator[Pcm]:
        return self.pieces


@pytest.mark.parametrize("synthesis", [rattling, Synthesis])
@pytest.mark.parametrize("end", ["interrupted", "hung up", "cancelled"])
@virtual
async def test_a_synthesis_that_is_still_known_is_closed(
    synthesis: Callable[[list[bool]], Iterable[Pcm] | AsyncIterable[Pcm]], end: str
) -> None:
    leg, call = start()
    closed: list[bool] = []
    speech = synthesis(closed)
    speaking = asyncio.create_task(call.speak(speech))
    await asyncio.sleep(0.5)
    match end:
        case "interrupted":
            await caller_sends(leg, voice(RATE_HZ, 600))
        case "hung up":
            call.on_call_over()
        case _:
            speaking.cancel()
    await asyncio.wait({speaking})
    assert closed == [True]
    del speech  # known to this test until here
    assert speaking.cancelled() or speaking.exception() is None or isinstance(speaking.exception(), CallEndedError)
    call.close()
    leg.stop_clock()


async def thinking(closed: list[bool]) -> AsyncIterator[Pcm]:
    try:
        yield tone(1_000)
        await asyncio.sleep(30)
        yield tone(1_000)
    finally:
        closed.append(True)


@virtual
async def test_a_synthesis_that_thinks_is_closed_at_once() -> None:
    leg, call = start()
    closed: list[bool] = []
    speaking = asyncio.create_task(call.speak(thinking(closed)))
    await caller_sends(leg, np.concatenate((silence(RATE_HZ, 500), voice(RATE_HZ, 140))))
    assert speaking.done()
    assert closed == [True]
    assert (await speaking).interrupted
    call.close()
    leg.stop_clock()


@virtual
async def test_the_end_of_the_call_and_cancellation_close_a_synthesis_that_thinks() -> None:
    for end in (Conversation.on_call_over, None):
        leg, call = start()
        closed: list[bool] = []
        speaking = asyncio.create_task(call.speak(thinking(closed)))
        await asyncio.sleep(0.1)
        if end is not None:
            end(call)
        else:
            speaking.cancel()
        with pytest.raises(CallEndedError if end is not None else asyncio.CancelledError):
            await speaking
        assert closed == [True]
        assert asyncio.get_running_loop().time() < 1
        call.close()
        leg.stop_clock()


@virtual
async def test_a_synthesis_that_fails_fails_as_itself() -> None:
    async def broken() -> AsyncIterator[Pcm]:
        yield tone(100)
        raise ConnectionError("no more voice")

    leg, call = start()
    with pytest.raises(ConnectionError, match="no more voice"):
        await call.speak(broken())
    leg.stop_clock()


@virtual
async def test_stale_audio_of_a_deaf_agent_is_refused_until_it_begins_an_answer() -> None:
    leg, call = start()
    answers: list[bool] = []

    async def push() -> None:
        for _ in range(200):
            answers.append(await call.say(tone(100)))
            await asyncio.sleep(0.01)

    pushing = asyncio.create_task(push())
    await caller_sends(leg, np.concatenate((silence(RATE_HZ, 300), voice(RATE_HZ, 140), silence(RATE_HZ, 200))))
    assert answers == sorted(answers, reverse=True)
    assert answers.count(False) > 1
    assert call.counters.barge_ins_confirmed == 1
    pushing.cancel()
    await asyncio.wait({pushing})
    call.close()
    leg.stop_clock()


@virtual
async def test_after_taking_the_interruption_the_next_answer_is_played_whole() -> None:
    leg, call = start()
    call.play(tone(3_000))
    sending = asyncio.create_task(
        caller_sends(leg, np.concatenate((silence(RATE_HZ, 300), voice(RATE_HZ, 500), silence(RATE_HZ, 1_000))))
    )
    async for event in call.events():
        if isinstance(event, SpeechEnded):
            break
    before = sounding_ms(leg)
    assert await call.say(tone(400))
    assert await call.said() == 400
    assert sounding_ms(leg) == before + 400
    await sending
    leg.stop_clock()


@virtual
async def test_a_waiting_say_is_told_of_the_interruption() -> None:
    leg, call = start()
    saying = asyncio.create_task(call.say(tone(60_000)))
    await caller_sends(leg, np.concatenate((silence(RATE_HZ, 1_000), voice(RATE_HZ, 200))))
    assert await saying is False
    assert call.queued_ms == 0
    assert call.refused_ms == 0, "it was meant in time"
    assert await call.said() == sounding_ms(leg)
    call.utterance()
    assert await call.say(tone(100)), "a new answer"
    call.close()
    leg.stop_clock()


@virtual
async def test_the_agent_decides_in_pause_mode() -> None:
    leg, call = start(BargeIn.PAUSE)
    call.play(tone(2_000))
    await caller_sends(leg, np.concatenate((silence(RATE_HZ, 300), voice(RATE_HZ, 160))))
    assert call.held
    assert call.reject_interruption()
    assert not call.held
    await caller_sends(leg, voice(RATE_HZ, 600))
    assert not call.held, "what was overruled does not hold it again"
    await caller_sends(leg, silence(RATE_HZ, 600))
    await caller_sends(leg, voice(RATE_HZ, 160))
    assert call.held
    assert call.confirm_interruption()
    assert call.queued_ms == 0
    assert not call.confirm_interruption()
    assert (call.counters.barge_ins_rejected, call.counters.barge_ins_confirmed) == (1, 1)
    call.close()
    leg.stop_clock()


@virtual
async def test_packets_that_stop_do_not_hold_the_agent_for_ever() -> None:
    leg, call = start(BargeIn.PAUSE)
    call.listen()
    call.play(tone(3_000))
    await caller_sends(leg, np.concatenate((silence(RATE_HZ, 300), voice(RATE_HZ, 200))))
    assert call.held
    await asyncio.sleep(0.45)
    assert not call.held
    assert await call.said() == 3_000
    events = [event for event in await drain(call) if isinstance(event, Resumed | SpeechEnded)]
    assert [type(event) for event in events] == [Resumed, SpeechEnded]
    leg.stop_clock()


async def drain(call: Conversation) -> list[Event]:
    call.on_call_over()
    return [event async for event in call.events()]


@virtual
async def test_playing_while_held_waits_behind() -> None:
    leg, call = start(BargeIn.PAUSE)
    call.play(np.full(8_000, 1, np.int16))
    await caller_sends(leg, np.concatenate((silence(RATE_HZ, 200), voice(RATE_HZ, 140))))
    assert call.held
    call.play(np.full(800, 2, np.int16))
    await caller_sends(leg, silence(RATE_HZ, 1_600))
    heard = leg.heard()
    assert heard[heard != 0].tolist() == [1] * 8_000 + [2] * 800
    call.close()
    leg.stop_clock()


@virtual
async def test_a_full_media_lane_delays_no_interruption() -> None:
    leg, call = start()
    await call.say(tone(10_000))
    await caller_sends(leg, np.concatenate((silence(RATE_HZ, 2_000), voice(RATE_HZ, 140))))
    assert call.lanes.full
    assert call.queued_ms == 0
    first = await anext(call.events())
    assert not isinstance(first, Audio)
    call.close()
    leg.stop_clock()


@virtual
async def test_a_flood_of_keys_stalls_only_an_agent_that_listened() -> None:
    leg, call = start()
    for _ in range(5_000):
        call.on_dtmf("1", 100)
    assert not call.over
    assert await anext(call.events()) == Dtmf("1", 100)
    for _ in range(5_000):
        call.on_dtmf("2", 100)
    assert isinstance(call.failure, AgentStalledError)
    assert (await drain(call))[-1] == Hangup()
    leg.stop_clock()


@virtual
async def test_an_inline_consumer_that_raises_ends_its_own_call() -> None:
    leg, call = start(BargeIn.OFF)

    def broken(_pcm: Pcm) -> None:
        raise ZeroDivisionError

    call.on_audio(broken)
    await caller_sends(leg, silence(RATE_HZ, 100))
    assert isinstance(call.failure, ZeroDivisionError)
    with pytest.raises(CallEndedError):
        call.play(tone(20))
    leg.stop_clock()


@virtual
async def test_an_inline_consumer_gets_what_waits_first() -> None:
    leg, call = start(BargeIn.OFF)
    await caller_sends(leg, np.full(1_600, 1, np.int16))
    heard: list[int] = []

    def consumer(pcm: Pcm) -> None:
        heard.append(int(pcm[0]))

    call.on_audio(consumer)
    await caller_sends(leg, np.full(320, 2, np.int16))
    assert heard == [1] * 10 + [2] * 2
    leg.stop_clock()


@virtual
async def test_a_wait_for_events_that_was_given_up_may_be_tried_again() -> None:
    leg, call = start(BargeIn.OFF)
    for stream in (call.events(), call.hear()):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(stream), 0.1)
        await caller_sends(leg, silence(RATE_HZ, 20))
        assert await asyncio.wait_for(anext(stream), 0.1) is not None
    leg.stop_clock()


@virtual
async def test_the_next_event_or_none_in_time() -> None:
    leg, call = start(BargeIn.OFF)
    sending = asyncio.create_task(caller_sends(leg, silence(RATE_HZ, 20_000)))
    now_s = asyncio.get_running_loop().time
    assert await call.next_event(timeout_s=5) is None, "audio is no event here"
    assert now_s() == pytest.approx(5)
    asyncio.get_running_loop().call_later(1, call.on_media_silent, 5_000)
    asyncio.get_running_loop().call_later(2, call.on_dtmf, "7", 100)
    assert await call.next_event(Dtmf, timeout_s=5) == Dtmf("7", 100)
    assert now_s() == pytest.approx(7)
    call.on_dtmf("8", 100)
    assert await call.next_event(timeout_s=0) == Dtmf("8", 100)
    assert isinstance(await call.next_event(Audio), Audio)
    call.on_call_over()
    assert await call.next_event(Dtmf) == await call.next_event() == Hangup()
    await sending
    leg.stop_clock()


@virtual
async def test_a_caller_on_hold_is_not_heard_and_nothing_that_was_said_is_lost() -> None:
    leg, call = start()
    events = call.events()
    call.play(tone(400))
    call.on_held(one_way=False)
    call.on_held(one_way=False)
    await caller_sends(leg, voice(RATE_HZ, 1_000))  # music
    assert call.counters.turns == 0, "it interrupts nobody"
    call.on_resumed()
    call.on_resumed()
    await caller_sends(leg, silence(RATE_HZ, 20))
    told = [await anext(events) for _ in range(3)]
    assert [type(event) for event in told] == [OnHold, OffHold, Audio]
    assert isinstance(told[2], Audio)
    assert not told[2].pcm.any()
    leg.stop_clock()


@virtual
async def test_a_caller_who_only_sends_is_heard_and_does_not_hold_a_farewell() -> None:
    ended: list[bool] = []
    leg = FakeLeg(RATE_HZ)
    call = Conversation(leg, hang_up=lambda: ended.append(True))
    call.on_held(one_way=True)
    await caller_sends(leg, silence(RATE_HZ, 20))
    assert isinstance(await call.next_event(Audio), Audio)
    call.play(tone(1_000))
    call.hang_up()
    assert ended == [True]
    leg.stop_clock()


@virtual
async def test_a_hold_ends_the_wait_for_last_words() -> None:
    ended: list[bool] = []
    leg = FakeLeg(RATE_HZ)
    call = Conversation(leg, hang_up=lambda: ended.append(True))
    call.play(tone(1_000))
    call.hang_up()
    assert not ended
    call.on_held(one_way=False)
    assert ended == [True]
    leg.stop_clock()


async def first_event(call: Conversation) -> Event:
    return await anext(call.events())


@virtual
async def test_after_the_end_nothing_can_be_said_and_everyone_wakes() -> None:
    leg, call = start()
    saying, hearing = asyncio.create_task(call.say(tone(60_000))), asyncio.create_task(first_event(call))
    await asyncio.sleep(1.001)
    call.on_call_over()
    assert await hearing == Hangup()
    with pytest.raises(CallEndedError):
        await saying
    with pytest.raises(CallEndedError):
        call.play(tone(20))
    assert await call.said() == 1_000
    assert call.heard_ms == 1_000
    assert [event async for event in call.events()] == []
    leg.stop_clock()


@virtual
async def test_one_conversation_after_the_other_on_one_leg() -> None:
    leg = FakeLeg(RATE_HZ)
    assert await play_once(leg, tone(300)) == 300
    first = Conversation(leg)
    first.play(tone(5_000))
    await asyncio.sleep(0.2)
    first.close()
    second = Conversation(leg)
    second.play(tone(100))
    assert await second.said() == 100
    first.close()
    assert leg.listener is second
    assert sounding_ms(leg) == 300 + 200 + 100
    leg.stop_clock()


@virtual
async def test_a_cancelled_announcement_is_silent_at_once() -> None:
    leg = FakeLeg(RATE_HZ)
    playing = asyncio.create_task(play_once(leg, tone(5_000)))
    await asyncio.sleep(0.1)
    playing.cancel()
    await asyncio.wait({playing})
    before = sounding_ms(leg)
    await asyncio.sleep(1)
    assert sounding_ms(leg) == before
    assert leg.listener is None
    leg.stop_clock()


@virtual
async def test_what_is_no_audio_is_refused_with_the_fix() -> None:
    leg, call = start()
    for wrong, message in (
        (b"\0\0", "audio is bytes: give a numpy array"),
        (np.zeros(160, np.float32), "audio has dtype float32: give int16"),
        (np.zeros((160, 2), np.int16), "one dimension"),
    ):
        with pytest.raises(TypeError, match=message):
            call.play(wrong)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=message):
            await call.say(wrong)  # type: ignore[arg-type]
    leg.stop_clock()


@virtual
async def test_one_channel_of_two_is_played_as_it_is() -> None:
    leg, call = start()
    stereo = np.stack((np.arange(1, 161), np.zeros(160)), axis=1).astype(np.int16)
    assert call.play(stereo[:, 0])
    assert await call.say(np.arange(1, 321, dtype=np.int16)[::-2], mark="backwards")
    await call.said()
    assert leg.heard()[:320].tolist() == [*range(1, 161), *range(320, 0, -2)]
    leg.stop_clock()


@virtual
async def test_an_agent_that_says_nothing_for_ever_does_not_hold_the_loop() -> None:
    leg, call = start()

    async def mumble() -> None:
        while True:
            await call.say(tone(0))

    mumbling = asyncio.create_task(mumble())
    for _ in range(10):
        await asyncio.sleep(0)
    mumbling.cancel()
    await asyncio.wait({mumbling})
    leg.stop_clock()


@virtual
async def test_a_flood_of_marks_is_bounded() -> None:
    leg, call = start()
    for number in range(1_000):
        call.play(tone(20), mark=str(number))
    with pytest.raises(PlayoutFullError, match="marks wait"):
        call.play(tone(20), mark="one more")
    leg.stop_clock()


@virtual
async def test_old_news_of_a_drain_does_not_end_what_is_said_since() -> None:
    leg, call = start(event_delay_ms=100)
    call.play(tone(100))
    await asyncio.sleep(0.15)
    call.play(tone(300))
    await asyncio.sleep(0.1)
    assert call.speaking
    assert call.heard_ms < 400
    assert await call.said() == 400, "one utterance: the gap was shorter than the news of it"
    leg.stop_clock()


@virtual
async def test_nothing_is_held_when_all_was_heard() -> None:
    leg, call = start(BargeIn.PAUSE)
    call.play(tone(200))
    await caller_sends(leg, np.concatenate((silence(RATE_HZ, 300), voice(RATE_HZ, 140))))
    assert "pause" not in leg.calls
    call.play(tone(300))
    await caller_sends(leg, voice(RATE_HZ, 200))
    assert call.held, "what is said since can be held"
    call.close()
    leg.stop_clock()


@virtual
async def test_stop_ends_a_waiting_say_and_no_more() -> None:
    leg, call = start()
    saying = asyncio.create_task(call.say(tone(60_000)))
    await asyncio.sleep(1.001)
    assert call.stop() == 1_000
    assert await saying is False
    assert call.queued_ms == 0
    assert await call.say(tone(100)), "stop is the agent's own doing: there is nothing to take note of"
    leg.stop_clock()


@virtual
async def test_an_echo_needs_no_marks() -> None:
    leg, call = start(BargeIn.OFF)
    for _ in range(100):
        call.play(tone(20))
        await asyncio.sleep(0.06)
    assert leg.marks_taken == 0
    call.play(tone(400))
    call.play(tone(400))
    assert leg.marks_taken == 1, "who waits for room must be woken"
    leg.stop_clock()


@virtual
async def test_after_a_confirmed_interruption_the_next_answer_is_not_held() -> None:
    leg, call = start(BargeIn.PAUSE)
    call.play(tone(3_000))
    await caller_sends(leg, np.concatenate((silence(RATE_HZ, 300), voice(RATE_HZ, 600), silence(RATE_HZ, 800))))
    assert call.counters.barge_ins_confirmed == 1
    assert not call.held
    answer = call.utterance()
    assert answer.play(tone(400))
    await asyncio.sleep(0.5)
    assert answer.heard_ms == 400
    leg.stop_clock()


@virtual
async def test_stop_while_held_leaves_nothing_undecided() -> None:
    leg, call = start(BargeIn.PAUSE)
    call.play(tone(3_000))
    await caller_sends(leg, np.concatenate((silence(RATE_HZ, 300), voice(RATE_HZ, 160))))
    assert call.held
    call.stop()
    assert not call.held
    call.play(tone(600))
    await caller_sends(leg, voice(RATE_HZ, 100))
    assert not call.held, "only what is spoken over the new answer counts"
    await caller_sends(leg, voice(RATE_HZ, 40))
    assert call.held
    await caller_sends(leg, silence(RATE_HZ, 1_000))
    assert call.heard_ms == 600
    assert [type(event) for event in await drain(call) if isinstance(event, Resumed | Interrupted)] == [Resumed]
    leg.stop_clock()
