"""Two parties, a bridge, a recorder and an agent that listens: all of it by what `Party` and `Leg` promise."""

from __future__ import annotations

import asyncio

import numpy as np

from gateway.calls.outcome import EndCause
from gateway.calls.party import Over, Party, PartyListener
from gateway.dialplan import Cause
from media.conversation.conversation import Conversation
from media.conversation.floor import BargeIn, BargeInSettings
from media.leg import Leg, LegTap, Pcm
from media.timeline import Timeline, Track
from tests.backend_call import tone
from tests.fake_leg import caller_sends, silence, voice
from tests.fake_party import FakeParty
from tests.mixing_leg import MixingLeg
from tests.virtual_time import virtual

RATE_HZ = 8_000


class Bridge(LegTap):
    """Whatever is heard on one leg is said on the other."""

    def __init__(self, to: Leg) -> None:
        self._to = to
        self.closed: list[Exception | None] = []

    def on_heard_frame(self, pcm: Pcm, time_ns: int) -> None:
        self._to.play(pcm)

    def on_sent_frame(self, pcm: Pcm, time_ns: int) -> None:
        pass

    def on_dtmf(self, digit: str, duration_ms: int) -> None:
        pass

    def on_closed(self, error: Exception | None) -> None:
        self.closed.append(error)


class Recorder(Bridge):
    """Both directions of one leg, on one timeline."""

    def __init__(self, leg: Leg) -> None:
        super().__init__(leg)
        self._timeline = Timeline(leg.rate_hz, round(asyncio.get_running_loop().time() * 1e9))
        self._tracks = (Track(self._timeline), Track(self._timeline))
        self.sound = np.zeros((2, 10 * leg.rate_hz), np.int16)

    def on_heard_frame(self, pcm: Pcm, time_ns: int) -> None:
        self._put(0, pcm, time_ns)

    def on_sent_frame(self, pcm: Pcm, time_ns: int) -> None:
        self._put(1, pcm, time_ns)

    def _put(self, track: int, pcm: Pcm, time_ns: int) -> None:
        begin = self._tracks[track].place(pcm, time_ns)
        if begin >= 0:
            self.sound[track, begin : begin + len(pcm)] = pcm


class Ends(PartyListener):
    """The listener of a party that has joined the call of another."""

    def __init__(self) -> None:
        self.over: asyncio.Future[Over] = asyncio.get_running_loop().create_future()

    def on_media(self, codec: str) -> None:
        pass

    def on_answered(self) -> None:
        pass

    def on_held(self, *, one_way: bool) -> None:
        pass

    def on_resumed(self) -> None:
        pass

    def on_over(self, over: Over) -> None:
        self.over.set_result(over)


async def answered() -> tuple[FakeParty, Ends]:
    party = FakeParty()
    party.listener = ends = Ends()
    await party.answer()
    return party, ends


def loudness(pcm: Pcm) -> float:
    return float(np.sqrt(np.mean(pcm.astype(float) ** 2)))


@virtual
async def test_two_parties_hear_each_other_while_one_is_recorded_and_an_agent_listens() -> None:
    (first, first_ends), (second, second_ends) = await answered(), await answered()
    there, back = Bridge(second.leg), Bridge(first.leg)
    first.leg.play(silence(RATE_HZ, 20))  # a fake leg's clock begins with the first sound
    first.leg.add_tap(there)
    second.leg.add_tap(back)
    recorder = Recorder(first.leg)
    first.leg.add_tap(recorder)
    agent = Conversation(first.leg, barge_in=BargeInSettings(mode=BargeIn.OFF))
    heard: list[Pcm] = []
    agent.on_audio(heard.append)

    await asyncio.gather(caller_sends(first.leg, tone(1_000)), caller_sends(second.leg, tone(1_000, hz=880.0) // 2))
    await asyncio.sleep(0.2)

    assert loudness(second.leg.heard()[800:7_000]) > 5_000, "the second hears the first"
    assert 2_000 < loudness(first.leg.heard()[1_600:7_000]) < 4_000, "the first hears the second, not itself"
    assert len(np.concatenate(heard)) == RATE_HZ, "and an agent hears the first"
    loud = [np.flatnonzero(np.abs(track.astype(int)) > 1_000) for track in recorder.sound]
    assert all(abs(int(at[0]) - int(loud[0][0])) <= 2 * RATE_HZ * 20 // 1_000 for at in loud), "side by side"

    second.leave(EndCause.CALLER_HUNG_UP)
    assert (await second_ends.over).cause is EndCause.CALLER_HUNG_UP
    agent.close()
    parties: tuple[Party, ...] = (first, second)
    first.hang_up(Cause.NORMAL)
    assert (await first_ends.over).cause is None
    for party in parties:
        party.close()
    assert there.closed == back.closed == recorder.closed == [None]


@virtual
async def test_an_agent_beside_two_parties_speaks_to_both_and_either_interrupts_it() -> None:
    (first, _), (second, _) = await answered(), await answered()
    agent = Conversation(MixingLeg(first.leg, second.leg), barge_in=BargeInSettings(mode=BargeIn.CUT))
    saying = asyncio.ensure_future(agent.speak(tone(5_000)))

    await asyncio.gather(*(caller_sends(party.leg, silence(RATE_HZ, 500)) for party in (first, second)))
    assert all(loudness(party.leg.heard()[-1_600:]) > 5_000 for party in (first, second)), "both hear it"

    await asyncio.gather(caller_sends(first.leg, silence(RATE_HZ, 600)), caller_sends(second.leg, voice(RATE_HZ, 600)))
    spoken = await saying
    assert spoken.interrupted, "by the second party"
    assert 500 < spoken.heard_ms < 900
    assert loudness(first.leg.heard()[-1_600:]) > 1_000, "the first hears the second"
    assert loudness(second.leg.heard()[-1_600:]) < 100, "who does not hear itself"

    first.hold()
    await asyncio.gather(caller_sends(first.leg, silence(RATE_HZ, 900)), caller_sends(second.leg, voice(RATE_HZ, 900)))
    assert first.leg.position().queued_samples < RATE_HZ * 100 // 1_000, "what it misses on hold does not wait for it"
    agent.close()
    for party in (first, second):
        party.close()
