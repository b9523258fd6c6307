"""Detectors of voice beside each other: what they hear in noise, how soon, and what 300 calls cost: `make bench-vad`.

Speech of three synthetic voices and of people, with a second of pause between any two, in noises that are made from a
seed. Recall is the share of frames with speech that count as voice, false the share of others, more than 200 ms after
speech, that do. What is speech is told from the clean sound: within 30 dB of its loud frames, pauses of up to 200 ms
inside it. webrtcvad is measured as calls have it, behind the noise floor, and alone.

`cut_ms` counts audio from the onset to the frame that cuts an agent (`min_speech` 120 ms); `cuts_missed` had none
within 1.5 s and are not in it. Silero's is judged at once there: in a call `verdict_ms` of the load comes on top.

Its limits: 28 clips, one seed of each noise, no codec, and speech that is told by energy from the clean sound.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import resource
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr
import webrtcvad

from bench.noises import KINDS, Sound, band, noise, pcm
from bench.provenance import LAST_RUNS, RESULTS, Json, report
from media.conversation.floor import BargeIn, BargeInSettings, CutPlayout, FloorControl
from media.leg import Pcm
from media.speech.detection import Detection, FrameByFrame
from media.speech.silero import Batch, Done, SileroBatch
from media.speech.silero_model import WINDOW_SAMPLES, SileroModel
from media.speech.vad import VoiceDetector

RATE_HZ = 8_000
FRAME = RATE_HZ // 50
SPEECH_DBFS = -26
SNR_DB = (20, 10, 5)
LEAD_FRAMES = 400
PAUSE_FRAMES = 50
PEOPLE = Path("/usr/share/pocketsphinx/test/data")
SENTENCES = (
    "Good morning, I would like to speak to the accounts department please.",
    "My order number is four seven one nine two.",
    "Can you tell me when the technician will come?",
    "No, that is not what I said.",
    "Yes please.",
    "The invoice from last month has not arrived yet.",
)
VOICES = (("flite", "-voice", "rms"), ("flite", "-voice", "slt"), ("espeak-ng", "-v", "en-us"))

Marks = npt.NDArray[np.bool_]
Told = list[tuple[int, bool, int]]
"""After how many frames it was told, whether it was voice, and of how many ms."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Speech with a mean square of 1 where it sounds; which frames have some, which have none, and where it begins."""

    speech: Sound
    has_speech: Marks
    has_none: Marks
    onsets: tuple[int, ...]


class AtOnce:
    """Silero's network without a thread: what is judged, not when."""

    def __init__(self, done: Done) -> None:
        self._done = done
        self._model = SileroModel()

    def submit(self, batch: Batch) -> None:
        """Judge it."""
        self._done(batch, self._model.judge(batch.slots, batch.begins, batch.windows))

    def close(self) -> None:
        """There is no thread to end."""


def clips() -> Iterator[Sound]:
    """All that is said, at the band and rate of a telephone."""
    with tempfile.TemporaryDirectory() as place:
        said = Path(place) / "said.wav"
        for voice in VOICES:
            for sentence in SENTENCES:
                text = ("-t", sentence, "-o", said) if voice[0] == "flite" else ("-w", said, sentence)
                subprocess.run([*voice, *text], check=True)
                yield _at_telephone_rate(said)
    for recording in sorted((*PEOPLE.glob("cards/*.wav"), *PEOPLE.glob("librivox/*.wav"))):
        yield _at_telephone_rate(recording)


def _at_telephone_rate(file: Path) -> Sound:
    sound, rate_hz = soundfile.read(file)
    return band(soxr.resample(sound, rate_hz, RATE_HZ), RATE_HZ)


def scene() -> Scene:
    """All clips in a row, after 8 s in which noise can be learnt."""
    sounds, marks, onsets = [np.zeros(LEAD_FRAMES * FRAME)], [np.zeros(LEAD_FRAMES, np.bool_)], []
    frames = LEAD_FRAMES
    for clip in clips():
        speaks = _speaks(clip)
        sound = clip[: len(speaks) * FRAME]
        loud = sound.reshape(-1, FRAME)[speaks]
        sounds += [sound / np.sqrt(np.mean(loud * loud)), np.zeros(PAUSE_FRAMES * FRAME)]
        marks += [speaks, np.zeros(PAUSE_FRAMES, np.bool_)]
        onsets.append(frames + int(np.argmax(speaks)))
        frames += len(speaks) + PAUSE_FRAMES
    has_speech = np.concatenate(marks)
    near = np.zeros_like(has_speech)
    for shift in range(-2, 11):
        near |= np.roll(has_speech, shift)
    has_none = ~near
    has_none[: LEAD_FRAMES // 2] = False
    return Scene(np.concatenate(sounds), has_speech, has_none, tuple(onsets))


def _speaks(clip: Sound) -> Marks:
    frames = clip[: len(clip) // FRAME * FRAME].reshape(-1, FRAME)
    powers = np.mean(frames * frames, axis=1)
    speaks: Marks = powers > np.percentile(powers, 95) / 1_000
    at = np.flatnonzero(speaks)
    for one, following in itertools.pairwise(at):
        if following - one <= 10:
            speaks[one:following] = True
    return speaks


def tell(line: Pcm, listen: Callable[[Callable[[bool, int], object]], tuple[Detection, Callable[[], object]]]) -> Told:
    """What a detector tells of a line, and when."""
    told: Told = []
    heard = 0
    detection, go_on = listen(lambda is_voice, duration_ms: told.append((heard, is_voice, duration_ms)))
    for start in range(0, len(line) - FRAME + 1, FRAME):
        heard += 1
        detection.hear(line[start : start + FRAME])
        go_on()
    detection.close()
    return told


def behind_the_floor(aggressiveness: int) -> Callable[..., tuple[Detection, Callable[[], object]]]:
    """Webrtcvad as calls have it."""
    return lambda verdict: (
        FrameByFrame(VoiceDetector(RATE_HZ, aggressiveness), RATE_HZ, verdict),
        lambda: None,
    )


def silero(verdict: Callable[[bool, int], object]) -> tuple[Detection, Callable[[], object]]:
    """Silero as calls have it, judged at once."""
    batch = SileroBatch(AtOnce)
    return batch.join(RATE_HZ, verdict), batch.submit_due


def alone(aggressiveness: int, line: Pcm) -> Told:
    """Webrtcvad without the noise floor."""
    judge = webrtcvad.Vad(aggressiveness).is_speech
    frames = range(0, len(line) - FRAME + 1, FRAME)
    return [(number + 1, judge(line[at : at + FRAME].tobytes(), RATE_HZ), 20) for number, at in enumerate(frames)]


def score(told: Told, heard: Scene) -> dict[str, Json]:
    """Recall and false in %, and from the onset of speech to the cut of an agent that speaks, in ms of audio."""
    by_ms = np.repeat([voice for _, voice, _ in told], [duration for _, _, duration in told])
    frames = np.pad(by_ms, (0, 20 * len(heard.has_speech)))[10::20][: len(heard.has_speech)]
    cuts = sorted(_cut_after_ms(told, onset) for onset in heard.onsets)
    in_time = [cut for cut in cuts if cut < 1_500]
    return {
        "recall_pct": round(100 * float(frames[heard.has_speech].mean()), 1),
        "false_pct": round(100 * float(frames[heard.has_none].mean()), 1),
        "cut_ms_p50": round(float(np.median(in_time))) if in_time else None,
        "cut_ms_p95": round(float(np.percentile(in_time, 95))) if in_time else None,
        "cuts_missed": len(cuts) - len(in_time),
        "onsets": len(cuts),
    }


def _cut_after_ms(told: Told, onset: int) -> float:
    floor = FloorControl(BargeInSettings(mode=BargeIn.CUT))
    floor.on_agent_started()
    for at, voice, duration_ms in told:
        if at <= onset:
            continue
        actions = floor.on_voice(duration_ms) if voice else floor.on_silence(duration_ms)
        if any(isinstance(action, CutPlayout) for action in actions):
            return (at - onset) * 20.0
    return float("inf")


async def accuracy() -> dict[str, Json]:
    """All detectors in all noises."""
    heard = scene()
    rows: dict[str, Json] = {}
    for kind, snr_db in [("quiet", 60), *((kind, snr_db) for kind in KINDS for snr_db in SNR_DB)]:
        around = noise("pink" if kind == "quiet" else kind, RATE_HZ, len(heard.speech) * 1_000 // RATE_HZ + 1, seed=3)
        mixed = heard.speech + around[: len(heard.speech)] * 10 ** (-snr_db / 20)
        line = pcm(mixed * 10 ** (SPEECH_DBFS / 20))
        row: dict[str, Json] = {"silero": score(tell(line, silero), heard)}
        for mode in range(4):
            row[f"webrtcvad_{mode}"] = score(tell(line, behind_the_floor(mode)), heard)
            row[f"webrtcvad_{mode}_alone"] = score(alone(mode, line), heard)
        rows[kind if kind == "quiet" else f"{kind}_{snr_db}"] = row
    return rows


class Waits:
    """From when a window is full to its verdict, in ms."""

    def __init__(self, heard: int) -> None:
        self.waited_ms: list[float] = []
        self.begun = self._heard = heard
        self._full_s: deque[float] = deque()

    def hear_frame(self) -> None:
        """A frame is about to be heard."""
        self._heard += FRAME
        if self._heard >= WINDOW_SAMPLES:
            self._heard -= WINDOW_SAMPLES
            self._full_s.append(time.perf_counter())

    def verdict(self, _voice: bool, _duration_ms: int) -> None:  # noqa: FBT001 - as detectors call it
        """A window was judged."""
        self.waited_ms.append((time.perf_counter() - self._full_s.popleft()) * 1_000)


async def load(calls: int, seconds: float, detector: str) -> dict[str, Json]:
    """Real time: each call a frame every 20 ms, spread over it; CPU of the process, and from window to verdict."""
    line = pcm(noise("street", RATE_HZ, 2_000) * 10 ** (SPEECH_DBFS / 20))
    frames = [line[at : at + FRAME] for at in range(0, len(line), FRAME)]
    rng = np.random.default_rng(1)
    batch = SileroBatch()
    waits = [Waits(int(heard)) for heard in rng.integers(0, WINDOW_SAMPLES, calls)]
    detections: list[Detection] = []
    if detector == "silero":
        for wait in waits:
            detections.append(batch.join(RATE_HZ, wait.verdict))
            detections[-1].hear(line[: wait.begun])  # calls begin at any moment: their windows are not full together
    elif detector == "webrtcvad":
        detections = [FrameByFrame(VoiceDetector(RATE_HZ), RATE_HZ, lambda *_: None) for _ in waits]
    starts = rng.integers(0, len(frames), calls).tolist()
    begin_s, begin_cpu = time.perf_counter(), _cpu_s()
    for tick in range(int(seconds * 200)):
        await asyncio.sleep(max(0.0, begin_s + tick * 0.005 - time.perf_counter()))
        for call in range(tick % 4, len(detections), 4):
            waits[call].hear_frame()
            detections[call].hear(frames[(starts[call] + tick // 4) % len(frames)])
    cpu_s, wall_s = _cpu_s() - begin_cpu, time.perf_counter() - begin_s
    waited_ms = [ms for one in waits for ms in one.waited_ms]
    result: dict[str, Json] = {
        "cpu_core_pct": round(100 * cpu_s / wall_s, 2),
        "verdicts": len(waited_ms),
        "fallbacks": batch.fallbacks,
    }
    for one in detections:
        one.close()
    if waited_ms:
        result |= {f"verdict_ms_p{q}": round(float(np.percentile(waited_ms, q)), 1) for q in (50, 99)}
    return result


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def summary(runs: list[dict[str, dict[str, Json]]], calls: int) -> dict[str, Json]:
    """Median, least and most of all runs; the cost of a detector is over that of the same run without one.

    `fallback_pct` of each run belongs to Silero's cost: what its thread could not judge in time,
    webrtcvad did for less.
    """
    found: dict[str, Json] = {}
    for detector in ("webrtcvad", "silero"):
        costs = [(_float(run[detector]) - _float(run["none"])) / calls for run in runs]
        found[detector] = {
            "cpu_core_pct_per_call": round(float(np.median(costs)), 4),
            "cpu_core_pct_per_call_least": round(min(costs), 4),
            "cpu_core_pct_per_call_most": round(max(costs), 4),
            "fallback_pct": [_fallback_pct(run[detector]) for run in runs],
        }
    return found


def _fallback_pct(result: dict[str, Json]) -> float:
    fallbacks, verdicts = result["fallbacks"], result["verdicts"]
    return (
        round(100 * fallbacks / verdicts, 1)
        if isinstance(fallbacks, int) and isinstance(verdicts, int) and verdicts
        else 0.0
    )


def _float(result: dict[str, Json]) -> float:
    value = result["cpu_core_pct"]
    if not isinstance(value, float):
        raise TypeError(f"cpu_core_pct is {value!r}")
    return value


def measure(calls: int, seconds: float, runs: int) -> dict[str, Json]:
    """What the detectors hear, and what they cost: the median of so many runs, which take turns."""
    sys.setswitchinterval(0.0005)  # as the gateway has it
    measured: list[dict[str, dict[str, Json]]] = [
        {one: asyncio.run(load(calls, seconds, one)) for one in ("none", "webrtcvad", "silero")} for _ in range(runs)
    ]
    return {
        "calls": calls,
        "seconds": seconds,
        "cost": summary(measured, calls),
        "runs": [dict(run) for run in measured],
        "accuracy": asyncio.run(accuracy()),
    }


def main() -> int:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each load")
    parser.add_argument("--runs", type=int, default=5, help="of all loads, one after the other")
    parser.add_argument("--keep", action="store_true", help="as bench/results/vad.json, whose figures README.md shows")
    arguments = parser.parse_args()
    whole = measure(arguments.calls, arguments.seconds, arguments.runs)
    report("vad", whole, directory=RESULTS if arguments.keep else LAST_RUNS)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
