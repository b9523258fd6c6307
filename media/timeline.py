"""Where the frames of a leg belong on one timeline, so that what was heard and what was sent lie beside each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from media.leg import Pcm

TOLERANCE_MS = 60
"""How far a track may be from the clock: more is not the network's jitter, which must not cut into a voice."""


class Timeline:
    """The clock that both tracks of a leg are laid out by. Position 0 is when it was made, in samples at its rate."""

    def __init__(self, rate_hz: int, begin_ns: int) -> None:
        """`begin_ns`: of CLOCK_MONOTONIC, as the times of frames."""
        self.rate_hz = rate_hz
        self.begin_ns = begin_ns

    def position(self, time_ns: int) -> int:
        """The sample that belongs to a time."""
        return (time_ns - self.begin_ns) * self.rate_hz // 1_000_000_000


class Track:
    """One direction of a leg.

    Frames follow each other to the sample, as they were said. Only when the track has come further than `TOLERANCE_MS`
    from the clock does it jump there: the party was silent without sending, its clock is faster or slower than ours (at
    50 parts per million once in 20 minutes), or the machine stood still. So two tracks never drift apart, and a voice
    is cut for nothing less.
    """

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._tolerance = timeline.rate_hz * TOLERANCE_MS // 1_000
        self._next: int | None = None
        self.jumps = 0
        """How often it jumped to the clock."""

    def place(self, pcm: Pcm, time_ns: int) -> int:
        """Where a frame begins, in samples.

        What lies between it and the end of the last one is silence. It may begin before that end, if the track jumps
        back: the later frame is the one that counts.

        Args:
            pcm: the frame, of the timeline's rate.
            time_ns: when it had come as a whole, or when it began to go out. The same for all frames of a track: what
                one of them lies before the other in time is a constant.
        """
        by_clock = self._timeline.position(time_ns)
        begin = by_clock if self._next is None else self._next
        if abs(begin - by_clock) > self._tolerance:
            self.jumps += 1
            begin = by_clock
        self._next = begin + len(pcm)
        return begin
