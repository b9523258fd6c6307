"""What every `Leg` must do, whatever is behind it. A test module runs each of `LEG_CHECKS` on a fresh rig."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import numpy as np
import pytest

from media.leg import Leg, LegTap, Pcm, PlayoutFullError


class LegRig(Protocol):
    """A leg with its party, made for one check."""

    @property
    def leg(self) -> Leg:
        """The leg under test, ready to play."""

    @property
    def slack_ms(self) -> int:
        """How much later than exactly the wire or an event may be."""

    async def elapse(self, duration_ms: int) -> None:
        """Let time pass; events that are due are delivered."""

    async def party_says(self, pcm: Pcm) -> None:
        """The party sends audio; returns when it was sent."""

    def party_heard(self) -> Pcm:
        """All audio that reached the party, without silence; samples may be altered by a codec, not in number."""


class Notes:
    """A listener that writes everything down."""

    def __init__(self) -> None:
        self.frames: list[Pcm] = []
        self.marks: list[int] = []
        self.drained = 0
        self.dtmf: list[tuple[str, int]] = []

    def on_frame(self, pcm: Pcm) -> None:
        self.frames.append(pcm)

    def on_dtmf(self, digit: str, duration_ms: int) -> None:
        self.dtmf.append((digit, duration_ms))

    def on_mark(self, mark: int) -> None:
        self.marks.append(mark)

    def on_drained(self) -> None:
        self.drained += 1

    def on_media_silent(self, silent_ms: int) -> None:
        pass


def sound(leg: Leg, duration_ms: int) -> Pcm:
    """Loud audio without a zero in it."""
    count = leg.rate_hz * duration_ms // 1_000
    return np.where(np.arange(count) % 16 < 8, 8_000, -8_000).astype(np.int16)


def heard_ms(rig: LegRig) -> float:
    return len(rig.party_heard()) * 1_000 / rig.leg.rate_hz


def played_ms(rig: LegRig) -> float:
    return rig.leg.position().played_samples * 1_000 / rig.leg.rate_hz


async def check_plays_all_and_tells_it_drained_once(rig: LegRig) -> None:
    notes = rig.leg.listener = Notes()
    audio = sound(rig.leg, 200)
    rig.leg.play(audio)
    assert rig.leg.position().queued_samples == len(audio)
    await rig.elapse(240 + rig.slack_ms)
    assert rig.leg.position().played_samples == len(audio)
    assert rig.leg.position().queued_samples == 0
    assert notes.drained == 1
    assert len(rig.party_heard()) == len(audio)


async def check_drained_waits_a_frame_for_more(rig: LegRig) -> None:
    notes = rig.leg.listener = Notes()
    loop = asyncio.get_running_loop()
    late = 0
    await rig.elapse(10)
    for _ in range(10):  # each of them empties the queue
        played_s = loop.time()
        rig.leg.play(sound(rig.leg, 20))
        await rig.elapse(20)
        late += loop.time() - played_s > 0.03  # where time is real, more may pass: then it was silent in between
    assert notes.drained <= late
    await rig.elapse(60 + rig.slack_ms)
    assert 1 <= notes.drained <= 1 + late


async def check_drained_is_told_while_paused(rig: LegRig) -> None:
    notes = rig.leg.listener = Notes()
    rig.leg.play(sound(rig.leg, 20))
    await rig.elapse(30)
    rig.leg.pause()
    await rig.elapse(40 + rig.slack_ms)
    assert notes.drained == 1
    rig.leg.resume()


async def check_odd_lengths_are_played_to_the_sample(rig: LegRig) -> None:
    notes = rig.leg.listener = Notes()
    for count in (1, 7, 159, 161, 1_003):
        rig.leg.play(np.full(count, 9_000, np.int16), count)
    await rig.elapse(500 + rig.slack_ms)
    assert rig.leg.position().played_samples == 1 + 7 + 159 + 161 + 1_003
    assert notes.marks == [1, 7, 159, 161, 1_003]


async def check_marks_come_in_order_after_their_audio(rig: LegRig) -> None:
    notes = rig.leg.listener = Notes()
    for mark in range(1, 5):
        rig.leg.play(sound(rig.leg, 60), mark)
    await rig.elapse(100)
    assert len(notes.marks) <= played_ms(rig) / 60
    await rig.elapse(180 + rig.slack_ms)
    assert notes.marks == [1, 2, 3, 4]


async def check_an_empty_mark_follows_what_is_queued(rig: LegRig) -> None:
    notes = rig.leg.listener = Notes()
    rig.leg.play(sound(rig.leg, 0), 1)
    await rig.elapse(40 + rig.slack_ms)
    assert notes.marks == [1]
    rig.leg.play(sound(rig.leg, 100), 2)
    rig.leg.play(sound(rig.leg, 0), 3)
    await rig.elapse(20)
    assert notes.marks == [1] or played_ms(rig) == 100
    await rig.elapse(120 + rig.slack_ms)
    assert notes.marks == [1, 2, 3]


async def check_flush_drops_at_once_and_counts_exactly(rig: LegRig) -> None:
    notes = rig.leg.listener = Notes()
    for mark in range(1, 6):
        rig.leg.play(sound(rig.leg, 100), mark)
    await rig.elapse(250)
    flushed = rig.leg.flush()
    assert flushed.played_samples + flushed.dropped_samples == len(sound(rig.leg, 500))
    assert flushed.played_samples == rig.leg.position().played_samples
    assert rig.leg.position().queued_samples == 0
    await rig.elapse(300 + rig.slack_ms)
    assert rig.leg.position().played_samples == flushed.played_samples
    assert len(rig.party_heard()) == flushed.played_samples
    assert notes.marks + list(flushed.dropped_marks) == [1, 2, 3, 4, 5]
    assert len(notes.marks) == flushed.played_samples * 10 // rig.leg.rate_hz
    assert notes.drained == 0, "a flush is no end of what was said"


async def check_flush_of_nothing(rig: LegRig) -> None:
    rig.leg.listener = Notes()
    flushed = rig.leg.flush()
    assert (flushed.dropped_samples, flushed.dropped_marks) == (0, ())


async def check_pause_holds_and_resume_goes_on_exactly(rig: LegRig) -> None:
    notes = rig.leg.listener = Notes()
    audio = sound(rig.leg, 300)
    rig.leg.play(audio, 1)
    await rig.elapse(100)
    rig.leg.pause()
    rig.leg.pause()
    held = rig.leg.position().played_samples
    await rig.elapse(200 + rig.slack_ms)
    assert rig.leg.position().played_samples == held
    assert notes.marks == []
    rig.leg.resume()
    await rig.elapse(40 + rig.slack_ms)
    assert rig.leg.position().played_samples > held, "one resume is enough, however often it was paused"
    rig.leg.resume()
    await rig.elapse(200 + rig.slack_ms)
    assert rig.leg.position().played_samples == len(audio)
    assert len(rig.party_heard()) == len(audio)
    assert notes.marks == [1]


async def check_play_while_paused_waits_behind(rig: LegRig) -> None:
    rig.leg.listener = Notes()
    rig.leg.pause()
    rig.leg.play(sound(rig.leg, 60))
    rig.leg.play(sound(rig.leg, 60))
    await rig.elapse(100)
    assert rig.leg.position().played_samples == 0
    rig.leg.resume()
    await rig.elapse(160 + rig.slack_ms)
    assert rig.leg.position().played_samples == len(sound(rig.leg, 120))


async def check_flush_while_paused_then_a_new_answer(rig: LegRig) -> None:
    rig.leg.listener = Notes()
    rig.leg.play(sound(rig.leg, 1_000))
    await rig.elapse(100)
    rig.leg.pause()
    flushed = rig.leg.flush()
    rig.leg.play(sound(rig.leg, 100))
    await rig.elapse(60)
    assert rig.leg.position().played_samples == flushed.played_samples, "it is paused still"
    rig.leg.resume()
    await rig.elapse(140 + rig.slack_ms)
    expected = flushed.played_samples + len(sound(rig.leg, 100))
    assert rig.leg.position().played_samples == expected
    assert len(rig.party_heard()) == expected


async def check_the_wait_of_what_is_queued_now(rig: LegRig) -> None:
    rig.leg.listener = Notes()
    rig.leg.play(sound(rig.leg, 400))
    wait_ms = rig.leg.position().wait_ms
    assert 380 <= wait_ms <= 440
    await rig.elapse(200)
    position = rig.leg.position()
    assert abs(position.wait_ms - position.queued_samples * 1_000 / rig.leg.rate_hz) <= 40
    rig.leg.flush()
    assert rig.leg.position().wait_ms <= 40


async def check_a_full_queue_takes_nothing(rig: LegRig) -> None:
    rig.leg.listener = Notes()
    second = sound(rig.leg, 1_000)
    rig.leg.pause()
    for _ in range(16):  # a conversation queues 15 s ahead, in pieces of 500 ms
        rig.leg.play(second)
    before = rig.leg.position().queued_samples
    assert before == 16 * len(second)
    with pytest.raises(PlayoutFullError):
        rig.leg.play(np.tile(second, 3_600))
    assert rig.leg.position().queued_samples == before
    rig.leg.flush()
    rig.leg.resume()


async def check_the_samples_are_taken_over(rig: LegRig) -> None:
    rig.leg.listener = Notes()
    audio = sound(rig.leg, 100)
    rig.leg.play(audio)
    audio[:] = 0
    await rig.elapse(140 + rig.slack_ms)
    assert len(rig.party_heard()) == len(audio)


async def check_read_only_audio_is_played(rig: LegRig) -> None:
    rig.leg.listener = Notes()
    audio = sound(rig.leg, 100)
    audio.flags.writeable = False
    rig.leg.play(audio[80:])
    await rig.elapse(140 + rig.slack_ms)
    assert rig.leg.position().played_samples == len(audio) - 80


async def check_the_party_is_heard_in_order_and_read_only(rig: LegRig) -> None:
    notes = rig.leg.listener = Notes()
    await rig.party_says(sound(rig.leg, 200))
    await rig.elapse(40 + rig.slack_ms)
    assert sum(len(frame) for frame in notes.frames) >= len(sound(rig.leg, 200))
    assert all(frame.dtype == np.int16 and frame.ndim == 1 for frame in notes.frames)
    assert not any(frame.flags.writeable for frame in notes.frames)


async def check_what_was_sent_is_kept_from_the_first_question_on(rig: LegRig) -> None:
    rig.leg.listener = Notes()
    audio = sound(rig.leg, 100)
    two_seconds = rig.leg.rate_hz * 2
    assert not rig.leg.sent(two_seconds).any()
    rig.leg.play(audio)
    await rig.elapse(120 + rig.slack_ms)
    sent = rig.leg.sent(two_seconds)
    assert len(sent) == two_seconds
    first = int(np.flatnonzero(sent)[0])
    assert np.array_equal(sent[first : first + len(audio)], audio)
    assert not sent[first + len(audio) :].any()


class Overheard(LegTap):
    """A tap that writes everything down."""

    def __init__(self) -> None:
        self.heard: list[Pcm] = []
        self.sent: list[Pcm] = []
        self.heard_ns: list[int] = []
        self.times_ns: list[int] = []
        """Of what was sent."""
        self.closed_by: list[Exception | None] = []

    def on_heard_frame(self, pcm: Pcm, time_ns: int) -> None:
        self.heard.append(pcm)
        self.heard_ns.append(time_ns)

    def on_sent_frame(self, pcm: Pcm, time_ns: int) -> None:
        self.sent.append(pcm)
        self.times_ns.append(time_ns)

    def on_dtmf(self, digit: str, duration_ms: int) -> None:
        pass

    def on_closed(self, error: Exception | None) -> None:
        self.closed_by.append(error)

    def voice(self) -> Pcm:
        """What was sent, without silence."""
        sent = np.concatenate(self.sent) if self.sent else np.zeros(0, np.int16)
        sounding: Pcm = sent[sent != 0]
        return sounding


class Broken(Overheard):
    """A tap that raises."""

    def on_sent_frame(self, pcm: Pcm, time_ns: int) -> None:
        raise RuntimeError("a tap's own fault")

    def on_heard_frame(self, pcm: Pcm, time_ns: int) -> None:
        raise RuntimeError("a tap's own fault")


async def check_a_tap_gets_what_is_sent_and_silence_between(rig: LegRig) -> None:
    tap = Overheard()
    rig.leg.play(sound(rig.leg, 20))  # a fake leg's clock begins with the first sound
    rig.leg.add_tap(tap)
    await rig.elapse(100)
    rig.leg.play(sound(rig.leg, 200))
    await rig.elapse(300 + rig.slack_ms)
    assert len(tap.voice()) in {rig.leg.rate_hz * ms // 1_000 for ms in (200, 220)}
    assert len(np.concatenate(tap.sent)) >= rig.leg.rate_hz * 360 // 1_000, "silence too"
    assert tap.times_ns == sorted(tap.times_ns)
    assert all(not pcm.flags.writeable or pcm.base is None for pcm in tap.sent)


async def check_a_tap_gets_nothing_of_what_was_flushed(rig: LegRig) -> None:
    tap = Overheard()
    rig.leg.add_tap(tap)
    rig.leg.play(sound(rig.leg, 1_000))
    await rig.elapse(200)
    flushed = rig.leg.flush()
    await rig.elapse(100 + rig.slack_ms)
    assert len(tap.voice()) == flushed.played_samples


async def check_every_tap_hears_what_the_listener_hears(rig: LegRig) -> None:
    notes = rig.leg.listener = Notes()
    first, second = Overheard(), Overheard()
    rig.leg.add_tap(first)
    rig.leg.add_tap(second)
    await rig.party_says(sound(rig.leg, 200))
    await rig.elapse(100 + rig.slack_ms)
    assert notes.frames
    for tap in (first, second):
        assert np.array_equal(np.concatenate(tap.heard), np.concatenate(notes.frames))
        assert not any(frame.flags.writeable for frame in tap.heard)


async def check_a_tap_is_told_when_by_one_clock(rig: LegRig) -> None:
    """Of both directions, and by the clock of the loop, so that a recorder may begin at any time."""
    loop = asyncio.get_running_loop()
    tap = Overheard()
    rig.leg.play(sound(rig.leg, 20))  # a fake leg's clock begins with the first sound
    rig.leg.add_tap(tap)
    began_ns = loop.time() * 1e9
    await rig.party_says(sound(rig.leg, 200))
    await rig.elapse(100 + rig.slack_ms)
    ended_ns = loop.time() * 1e9
    slack_ns = 30e6  # a frame on its way, and a loop that counts whole milliseconds
    for times_ns in (tap.heard_ns, tap.times_ns):
        assert len(times_ns) >= 10
        assert times_ns == sorted(times_ns)
        assert began_ns - slack_ns <= times_ns[0] < times_ns[-1] <= ended_ns + slack_ns
        assert times_ns[-1] - times_ns[0] >= 150e6, "each frame has its own time"


async def check_a_tap_that_fails_costs_the_others_nothing(rig: LegRig) -> None:
    notes = rig.leg.listener = Notes()
    broken, after = Broken(), Overheard()
    rig.leg.add_tap(broken)
    rig.leg.add_tap(after)
    rig.leg.play(sound(rig.leg, 200))
    await rig.party_says(sound(rig.leg, 200))
    await rig.elapse(240 + rig.slack_ms)
    assert len(after.voice()) == rig.leg.rate_hz * 200 // 1_000
    assert np.array_equal(np.concatenate(after.heard), np.concatenate(notes.frames))
    assert [type(error) for error in broken.closed_by] == [RuntimeError], "told why it was taken off"
    assert not after.closed_by


async def check_a_tap_that_was_taken_off_gets_nothing_more(rig: LegRig) -> None:
    tap, other = Overheard(), Overheard()
    rig.leg.add_tap(tap)
    rig.leg.add_tap(other)
    rig.leg.play(sound(rig.leg, 400))
    await rig.elapse(100)
    rig.leg.remove_tap(tap)
    rig.leg.remove_tap(tap)
    count = len(tap.sent)
    await rig.elapse(400 + rig.slack_ms)
    assert len(tap.sent) == count
    assert len(other.voice()) == rig.leg.rate_hz * 400 // 1_000


LEG_CHECKS: tuple[Callable[[LegRig], Awaitable[None]], ...] = (
    check_plays_all_and_tells_it_drained_once,
    check_drained_waits_a_frame_for_more,
    check_drained_is_told_while_paused,
    check_odd_lengths_are_played_to_the_sample,
    check_marks_come_in_order_after_their_audio,
    check_an_empty_mark_follows_what_is_queued,
    check_flush_drops_at_once_and_counts_exactly,
    check_flush_of_nothing,
    check_pause_holds_and_resume_goes_on_exactly,
    check_play_while_paused_waits_behind,
    check_flush_while_paused_then_a_new_answer,
    check_the_wait_of_what_is_queued_now,
    check_a_full_queue_takes_nothing,
    check_the_samples_are_taken_over,
    check_read_only_audio_is_played,
    check_the_party_is_heard_in_order_and_read_only,
    check_what_was_sent_is_kept_from_the_first_question_on,
    check_a_tap_gets_what_is_sent_and_silence_between,
    check_a_tap_gets_nothing_of_what_was_flushed,
    check_every_tap_hears_what_the_listener_hears,
    check_a_tap_is_told_when_by_one_clock,
    check_a_tap_that_fails_costs_the_others_nothing,
    check_a_tap_that_was_taken_off_gets_nothing_more,
)
