"""The asyncio side of the media plane: delivers the engine's batches to the legs of the calls."""

from __future__ import annotations

import asyncio
import dataclasses
from time import monotonic_ns
from typing import TYPE_CHECKING

import structlog

from media import _engine
from media.leg import Counters, Flushed, LegListener, LegTap, OwnedLeg, Pcm, PlayoutFullError, Position

if TYPE_CHECKING:
    from collections.abc import Callable

_log = structlog.get_logger("media")

_STALE_NS = 150_000_000
"""A frame that waited longer for asyncio is dropped: otherwise the delay would stay for the rest of the call."""
_COUNTED = tuple(field.name for field in dataclasses.fields(Counters))


class EngineLeg(OwnedLeg):
    """A leg whose media is a slot of the native engine. Opened by `MediaPlane.open`, closed by `close`.

    It can play once its first stream is attached; the SIP side reports that.
    """

    __slots__ = ("_plane", "frames_stale", "listener", "on_failure", "on_heard", "on_silent", "slot", "taps")

    def __init__(self, plane: MediaPlane, slot: _engine.Slot) -> None:
        self._plane = plane
        self.slot = slot
        self.frames_stale = 0
        """Frames dropped because they were too late for the listener."""
        self.listener: LegListener | None = None
        self.taps: tuple[LegTap, ...] = ()
        """Replaced as a whole, so that a tap can be added or removed during a loop over all of them."""
        self.on_failure: Callable[[Exception], None] | None = None
        self.on_heard: Callable[[], None] | None = None
        self.on_silent: Callable[[int], None] | None = None

    @property
    def rate_hz(self) -> int:
        return self.slot.rate_hz

    def play(self, pcm: Pcm, mark: int | None = None) -> None:
        if not self.slot.play(pcm, mark):
            queued_ms = self.position().queued_samples * 1000 // max(self.slot.rate_hz, 1)
            msg = f"cannot queue {len(pcm)} samples: {queued_ms} ms are already queued; wait for marks or `drained`"
            raise PlayoutFullError(msg)

    def flush(self) -> Flushed:
        flushed = self.slot.flush()
        return Flushed(flushed.played_samples, flushed.dropped_samples, tuple(flushed.dropped_marks))

    def pause(self) -> None:
        self.slot.pause()

    def resume(self) -> None:
        self.slot.resume()

    def position(self) -> Position:
        position = self.slot.position()
        return Position(position.played_samples, position.queued_samples, position.wait_ms)

    def add_tap(self, tap: LegTap) -> None:
        self.taps = (*self.taps, tap)
        self.slot.tap_sent(tapped=True)

    def remove_tap(self, tap: LegTap) -> None:
        self.taps = tuple(one for one in self.taps if one is not tap)
        self.slot.tap_sent(tapped=bool(self.taps))

    def sent(self, samples: int) -> Pcm:
        return self.slot.sent(samples)

    def counters(self) -> Counters:
        counted = self.slot.counters()
        counters = Counters(**{name: getattr(counted, name) for name in _COUNTED})
        stale = self.frames_stale
        return dataclasses.replace(
            counters, frames_in=counters.frames_in - stale, frames_overrun=counters.frames_overrun + stale
        )

    def close(self) -> None:
        # If a stream is attached, the SIP side detaches it.
        self.listener = self.on_failure = self.on_heard = self.on_silent = None
        taps, self.taps = self.taps, ()
        if taps:
            self.slot.tap_sent(tapped=False)
        self._plane.forget(self)
        for tap in taps:
            _close_tap(self, tap, None)


class MediaPlane:
    """Owns the engine. One wake-up of the loop delivers the frames and events of all calls."""

    def __init__(self, tuning: _engine.Tuning, *, clock_threads: int) -> None:
        """Requires that pjlib is initialised: create this object after the SIP endpoint has started."""
        self.engine = _engine.Engine(tuning, clock_threads=clock_threads)
        self._legs: dict[int, EngineLeg] = {}

    def start(self) -> None:
        """Start delivery on the running loop."""
        asyncio.get_running_loop().add_reader(self.engine.fileno(), self._deliver)

    def stop(self) -> None:
        asyncio.get_running_loop().remove_reader(self.engine.fileno())

    def open(self) -> EngineLeg:
        leg = EngineLeg(self, self.engine.open())
        self._legs[leg.slot.id] = leg
        return leg

    def forget(self, leg: EngineLeg) -> None:
        self._legs.pop(leg.slot.id, None)

    @property
    def legs(self) -> int:
        return len(self._legs)

    def _deliver(self) -> None:
        records, pcm = self.engine.read()
        legs = self._legs
        frame = _engine.FRAME
        stale_ns = monotonic_ns() - _STALE_NS
        for slot_id, kind, begin, end, time_ns in records:
            leg = legs.get(slot_id)
            if leg is None:
                continue
            if leg.taps:
                _tell_taps(leg, kind, begin, end, time_ns, pcm)
            listener = leg.listener
            try:
                if kind != frame:
                    _tell(leg, kind, begin, end)
                elif time_ns < stale_ns:
                    leg.frames_stale += 1
                elif listener is not None:
                    listener.on_frame(pcm[begin:end])
            except Exception as error:  # noqa: BLE001 - one call's error must not stop the calls after it in the batch
                _fail(leg, error)


def _tell_taps(  # noqa: PLR0913, PLR0917 - the fields of a record
    leg: EngineLeg, kind: int, begin: int, end: int, time_ns: int, pcm: Pcm
) -> None:
    for tap in leg.taps:
        if tap not in leg.taps:
            continue  # an earlier tap has removed it
        try:
            if kind == _engine.FRAME:
                tap.on_heard_frame(pcm[begin:end], time_ns)
            elif kind == _engine.SENT:
                tap.on_sent_frame(pcm[begin:end], time_ns)
            elif kind == _engine.DTMF:
                tap.on_dtmf(chr(begin), end)
        except Exception as error:  # noqa: BLE001 - an error of a tap must not affect the call
            leg.remove_tap(tap)
            _log.exception("leg.tap_failed", slot=leg.slot.id, tap=type(tap).__name__)
            _close_tap(leg, tap, error)


def _close_tap(leg: EngineLeg, tap: LegTap, error: Exception | None) -> None:
    try:
        tap.on_closed(error)
    except Exception:  # noqa: BLE001 - as above
        _log.exception("leg.tap_failed", slot=leg.slot.id, tap=type(tap).__name__)


def _tell(leg: EngineLeg, kind: int, begin: int, end: int) -> None:
    if kind == _engine.HEARD and leg.on_heard is not None:
        leg.on_heard()
    if kind == _engine.SILENT and leg.on_silent is not None:
        leg.on_silent(begin)
    listener = leg.listener
    if listener is None:
        return
    if kind == _engine.DTMF:
        listener.on_dtmf(chr(begin), end)
    elif kind == _engine.MARK:
        listener.on_mark(begin)
    elif kind == _engine.DRAINED:
        listener.on_drained()
    elif kind == _engine.SILENT:
        listener.on_media_silent(begin)


def _fail(leg: EngineLeg, error: Exception) -> None:
    leg.listener = None
    _log.error("leg.failed", slot=leg.slot.id, exc_info=error)
    if leg.on_failure is not None:
        leg.on_failure(error)
