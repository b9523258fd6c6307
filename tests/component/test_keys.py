"""A key ends what the agent says where the agent asks for keys, or is set to let it; and it is told in any case."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest
import soundfile

from gateway.agents import AgentSpec, Isolation, OnInterrupt, SpeakerSettings
from media.conversation.conversation import Conversation
from media.conversation.events import Dtmf, Event, Hangup, Interrupted
from media.conversation.floor import BargeIn, BargeInSettings, Keys
from media.leg import Pcm
from tests.agents import python_agent
from tests.conformance.agent import PATIENCE_S, run_agent
from tests.fake_leg import FakeLeg, caller_sends, silence
from tests.virtual_time import virtual

RATE_HZ = 8_000


def tone(duration_ms: int) -> Pcm:
    return np.full(RATE_HZ * duration_ms // 1_000, 5_000, np.int16)


def start(keys: Keys = Keys.ASKED, mode: BargeIn = BargeIn.OFF) -> tuple[FakeLeg, Conversation]:
    leg = FakeLeg(RATE_HZ)
    return leg, Conversation(leg, barge_in=BargeInSettings(mode=mode, keys=keys))


async def events_of(call: Conversation) -> list[Event]:
    call.on_call_over()
    return [event async for event in call.events()]


@pytest.mark.parametrize("mode", BargeIn)
@virtual
async def test_a_key_ends_what_is_spoken_with_keys(mode: BargeIn) -> None:
    leg, call = start(mode=mode)
    asyncio.get_running_loop().call_later(1.001, call.on_dtmf, "5", 100)
    spoken = await call.speak(tone(5_000), keys=True)
    assert (spoken.heard_ms, spoken.interrupted) == (1_000, True)
    assert await call.next_key(timeout_s=0) == "5", "it is told, too"
    assert await call.say(tone(100)), "who has taken the key knows of the interruption"
    leg.stop_clock()


async def thinking() -> AsyncIterator[Pcm]:
    yield tone(200)
    await asyncio.sleep(30)
    yield tone(200)


@virtual
async def test_a_key_ends_a_synthesis_that_thinks() -> None:
    leg, call = start()
    asyncio.get_running_loop().call_later(1, call.on_dtmf, "5", 100)
    spoken = await call.speak(thinking(), keys=True)
    assert (spoken.heard_ms, spoken.interrupted) == (200, True)
    assert asyncio.get_running_loop().time() < 2
    leg.stop_clock()


@pytest.mark.parametrize("wait", ["next_key", "dtmf", "Dtmf"])
@virtual
async def test_a_key_ends_what_is_said_while_a_key_is_waited_for(wait: str) -> None:
    leg, call = start()
    await call.say(tone(5_000))
    asyncio.get_running_loop().call_later(1.001, call.on_dtmf, "5", 100)
    match wait:
        case "next_key":
            assert await call.next_key(timeout_s=3) == "5"
        case "dtmf":
            assert await call.next_event("dtmf", timeout_s=3) == Dtmf("5", 100)
        case _:
            assert await call.next_event(Dtmf, timeout_s=3) == Dtmf("5", 100)
    assert call.queued_ms == 0
    assert call.heard_ms == 1_000
    await call.say(tone(1_000))
    call.on_dtmf("6", 100)
    assert call.queued_ms == 1_000, "nobody asks for it"
    leg.stop_clock()


@virtual
async def test_a_key_is_told_after_the_interruption_that_it_is() -> None:
    leg, call = start(Keys.ALWAYS)
    call.play(tone(1_000))
    await asyncio.sleep(0.201)
    call.on_dtmf("1", 100)
    call.on_dtmf("2", 100)
    interrupted, *others = await events_of(call)
    assert interrupted == Interrupted(200, 800, by="key", epoch=1)
    assert others == [Dtmf("1", 100), Dtmf("2", 100), Hangup()], "nothing is interrupted twice"
    assert call.counters.barge_ins_confirmed == 1
    leg.stop_clock()


@pytest.mark.parametrize("keys", [Keys.ASKED, Keys.NEVER])
@virtual
async def test_a_key_that_nobody_asks_for_ends_nothing(keys: Keys) -> None:
    leg, call = start(keys)
    call.play(tone(1_000))
    call.on_dtmf("1", 100)
    assert await call.said() == 1_000
    leg.stop_clock()


@virtual
async def test_never_is_never() -> None:
    leg, call = start(Keys.NEVER)
    asyncio.get_running_loop().call_later(0.1, call.on_dtmf, "1", 100)
    assert (await call.speak(tone(500), keys=True)).heard_ms == 500
    leg.stop_clock()


@virtual
async def test_after_a_spoken_answer_its_keys_are_forgotten() -> None:
    leg, call = start()
    await call.speak(tone(100), keys=True)
    speaking = asyncio.create_task(call.speak(tone(1_000), keys=True))
    await asyncio.sleep(0.1)
    speaking.cancel()
    await asyncio.wait({speaking})
    call.on_dtmf("1", 100)
    assert not [event for event in await events_of(call) if isinstance(event, Interrupted)]
    leg.stop_clock()


@virtual
async def test_no_key_in_time_and_none_after_the_end() -> None:
    leg, call = start()
    assert await call.next_key(timeout_s=5) is None
    assert asyncio.get_running_loop().time() == pytest.approx(5)
    call.on_call_over()
    assert await call.next_key() is None
    with pytest.raises(ValueError, match="there is no event kind 'key': use one of audio, "):
        await call.next_event("key")  # type: ignore[arg-type]
    leg.stop_clock()


async def run_menu(isolation: Isolation) -> None:
    kind = python_agent("tests.component.user_agents:Menu", isolation=isolation)
    leg, call = start(mode=BargeIn.PAUSE)
    running = asyncio.create_task(run_agent(AgentSpec("menu", kind), call))
    async with asyncio.timeout(12 * PATIENCE_S):
        while not leg.heard().any():
            await caller_sends(leg, silence(RATE_HZ, 20))
    call.on_dtmf("7", 100)
    await asyncio.wait_for(running, 12 * PATIENCE_S)
    assert not call.over
    heard = leg.heard()
    assert (heard == 7_000).sum() == RATE_HZ // 70 * 7, "the answer to the key"
    assert (heard == 3_000).sum() < RATE_HZ * 9, "the menu, cut off"
    call.close()
    leg.stop_clock()


@virtual
async def test_a_menu_needs_no_import() -> None:
    await run_menu(Isolation.NONE)


def test_a_menu_in_a_thread() -> None:
    asyncio.run(run_menu(Isolation.THREAD))


@virtual
async def test_a_speaker_goes_on_to_the_next_file_at_a_key(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("sounds") / "long.wav"
    soundfile.write(path, np.full(RATE_HZ * 2, 0.2, np.float32), RATE_HZ)
    kind = SpeakerSettings(files=(path, path), on_interrupt=OnInterrupt.NEXT)
    leg, call = start(Keys.ALWAYS)
    running = asyncio.create_task(run_agent(AgentSpec("speaker", kind), call))
    await asyncio.sleep(0.5)
    call.on_dtmf("1", 100)
    await running
    assert int((leg.heard() != 0).sum()) / RATE_HZ == pytest.approx(2.5, abs=0.05)
    call.close()
    leg.stop_clock()
