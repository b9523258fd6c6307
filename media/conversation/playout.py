"""The agent's voice on a leg: utterances, marks, how much was heard, and backpressure."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from media.conversation.events import CallEndedError
from media.leg import Leg, Pcm, PlayoutFullError

MAX_AHEAD_MS = 15_000
"""How much an agent may queue ahead: 10 s of a synthesis that is faster than speech, and a reserve. 240 KB at 8 kHz."""

PIECE_MS = 500
"""Long audio is queued in pieces of this length; a waiting agent is woken about once per piece."""

MARKS_MAX = 1_000
"""The most marks of one leg that may be outstanding."""

REFUSED_S = 0.001
"""How long `say` waits before it refuses, so that an agent that continues to talk does not keep the loop busy."""

MARKS_TOLD_MAX = 256
"""How many reached marks an interruption reports."""

_INT16 = np.dtype(np.int16)
_IN_A_ROW = (2,)
"""The strides of contiguous one-dimensional int16, as a leg needs it."""


class Epoch:
    """The time between two cuts of a leg's playout. Audio of one epoch must not be played in the next."""

    __slots__ = ("cut_at", "number")

    def __init__(self, number: int, cut_at: int | None = None) -> None:
        self.number = number
        """How many cuts came before this epoch."""
        self.cut_at = cut_at
        """The number of samples played when the epoch was cut; None while it lasts."""


_OVER = Epoch(-1, 0)
"""The epoch of audio that was too late from the start."""


class Stretch:
    """A contiguous range of the agent's samples, in the count of `Position.played_samples`."""

    __slots__ = ("end", "epoch", "start")

    def __init__(self, start: int, epoch: Epoch) -> None:
        self.start = start
        self.end = start
        self.epoch = epoch

    def heard_samples(self, played: int) -> int:
        """How much of it was heard when the leg has played `played` samples."""
        if self.epoch.cut_at is not None:
            played = min(played, self.epoch.cut_at)
        return max(0, min(played, self.end) - self.start)


Answer = Stretch | int
"""What a piece of the agent's audio belongs to: an utterance, or, without one, the epoch of this number."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The result of a cut of the playout."""

    heard_ms: int
    """How much of the stretch that was playing was heard."""
    unheard_ms: int
    newly_reached: tuple[str, ...]
    """Marks that were reached but not reported yet; their events must come before any other event."""
    reached: tuple[str, ...]
    dropped: tuple[str, ...]


class Playout:
    """Queues an agent's audio on a leg and knows at any time how much of it was heard.

    Nothing else may play on the leg. For the asyncio thread only.
    """

    __slots__ = (
        "_epoch",
        "_final",
        "_implicit",
        "_last",
        "_leg",
        "_marks",
        "_max_ahead",
        "_next_mark",
        "_on_started",
        "_piece",
        "_rate_hz",
        "_reached",
        "_refusal",
        "_since_mark",
        "_stretches",
        "_waiters",
        "accepted_samples",
        "held",
        "keyed",
        "refused_samples",
        "speaking",
    )

    def __init__(self, leg: Leg, max_ahead_ms: int, on_started: Callable[[], object] | None) -> None:
        self._leg = leg
        self._rate_hz = leg.rate_hz
        self._max_ahead = leg.rate_hz * max_ahead_ms // 1_000
        self._piece = leg.rate_hz * PIECE_MS // 1_000
        self._on_started = on_started
        self._epoch = Epoch(0)
        position = leg.position()
        self.accepted_samples = position.played_samples + position.queued_samples
        """Samples that were or will be played: where the next audio begins, in the count of `played_samples`."""
        self._implicit = Stretch(self.accepted_samples, self._epoch)
        self._last = self._implicit
        self._stretches: deque[Stretch] = deque()  # those with audio that may still be queued; the first one is playing
        self._marks: dict[int, str | None] = {}
        self._next_mark = 1
        self._since_mark = 0
        self._reached: deque[str] = deque(maxlen=MARKS_TOLD_MAX)
        self._waiters: set[asyncio.Future[None]] = set()
        self._refusal: str | None = None  # why nothing more can be said
        self._final: int | None = None  # samples played when the call was over
        self.speaking = False
        """Whether audio is queued, as far as the leg has reported."""
        self.held = False
        """Whether the leg's playout is paused."""
        self.keyed = 0
        """How many answers are being spoken that a key must end."""
        self.refused_samples = 0
        """How much audio was refused because its epoch was over."""

    # -- what the agent does ------------------------------------------------------------------------------------------

    def play(self, pcm: Pcm, mark: str | None, answer: Answer) -> bool:
        """Queue audio; returns False and queues nothing if it belongs to an answer that was interrupted or stopped.

        Raises:
            PlayoutFullError: the leg's queue cannot take it; nothing was queued.
            CallEndedError: the call is over, or the agent has hung up.
            TypeError: the audio is not one-dimensional int16.
        """
        if self._refusal is not None:
            raise CallEndedError(self._refusal)
        if self.is_cut(answer):
            self.refused_samples += len(pcm)
            return False
        stretch = answer if isinstance(answer, Stretch) else self._implicit
        if pcm.__class__ is not np.ndarray or pcm.dtype is not _INT16 or pcm.strides != _IN_A_ROW:
            pcm = _checked(pcm)
        samples = len(pcm)
        if not self.speaking or stretch is not self._last:
            stretch = self._begin(stretch)
        self._since_mark += samples
        if mark is not None or self._since_mark >= self._piece:
            self._play_marked(pcm, mark)
        else:
            self._leg.play(pcm)
        self.accepted_samples += samples
        stretch.end = self.accepted_samples
        if not self.speaking and samples:
            self.speaking = True
            if self._on_started is not None:
                self._on_started()
        return True

    def _begin(self, stretch: Stretch) -> Stretch:
        """Start a stretch (or continue it after an underrun) at the end of all accepted audio."""
        if not self.speaking:
            self._stretches.clear()
            if stretch is not self._last:
                self._reached.clear()
        else:
            played = self._leg.position().played_samples
            while self._stretches and self._stretches[0].end <= played:
                self._stretches.popleft()
        if stretch is self._implicit:
            if self._stretches:
                stretch = self._implicit = Stretch(self.accepted_samples, self._epoch)
            else:
                self._reached.clear()
                stretch.start = stretch.end = self.accepted_samples
                stretch.epoch = self._epoch
        elif stretch.end == stretch.start:
            stretch.start = stretch.end = self.accepted_samples
        self._stretches.append(stretch)
        self._last = stretch
        return stretch

    def _play_marked(self, pcm: Pcm, mark: str | None) -> None:
        if len(self._marks) >= MARKS_MAX:
            raise PlayoutFullError(f"{MARKS_MAX} marks wait to be reached: mark fewer pieces of audio")
        number = self._next_mark
        self._marks[number] = mark
        try:
            self._leg.play(pcm, number)
        except BaseException:
            del self._marks[number]
            raise
        self._next_mark = number + 1
        self._since_mark = 0

    def try_say(self, pcm: Pcm, mark: str | None, answer: Answer) -> bool | None:
        """Like `say` if it need not wait; if it must wait, returns None and queues nothing."""
        if len(pcm) > self._piece or self._is_full(len(pcm)):
            return None
        try:
            return self.play(pcm, mark, answer)
        except PlayoutFullError:
            return None

    async def say(self, pcm: Pcm, mark: str | None, answer: Answer) -> bool:
        """Like `play`, in pieces; waits while more than `max_ahead_ms` is queued. Returns True if all was accepted."""
        samples = len(pcm)
        if samples == 0 and mark is None:
            await asyncio.sleep(0)  # an agent that says nothing in a loop must not block the event loop
        start = 0
        waited = False
        while not (waited and self.is_cut(answer)):
            piece = pcm[start : start + self._piece]
            is_last = start + self._piece >= samples
            waited = self._is_full(len(piece)) and not self.is_cut(answer)
            try:
                if not waited and not self.play(piece, mark if is_last else None, answer):
                    await asyncio.sleep(REFUSED_S)
                    return False
            except PlayoutFullError:
                if not self.speaking:
                    raise
                waited = True
            if waited:
                await self._progress()
            elif is_last:
                return True
            else:
                start += self._piece
        return False

    def _is_full(self, samples: int) -> bool:
        # The leg is asked only while audio is queued: an idle leg has room.
        if not self.speaking or self._refusal is not None:
            return False
        queued = self._leg.position().queued_samples
        return queued > 0 and queued + samples > self._max_ahead

    async def said(self) -> int:
        """Wait until everything queued was heard or dropped; returns how many ms of the utterance were heard."""
        stretch, start, epoch = self._last, self._last.start, self._epoch
        while self.speaking and self._epoch is epoch and self._final is None:
            await self._progress()
        if stretch.start != start:  # the next utterance has already begun
            return self._to_ms(max(0, stretch.start - start))
        return self.heard_ms_of(stretch)

    def new_stretch(self, epoch: int) -> Stretch:
        """Make a separate stretch, which an underrun does not end; it is already cut if `epoch` is over."""
        return Stretch(self.accepted_samples, self._epoch if epoch == self._epoch.number else _OVER)

    async def until_cut(self, stretch: Stretch) -> None:
        """Wait until a cut ends the epoch of this stretch.

        Raises:
            CallEndedError: the call ended first.
        """
        while not self.is_cut(stretch):
            await self._progress()

    def is_cut(self, answer: Answer) -> bool:
        """Whether a cut has ended the epoch of this answer."""
        return (answer.epoch.number if isinstance(answer, Stretch) else answer) != self._epoch.number

    # -- what is known ------------------------------------------------------------------------------------------------

    @property
    def epoch(self) -> int:
        """How many cuts there were."""
        return self._epoch.number

    @property
    def refused_ms(self) -> int:
        """How much audio was refused because its epoch was over."""
        return self._to_ms(self.refused_samples)

    @property
    def played_samples(self) -> int:
        """How many samples were sent since the leg opened."""
        return self._leg.position().played_samples if self._final is None else self._final

    @property
    def has_audio(self) -> bool:
        """Whether the leg has anything left to play at this moment."""
        return self._leg.position().queued_samples > 0

    @property
    def queued_ms(self) -> int:
        """How much audio waits to be played."""
        return self._to_ms(self._leg.position().queued_samples) if self._final is None else 0

    @property
    def wait_ms(self) -> float:
        """How long it takes until the first sample of audio queued now is played, unless playout is paused."""
        return self._leg.position().wait_ms if self._final is None else 0.0

    @property
    def heard_ms(self) -> int:
        """How much was heard of the utterance that is playing, or of the last one."""
        played = self.played_samples
        return self._to_ms(self._playing(played).heard_samples(played))

    def heard_ms_of(self, stretch: Stretch) -> int:
        """How much of this stretch was heard."""
        return self._to_ms(stretch.heard_samples(self.played_samples))

    def _playing(self, played: int) -> Stretch:
        for stretch in self._stretches:
            if stretch.end > played:
                return stretch
        return self._last

    def _to_ms(self, samples: int) -> int:
        return samples * 1_000 // self._rate_hz

    # -- reports from the leg, and control of it ----------------------------------------------------------------------

    def hold(self) -> None:
        """Pause the leg, even while its queue is empty: an agent that speaks in real time adds the next frame later."""
        self._leg.pause()
        self.held = True

    def release(self) -> None:
        """Resume the leg, if it is paused."""
        if self.held:
            self.held = False
            self._leg.resume()

    def cut(self) -> Cut:
        """Drop what is queued and end the epoch: after this no audio of this epoch is sent."""
        flushed = self._leg.flush()
        self.release()
        played = flushed.played_samples
        dropped_marks = set(flushed.dropped_marks)
        newly: list[str] = []
        dropped: list[str] = []
        for number, name in self._marks.items():
            if name is not None:
                (dropped if number in dropped_marks else newly).append(name)
        self._marks.clear()
        self._reached.extend(newly)
        stretch = self._playing(played)
        self._epoch.cut_at = played
        cut = Cut(
            self._to_ms(stretch.heard_samples(played)),
            self._to_ms(flushed.dropped_samples),
            tuple(newly),
            tuple(self._reached),
            tuple(dropped),
        )
        self._epoch = Epoch(self._epoch.number + 1)
        self.accepted_samples = played
        self._since_mark = 0
        self._stretches.clear()
        self._last = stretch  # not what was queued behind it: nothing of that was heard
        self._reached.clear()
        self.speaking = False
        self._wake()
        return cut

    def on_mark(self, number: int) -> str | None:
        """The name of the mark that was reached; None for an internal mark, or one that a cut has already reported."""
        try:
            name = self._marks.pop(number)
        except KeyError:
            return None
        if name is not None:
            self._reached.append(name)
        if self._waiters:
            self._wake()
        return name

    def on_drained(self) -> bool:
        """Whether the agent's voice has ended; False if the report is outdated because of a later `play`."""
        if self._final is not None or not self.speaking or self.has_audio:
            return False
        self.speaking = False
        self._since_mark = 0
        if self._waiters:
            self._wake()
        return True

    def refuse(self, reason: str) -> None:
        """Refuse new audio from now on. Queued audio is still played, and can be waited for or cut as before."""
        self._refusal = reason
        self._wake()

    def end(self, reason: str) -> None:
        """Like `refuse`, and end all waits; counts no longer change. The leg may be closed after this."""
        if self._final is None:
            self._refusal = reason
            self._final = self._leg.position().played_samples
            self._wake()

    async def _progress(self) -> None:
        """Wait until something was heard or dropped."""
        if self._final is not None:
            raise CallEndedError(self._refusal or "")
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)


def _checked(pcm: object) -> Pcm:
    if not isinstance(pcm, np.ndarray):
        raise TypeError(f"audio is {type(pcm).__name__}: give a numpy array, e.g. np.frombuffer(data, np.int16)")
    if pcm.dtype != _INT16:
        raise TypeError(f"audio has dtype {pcm.dtype}: give int16, e.g. (samples * 32767).astype(np.int16)")
    if pcm.ndim != 1:
        raise TypeError(f"audio has shape {pcm.shape}: give one dimension (mono)")
    return np.ascontiguousarray(pcm)
