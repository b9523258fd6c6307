"""Silero VAD for all calls of a gateway: one thread computes, the loop collects windows and delivers verdicts."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt
import structlog

from media.leg import Pcm
from media.speech.silero_model import RATE_HZ, WINDOW_SAMPLES, Likelihoods, SileroModel
from media.speech.vad import VoiceDetector

TICK_S = 0.016
"""Windows that fill within this time form a batch. Half a window: larger batches are not worth their latency."""
WAITING_MAX = 8
"""How many windows of one call may wait, 256 ms: with more, webrtcvad decides on the oldest."""
WINDOW_MS = WINDOW_SAMPLES * 1_000 // RATE_HZ

_BEGINS, _GOES_ON = 0.5, 0.35
"""Voice begins at the first likelihood, and ends below the second (the defaults of Silero)."""
_FULL_SCALE = 32_768

_log = structlog.get_logger("media")


@dataclass(frozen=True, slots=True)
class Batch:
    """One window of each call that has a window waiting."""

    worker: Worker
    members: tuple[SileroDetection, ...]
    slots: npt.NDArray[np.intp]
    begins: npt.NDArray[np.bool_]
    windows: npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Heard:
    """Limits of detection: `floor_dbfs` always, `aggressiveness` when webrtcvad takes over from the thread."""

    aggressiveness: int = 2
    floor_dbfs: float = -50.0


Done = Callable[[Batch, Likelihoods], None]


class Worker(Protocol):
    """Computes the likelihoods of batches."""

    def submit(self, batch: Batch) -> None:
        """Queue a batch; `done` is called on the loop with the result."""

    def close(self) -> None:
        """Stop; no more batches are submitted after this."""


class SileroThread:
    """Computes in its own thread; the network releases the GIL while it computes."""

    def __init__(self, done: Done) -> None:
        """Start the thread; call this on the loop that `done` is to be called on.

        Raises:
            SileroMissingError: onnxruntime is not installed.
        """
        self._loop = asyncio.get_running_loop()
        self._done = done
        self._model = SileroModel()
        self._batches: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="vad", daemon=True)
        self._thread.start()

    def submit(self, batch: Batch) -> None:
        """Queue a batch; only one at a time."""
        self._batches.put(batch)

    def close(self) -> None:
        """Let the thread end after the batches that it has; does not wait for it."""
        self._batches.put(None)

    def _run(self) -> None:
        try:
            while (batch := self._batches.get()) is not None:
                found = self._model.judge(batch.slots, batch.begins, batch.windows)
                with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits for the result
                    self._loop.call_soon_threadsafe(self._done, batch, found)
        except Exception:  # noqa: BLE001 - the thread's edge: webrtcvad takes over
            _log.exception("vad.failed")


class SileroDetection:
    """The detection in one party's audio; made by `SileroBatch.join`."""

    __slots__ = (
        "_batch", "_factor", "_fallback", "_floor", "_narrowing", "_rest", "_verdict", "_voice", "begins", "judged",
        "slot", "waiting",
    )  # fmt: skip

    def __init__(
        self, batch: SileroBatch, slot: int, rate_hz: int, verdict: Callable[[bool, int], object], heard: Heard
    ) -> None:
        self._batch = batch
        self.slot = slot
        self.begins = True
        factor = self._factor = rate_hz // RATE_HZ
        self._narrowing = np.full(factor, 1 / factor, np.float32)
        self._fallback = VoiceDetector(RATE_HZ, heard.aggressiveness, heard.floor_dbfs)
        self._floor = int(_FULL_SCALE * 10 ** (heard.floor_dbfs / 20))
        self._verdict: Callable[[bool, int], object] | None = verdict
        self._rest = np.zeros(0, np.int16)
        self._voice = False
        self.waiting: deque[Pcm] = deque()
        self.judged: Pcm | None = None
        """The window that is being computed by the thread."""

    @property
    def closed(self) -> bool:
        """Whether it was closed: verdicts are no longer needed."""
        return self._verdict is None

    def hear(self, pcm: Pcm) -> None:
        """Take one frame of any length; verdicts follow for windows of 32 ms, in order."""
        if self._verdict is None:
            return
        pcm = np.concatenate((self._rest, pcm))
        size = WINDOW_SAMPLES * self._factor
        start = 0
        for start in range(size, len(pcm) + 1, size):
            self.waiting.append(self._narrow(pcm[start - size : start]))
        self._rest = pcm[start:].copy()
        while len(self.waiting) > WAITING_MAX:
            self._fall_back()

    def take(self) -> Pcm:
        """Take the oldest window, for a batch."""
        self.judged = self.waiting.popleft()
        return self.judged

    def on_likelihood(self, likely: float) -> None:
        """Take the likelihood of the window that was in the batch."""
        window, self.judged = self.judged, None
        if window is None or self._verdict is None:  # webrtcvad has already decided, or the call is over
            return
        self._fallback.learn(window)
        self._voice = likely >= (_GOES_ON if self._voice else _BEGINS) and _peak(window) >= self._floor
        self._verdict(self._voice, WINDOW_MS)

    def close(self) -> None:
        """Stop: no more verdicts follow."""
        if self._verdict is not None:
            self._verdict = None
            self.waiting.clear()
            self._batch.leave(self)

    def _fall_back(self) -> None:
        """Let webrtcvad decide on the oldest window; that is the window of the thread, if it has one.

        One window for each new one, not all waiting windows: 300 late calls at once would block the loop for 50 ms.
        """
        window, self.judged = self.waiting.popleft() if self.judged is None else self.judged, None
        self._batch.on_fallback()
        self._voice = self._fallback.is_voice(window)
        if self._verdict is not None:
            self._verdict(self._voice, WINDOW_MS)

    def _narrow(self, pcm: Pcm) -> Pcm:
        if self._factor == 1:
            return pcm
        narrow: Pcm = (pcm.reshape(-1, self._factor).astype(np.float32) @ self._narrowing).astype(np.int16)
        return narrow


class SileroBatch:
    """Collects the windows of all calls, submits them as batches, and delivers verdicts. For the asyncio thread only.

    At most one batch is with the thread, and at most `WAITING_MAX` windows of a call wait for the next one: if the
    thread is slow, no audio is lost and memory is bounded. For windows that would be too late webrtcvad decides; they
    are counted in `fallbacks`.

    Audio of 16 and 48 kHz is averaged down to 8 kHz. So one batch serves all calls, with the cheaper network, and
    telephone speech ends at 4 kHz anyway.
    """

    _of_loops: ClassVar[weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, SileroBatch]] = weakref.WeakKeyDictionary()

    def __init__(self, new_worker: Callable[[Done], Worker] = SileroThread) -> None:
        self._new_worker = new_worker
        self._worker: Worker | None = None
        self._members: dict[int, SileroDetection] = {}
        self._free: list[int] = []
        self._left: list[int] = []  # slots that were left while the batch in flight may still use them
        self._slots = 0
        self._in_flight = False
        self._timer: asyncio.TimerHandle | None = None
        self._behind = False  # webrtcvad has been used since the last batch came back
        self.fallbacks = 0
        """Windows for which webrtcvad decided because the thread was late."""

    @classmethod
    def of_running_loop(cls) -> SileroBatch:
        """The instance that all calls of the running loop share."""
        loop = asyncio.get_running_loop()
        if loop not in cls._of_loops:
            cls._of_loops[loop] = cls()
        return cls._of_loops[loop]

    def share(self) -> None:
        """Make this the instance that all calls of the running loop share."""
        self._of_loops[asyncio.get_running_loop()] = self

    @property
    def calls(self) -> int:
        """How many members have joined and not left."""
        return len(self._members)

    def join(self, rate_hz: int, verdict: Callable[[bool, int], object], heard: Heard | None = None) -> SileroDetection:
        """Begin detection in the audio of one more party; the thread runs while there is at least one.

        Raises:
            ValueError: the rate is not 8000, 16000 or 48000.
            SileroMissingError: onnxruntime is not installed.
        """
        if rate_hz not in {8_000, 16_000, 48_000}:
            raise ValueError(f"rate_hz is {rate_hz}: voice detection takes 8000, 16000 or 48000")
        if self._worker is None:
            self._worker = self._new_worker(self._on_judged)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TICK_S, self._on_tick)
        if not self._free:
            self._free.append(self._slots)
            self._slots += 1
        slot = self._free.pop()
        member = self._members[slot] = SileroDetection(self, slot, rate_hz, verdict, heard or Heard())
        return member

    def leave(self, member: SileroDetection) -> None:
        """End detection for a member; its slot becomes free when no batch uses it."""
        del self._members[member.slot]
        (self._left if self._in_flight else self._free).append(member.slot)
        if not self._members:
            self._end()

    def on_fallback(self) -> None:
        """Count a window for which webrtcvad decided because the thread was late."""
        self.fallbacks += 1
        if not self._behind:
            self._behind = True
            _log.warning("vad.behind", calls=len(self._members), fallbacks=self.fallbacks)

    def _on_tick(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(TICK_S, self._on_tick)
        self.submit_due()

    def submit_due(self) -> None:
        """Submit one window of each call that has one, unless a batch is in progress; called at every tick."""
        due = tuple(member for member in self._members.values() if member.waiting)
        if self._in_flight or not due or self._worker is None:
            return
        begins = np.array([member.begins for member in due])
        for member in due:
            member.begins = False
        batch = Batch(
            self._worker, due, np.array([one.slot for one in due]), begins, np.stack([one.take() for one in due])
        )
        self._in_flight = True
        self._worker.submit(batch)

    def _on_judged(self, batch: Batch, found: Likelihoods) -> None:
        if batch.worker is not self._worker:  # meanwhile all calls have ended
            return
        self._in_flight = self._behind = False
        self._free += self._left
        self._left.clear()
        for member, likely in zip(batch.members, found.tolist(), strict=True):
            member.on_likelihood(likely)
        if any(len(member.waiting) > 1 for member in self._members.values()):
            self.submit_due()  # at once, to catch up, not at the next tick

    def _end(self) -> None:
        if self._worker is not None:
            self._worker.close()
        if self._timer is not None:
            self._timer.cancel()
        self._worker = self._timer = None
        self._in_flight = False
        self._slots = 0
        self._free.clear()
        self._left.clear()


def _peak(pcm: Pcm) -> int:
    return max(int(np.maximum.reduce(pcm)), -int(np.minimum.reduce(pcm)))
