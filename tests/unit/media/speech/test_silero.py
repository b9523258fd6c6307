"""Silero VAD for many calls: verdicts in order, whoever joins or leaves, and webrtcvad where the thread is behind."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from bench.noises import noise, pcm
from gateway.settings.shipped import DIALPLANS
from media.leg import Pcm
from media.speech import silero_model
from media.speech.silero import TICK_S, WAITING_MAX, WINDOW_MS, Batch, Done, SileroBatch
from media.speech.silero_model import WINDOW_SAMPLES, SileroModel
from tests.fake_leg import silence, voice
from tests.inline_silero import InlineWorker
from tests.virtual_time import virtual

MODEL = Path(silero_model.__file__).parent / "models" / "silero_vad.onnx"


class SlowWorker:
    """Judges when it is told to: voice is what is loud."""

    def __init__(self, done: Done) -> None:
        self.done = done
        self.batches: list[Batch] = []
        self.closed = False

    def submit(self, batch: Batch) -> None:
        self.batches.append(batch)

    def close(self) -> None:
        self.closed = True

    def judge(self) -> None:
        batch = self.batches.pop(0)
        self.done(batch, (np.abs(batch.windows).max(axis=1) > 1_000).astype(np.float32))


def spoken(rate_hz: int) -> Pcm:
    sound, hz = soundfile.read(DIALPLANS / "sounds" / "welcome.wav", dtype="int16")
    resampled: Pcm = soxr.resample(sound, hz, rate_hz)
    return resampled


def windows(*levels: int) -> Pcm:
    return np.repeat(np.array(levels, np.int16), WINDOW_SAMPLES)


def slow_batch() -> tuple[SileroBatch, list[SlowWorker]]:
    workers: list[SlowWorker] = []

    def new_worker(done: Done) -> SlowWorker:
        workers.append(SlowWorker(done))
        return workers[-1]

    return SileroBatch(new_worker), workers


async def tick() -> None:
    await asyncio.sleep(TICK_S * 1.01)


@virtual
async def test_verdicts_come_in_order_and_to_their_call() -> None:
    batch, workers = slow_batch()
    told: list[tuple[str, bool, int]] = []
    first = batch.join(8_000, lambda *verdict: told.append(("first", *verdict)))
    second = batch.join(8_000, lambda *verdict: told.append(("second", *verdict)))
    for frame in windows(5_000, 0, 5_000).reshape(-1, 128):
        first.hear(frame)
    second.hear(windows(0))
    await tick()
    assert [len(one.members) for one in workers[0].batches] == [2]
    for _ in range(3):
        workers[0].judge()
        await tick()
    assert told == [
        ("first", True, WINDOW_MS),
        ("second", False, WINDOW_MS),
        ("first", False, WINDOW_MS),
        ("first", True, WINDOW_MS),
    ]
    first.close()
    second.close()


@virtual
async def test_who_leaves_hears_no_verdict_and_its_slot_begins_anew_when_no_batch_holds_it() -> None:
    batch, workers = slow_batch()
    told: list[str] = []
    stays = batch.join(8_000, lambda *_: told.append("stays"))
    leaves = batch.join(8_000, lambda *_: told.append("leaves"))
    leaves.hear(windows(5_000))
    await tick()
    leaves.close()
    leaves.hear(windows(5_000, 5_000))
    early = batch.join(8_000, lambda *_: told.append("early"))
    assert early.slot not in {stays.slot, leaves.slot}
    workers[0].judge()
    assert told == []
    late = batch.join(8_000, lambda *_: told.append("late"))
    assert late.slot == leaves.slot
    late.hear(windows(5_000))
    await tick()
    assert workers[0].batches[0].begins.tolist() == [True]
    for one in (stays, early, late):
        one.close()
        one.close()
    assert batch.calls == 0
    assert workers[0].closed


@virtual
async def test_a_batch_of_calls_that_have_all_ended_reaches_no_new_one() -> None:
    batch, workers = slow_batch()
    gone = batch.join(8_000, lambda *_: None)
    gone.hear(windows(5_000))
    await tick()
    gone.close()
    told: list[bool] = []
    new = batch.join(8_000, lambda is_voice, _: told.append(is_voice))
    new.hear(windows(0))
    await tick()
    workers[0].judge()
    assert told == []
    workers[1].judge()
    assert told == [False]
    new.close()


@virtual
async def test_webrtcvad_goes_on_for_a_thread_that_is_behind_in_order_and_counted() -> None:
    batch, workers = slow_batch()
    told: list[bool] = []
    member = batch.join(8_000, lambda is_voice, _: told.append(is_voice))
    sound = np.concatenate((silence(8_000, 640), voice(8_000, 1_280)))
    for start in range(0, len(sound), 160):
        before = len(told)
        member.hear(sound[start : start + 160])
        assert len(told) - before <= 2  # of 300 calls all that waits at once would hold the loop for 50 ms
        await asyncio.sleep(0.02)
        assert len(member.waiting) <= WAITING_MAX
    judged = 1_920 // WINDOW_MS
    assert judged - WAITING_MAX - 1 <= len(told) == batch.fallbacks <= judged
    assert not any(told[:18])
    assert all(told[22:])
    workers[0].judge()  # of a window that webrtcvad has judged long ago
    assert len(told) == batch.fallbacks
    workers[0].judge()
    assert len(told) == batch.fallbacks + 1
    member.close()


@virtual
async def test_who_is_told_may_leave() -> None:
    batch, _ = slow_batch()
    told: list[bool] = []

    def leave(is_voice: bool, _: int) -> None:
        told.append(is_voice)
        member.close()

    member = batch.join(8_000, leave)
    member.hear(windows(*[0] * (WAITING_MAX + 1)))
    assert told == [False]


def test_a_rate_that_it_cannot_take_is_named() -> None:
    with pytest.raises(ValueError, match="rate_hz is 44100: voice detection takes 8000, 16000 or 48000"):
        SileroBatch(SlowWorker).join(44_100, lambda *_: None)


@pytest.mark.parametrize(("rate_hz", "frame_ms"), [(8_000, 20), (8_000, 25), (16_000, 20), (48_000, 60)])
@virtual
async def test_speech_is_voice_at_every_rate_and_a_fan_is_none(rate_hz: int, frame_ms: int) -> None:
    batch = SileroBatch(InlineWorker)
    told: list[bool] = []
    member = batch.join(rate_hz, lambda is_voice, _: told.append(is_voice))
    fan = pcm(noise("fan", rate_hz, 3_000) * 10 ** (-26 / 20))
    sound = np.concatenate((silence(rate_hz, 1_000), spoken(rate_hz), silence(rate_hz, 1_000), fan))
    frame = rate_hz * frame_ms // 1_000
    for start in range(0, len(sound), frame):
        member.hear(sound[start : start + frame])
        await asyncio.sleep(frame_ms / 1_000)
    await tick()
    member.close()
    assert batch.fallbacks == 0
    assert len(told) == len(sound) // (rate_hz * WINDOW_MS // 1_000)
    begin = 1_000 // WINDOW_MS
    end = begin + len(spoken(rate_hz)) * 1_000 // rate_hz // WINDOW_MS
    assert not any(told[:begin])
    assert sum(told[begin:end]) >= 0.6 * (end - begin)
    assert not any(told[end + 10 :])


def test_a_call_in_a_batch_is_judged_as_alone() -> None:
    sound = spoken(8_000)
    pieces = sound[: len(sound) // WINDOW_SAMPLES * WINDOW_SAMPLES].reshape(-1, WINDOW_SAMPLES)
    alone, together = SileroModel(), SileroModel()
    rng = np.random.default_rng(1)
    for number, piece in enumerate(pieces[:60]):
        begins = number == 0
        lone = alone.judge(np.array([0]), np.array([begins]), piece[None])
        others = rng.normal(0, 1_000, (70, WINDOW_SAMPLES)).astype(np.int16)
        slots = np.concatenate((np.arange(70), [70]))
        found = together.judge(slots, np.full(71, begins), np.concatenate((others, piece[None])))
        assert found[70] == pytest.approx(lone[0], abs=1e-3)


def test_the_thread_judges_and_ends_with_the_last_call() -> None:
    async def judged() -> list[bool]:
        batch = SileroBatch.of_running_loop()
        assert SileroBatch.of_running_loop() is batch
        told: list[bool] = []
        done = asyncio.Event()

        def take(is_voice: bool, _: int) -> None:
            told.append(is_voice)
            done.set()

        member = batch.join(8_000, take)
        member.hear(windows(0))
        await asyncio.wait_for(done.wait(), 30)
        [thread] = [one for one in threading.enumerate() if one.name == "vad"]
        member.close()
        await asyncio.to_thread(thread.join, 30)
        assert not thread.is_alive()
        return told

    assert asyncio.run(judged()) == [False]


def test_the_network_is_the_one_that_was_measured() -> None:
    found = hashlib.sha256(MODEL.read_bytes()).hexdigest()
    assert found == "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3"
