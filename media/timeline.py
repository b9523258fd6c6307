"""Places the frames of a leg on one timeline, so that received and sent audio are aligned."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from media.leg import Pcm

TOLERANCE_MS = 60
"""How far a track may be from the clock. Less may be network jitter, for which a voice must not be cut."""


class Timeline:
    """The common clock of both tracks of a leg. Positions are samples at `rate_hz`; 0 is at `begin_ns`."""

    def __init__(self, rate_hz: int, begin_ns: int) -> None:
        """`begin_ns` is a time of CLOCK_MONOTONIC, like the times of frames."""
        self.rate_hz = rate_hz
        self.begin_ns = begin_ns

    def position(self, time_ns: int) -> int:
        """The position, in samples, of a time."""
        return (time_ns - self.begin_ns) * self.rate_hz // 1_000_000_000


class Track:
    """One direction of a leg.

    Frames follow each other without gaps or overlaps. The track jumps to the clock only when it is more than
    `TOLERANCE_MS` away from it: the party sent nothing while silent, its clock is faster or slower than ours (at 50
    parts per million this happens once in 20 minutes), or the machine stood still. So two tracks do not drift apart,
    and a voice is not cut for smaller differences.
    """

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._tolerance = timeline.rate_hz * TOLERANCE_MS // 1_000
        self._next: int | None = None
        self.jumps = 0
        """How often it jumped to the clock."""

    def place(self, pcm: Pcm, time_ns: int) -> int:
        """Where a frame begins, in samples.

        A gap between the end of the last frame and this begin is silence. If the track jumps back, the frame may begin
        before the end of the last one: then the later frame replaces the overlap.

        Args:
            pcm: the frame, at the timeline's rate.
            time_ns: when the frame was received completely, or when its sending began. Use the same of these two times
                for all frames of a track: their difference is then a constant offset.
        """
        by_clock = self._timeline.position(time_ns)
        begin = by_clock if self._next is None else self._next
        if abs(begin - by_clock) > self._tolerance:
            self.jumps += 1
            begin = by_clock
        self._next = begin + len(pcm)
        return begin
