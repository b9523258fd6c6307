"""The two lanes: order, bounds, counters, one consumer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np
import pytest

from media.conversation.events import AgentStalledError, Audio, Drained, Dtmf, Hangup, Interrupted, MarkReached
from media.conversation.lanes import Lanes
from media.leg import Pcm
from tests.virtual_time import virtual


def frame(value: int) -> Pcm:
    return np.full(4, value, np.int16)


async def taken(lanes: Lanes) -> list[object]:
    lanes.close()
    found: list[object] = []
    while (event := await lanes.get()) is not None:
        found.append(int(event.pcm[0]) if isinstance(event, Audio) else event)
    return found


@virtual
async def test_urgent_events_overtake_audio() -> None:
    lanes = Lanes()
    lanes.put_audio(frame(1))
    lanes.put_urgent(Dtmf("5", 100))
    first, second = await lanes.get(), await lanes.get()
    assert first == Dtmf("5", 100)
    assert isinstance(second, Audio)


@virtual
async def test_the_oldest_frame_goes_and_is_counted() -> None:
    lanes = Lanes(audio_max=3)
    lanes.hearing = True
    for value in range(5):
        lanes.put_audio(frame(value))
    assert lanes.frames_dropped == 2
    assert [int(pcm[0]) for pcm in [await lanes.get_audio() for _ in range(3)] if pcm is not None] == [2, 3, 4]


@virtual
async def test_frames_before_the_agent_listens_are_counted_apart() -> None:
    lanes = Lanes(audio_max=1)
    lanes.put_audio(frame(1))
    lanes.put_audio(frame(2))
    assert (lanes.frames_unclaimed, lanes.frames_dropped) == (1, 0)


@virtual
async def test_an_agent_that_listens_and_takes_nothing_has_stalled() -> None:
    lanes = Lanes(urgent_max=2)
    lanes.listening = True
    lanes.put_urgent(Dtmf("1", 1))
    lanes.put_urgent(Dtmf("2", 1))
    with pytest.raises(AgentStalledError, match="did not take 2 events"):
        lanes.put_urgent(Dtmf("3", 1))
    assert await taken(lanes) == [Dtmf("1", 1), Dtmf("2", 1), Hangup()]


@virtual
async def test_of_what_only_informs_the_oldest_goes_and_is_counted() -> None:
    lanes = Lanes(urgent_max=3)
    lanes.listening = True
    for event in (Dtmf("1", 1), MarkReached("a"), Drained(), Interrupted(1, 2), Dtmf("2", 1)):
        lanes.put_urgent(event)
    assert lanes.events_dropped == 2
    with pytest.raises(AgentStalledError, match="did not take 3 events"):
        lanes.put_urgent(Dtmf("3", 1))
    assert await taken(lanes) == [Dtmf("1", 1), Interrupted(1, 2), Dtmf("2", 1), Hangup()]


@virtual
async def test_an_agent_that_only_hears_need_take_no_events() -> None:
    lanes = Lanes(urgent_max=2)
    lanes.put_audio(frame(1))
    assert await lanes.get_audio() is not None
    for _ in range(200):
        lanes.put_urgent(Dtmf("1", 1))
    assert lanes.events_dropped == 0


@virtual
async def test_a_frame_that_is_kept_does_not_keep_the_batch_it_came_in() -> None:
    lanes = Lanes()
    batch = np.zeros(1_000, np.int16)
    for _ in range(2):
        lanes.put_audio(batch[10:20])
    event, pcm = await lanes.get(), await lanes.get_audio()
    assert isinstance(event, Audio)
    assert pcm is not None
    assert event.pcm.base is pcm.base is None


@virtual
async def test_an_agent_that_has_not_taken_what_came_does_not_attend() -> None:
    lanes = Lanes()
    waiting = asyncio.create_task(lanes.get())
    await asyncio.sleep(0)
    assert lanes.attended
    lanes.put_audio(frame(1))
    assert not lanes.attended, "its loop is blocked"
    await waiting


@virtual
async def test_an_agent_that_never_listened_loses_its_oldest_events() -> None:
    lanes = Lanes()
    for number in range(70):
        lanes.put_urgent(Dtmf("1", number))
    assert lanes.events_unclaimed == 6
    assert (await taken(lanes))[0] == Dtmf("1", 6)


@virtual
async def test_closing_voids_audio_and_keeps_events() -> None:
    lanes = Lanes()
    lanes.put_audio(frame(1))
    lanes.put_urgent(Dtmf("1", 1))
    assert await taken(lanes) == [Dtmf("1", 1), Hangup()]
    assert await lanes.get() is None
    assert await lanes.get_audio() is None


@virtual
async def test_what_comes_after_the_end_is_not_taken() -> None:
    lanes = Lanes()
    lanes.close()
    lanes.close()
    lanes.put_audio(frame(1))
    lanes.put_urgent(Dtmf("1", 1))
    assert await taken(lanes) == [Hangup()]


@virtual
async def test_a_waiting_consumer_wakes_for_either_lane_and_for_the_end() -> None:
    lanes = Lanes()
    puts: list[Callable[[], None]] = [
        lambda: lanes.put_audio(frame(7)),
        lambda: lanes.put_urgent(Dtmf("#", 9)),
        lanes.close,
    ]
    for put in puts:
        waiting = asyncio.create_task(lanes.get())
        await asyncio.sleep(0)
        assert lanes.attended
        put()
        assert await asyncio.wait_for(waiting, 1) is not None
        assert not lanes.attended


@virtual
async def test_two_consumers_are_refused() -> None:
    lanes = Lanes()
    waiting = asyncio.create_task(lanes.get())
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="two coroutines"):
        await lanes.get()
    waiting.cancel()
    await asyncio.wait({waiting})
    lanes.put_audio(frame(3))
    assert isinstance(await lanes.get(), Audio)


@virtual
async def test_hearing_passes_over_events_and_takes_note_of_an_interruption() -> None:
    lanes = Lanes()
    lanes.put_urgent(Interrupted(1, 2, epoch=1))
    assert (lanes.epoch, lanes.epoch_taken) == (1, 0)
    lanes.put_audio(frame(5))
    assert await lanes.get_audio() is not None
    assert lanes.epoch_taken == 1


@virtual
async def test_what_comes_before_an_interruption_is_of_the_epoch_before() -> None:
    lanes = Lanes()
    for event in (Dtmf("1", 100), Interrupted(1, 2, epoch=1), Dtmf("2", 100), Interrupted(1, 2, epoch=2)):
        lanes.put_urgent(event)
    lanes.epoch = 3  # the agent has stopped itself since
    taken = []
    for _ in range(4):
        await lanes.get()
        taken.append(lanes.epoch_taken)
    assert taken == [0, 1, 1, 3]
