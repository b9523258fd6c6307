"""The contract between one party's media and the pipeline that listens and speaks to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Pcm = npt.NDArray[np.int16]
"""Mono linear PCM, shape (samples,), at the leg's rate. Read-only, except for the code that made it."""


class PlayoutFullError(Exception):
    """The leg's playout queue cannot take this much audio; nothing of it was queued."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a leg's playout stands."""

    played_samples: int
    """Agent audio handed to the wire since the leg opened; silence that filled a gap is not counted."""
    queued_samples: int
    """Agent audio accepted and not yet played."""
    wait_ms: float
    """How long audio that is queued now waits before its first sample goes to the wire, unless playout is paused."""


@dataclass(frozen=True, slots=True)
class Flushed:
    """What a flush did."""

    played_samples: int
    """As `Position.played_samples`, exact at the moment of the flush."""
    dropped_samples: int
    """Queued audio that will never be heard."""
    dropped_marks: tuple[int, ...]
    """Marks, in order, whose audio did not play to its end."""


class LegListener(Protocol):
    """What a leg reports to its one listener, who also speaks on it. On the asyncio thread; must return at once."""

    def on_frame(self, pcm: Pcm) -> None:
        """One frame (20 ms as a rule) of the party's voice, in order, as soon as it is in order.

        The array is a read-only view of a shared batch: cheap to keep for seconds, to be copied for longer.
        """

    def on_dtmf(self, digit: str, duration_ms: int) -> None:
        """A digit (0-9, *, #, A-D) was pressed and released."""

    def on_mark(self, mark: int) -> None:
        """The last sample of the audio played with this mark went to the wire."""

    def on_drained(self) -> None:
        """The playout queue ran empty, and nothing has followed for a frame's time. Not told after a `flush`."""

    def on_media_silent(self, silent_ms: int) -> None:
        """No packet has come from the party for this long; told once for each silence."""


class LegTap(Protocol):
    """Who overhears a leg beside its listener: a recorder, a meter, somebody who listens in, the other leg of a bridge.

    Called on the asyncio thread; must return at once. A tap that raises is removed; it costs nobody else anything.
    Times are of CLOCK_MONOTONIC in ns, one clock for both directions; `media.timeline` makes tracks of them.
    """

    def on_heard_frame(self, pcm: Pcm, time_ns: int) -> None:
        """A frame of the party's voice, as `LegListener.on_frame`, and when it came."""

    def on_sent_frame(self, pcm: Pcm, time_ns: int) -> None:
        """A frame that went to the wire, silence too, as a view as above, and when it went."""

    def on_dtmf(self, digit: str, duration_ms: int) -> None:
        """As `LegListener.on_dtmf`."""

    def on_closed(self, error: Exception | None) -> None:
        """Nothing more comes: the leg was closed, or this tap was removed because it raised `error`. Told once.

        A tap that was taken off by `remove_tap` is not told.
        """


class Leg(Protocol):
    """One party of a call, as sound. All methods are synchronous, cheap, and for the asyncio thread only."""

    listener: LegListener | None

    @property
    def rate_hz(self) -> int:
        """Samples per second of all PCM here: 8000, 16000 or 48000; fixed for the life of the leg."""

    def play(self, pcm: Pcm, mark: int | None = None) -> None:
        """Queue audio behind what is queued; any length. The samples are taken over before it returns.

        With a mark, `on_mark` follows when its last sample is played; an empty array with a mark is allowed.

        Raises:
            PlayoutFullError: the queue would exceed its limit; nothing was queued.
        """

    def flush(self) -> Flushed:
        """Drop everything queued, now: after the return nothing queued before reaches the wire."""

    def pause(self) -> None:
        """Hold playout where it stands (silence goes out instead), reversibly. Idempotent."""

    def resume(self) -> None:
        """Go on exactly where `pause` stopped. Idempotent."""

    def position(self) -> Position:
        """What was played and what waits, right now."""

    def add_tap(self, tap: LegTap) -> None:
        """Let somebody overhear, from the next frame on. A leg without taps pays nothing for them."""

    def remove_tap(self, tap: LegTap) -> None:
        """Let it overhear no more: nothing is delivered to it from now on. Idempotent."""

    def sent(self, samples: int) -> Pcm:
        """The last `samples` that went to the wire, silence included, newest last; a copy.

        As many are kept as were ever asked for, from then on, so that a leg nobody asks pays nothing. What is not kept
        is silence.
        """


@dataclass(frozen=True, slots=True)
class Counters:
    """What went over a leg since it was opened. Packets are what the wire saw, frames what the agent's side saw."""

    packets_received: int = 0
    packets_lost: int = 0
    """Never came."""
    packets_late: int = 0
    """Of those received: something stood in for them already."""
    packets_foreign: int = 0
    """Somebody else's: dropped, and in none of the others."""
    packets_sent: int = 0
    taps_missed: int = 0
    """Frames sent that a tap did not get: asyncio had not read for two seconds."""
    frames_in: int = 0
    frames_concealed: int = 0
    """Of those in: made up from the voice before."""
    frames_filled: int = 0
    """Of those in: silence, where nothing came."""
    frames_overrun: int = 0
    """Dropped: asyncio had not taken them within 150 ms."""
    jitter_ms: float = 0.0
    """Of what came (RFC 3550 section 6.4.1)."""
    peer_loss_pct: float = 0.0
    """Of what we sent, by the party's own count."""
    round_trip_ms: float = 0.0
    """By RTCP; 0 when it is not known."""


class OwnedLeg(Leg, Protocol):
    """A leg, for the code that opened it."""

    on_failure: Callable[[Exception], None] | None
    """Called when the listener raised; it is not called again."""
    on_heard: Callable[[], None] | None
    """The first packet of a stream has come from the party: whatever it is sent now reaches it."""
    on_silent: Callable[[int], None] | None
    """As `LegListener.on_media_silent`, for the owner of the call; called with or without a listener."""

    def counters(self) -> Counters:
        """What the wire and the agent's side saw since the leg was opened."""

    def close(self) -> None:
        """Nothing is delivered any more."""
