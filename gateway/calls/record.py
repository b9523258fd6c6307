"""What is known of a call when it is over: one record says it all, and whoever keeps records gets it once."""

from __future__ import annotations

import dataclasses
import secrets
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

import structlog

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.calls.outcome import EndCause, Failure
    from media.leg import Counters

_log = structlog.get_logger("gateway")


@dataclass(slots=True)
class CallRecord:
    """Filled while the call lives, handed over once when it has ended. Times in seconds since the INVITE."""

    call_id: str
    """SIP's Call-ID: the caller's choice."""
    source: str
    trunk: str | None
    to: str
    from_: str
    id: str = field(default_factory=lambda: str(uuid7()))
    """The call's own, which nobody else chose."""
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    """When the INVITE came."""
    route: str | None = None
    codec: str | None = None
    agents: tuple[str, ...] = ()
    answered_s: float | None = None
    """None: it was never answered."""
    duration_s: float = 0.0
    cause: EndCause | None = None
    """None while it lives. Who ended it, and whose doing that was, follow from it."""
    detail: str = ""
    code: int = 0
    """The last SIP status; 0 when there was none."""
    reason: str = ""
    """Its phrase."""
    failures: tuple[Failure, ...] = ()
    """What did not work out on the way, in order: before a fallback, too."""
    results: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """What agents found out, as their outcomes said."""
    barge_ins: int = 0
    barge_ins_rejected: int = 0
    turns: int = 0
    unheard_ms: int = 0
    """What agents said into interruptions, and nobody heard."""
    stale_ms: int = 0
    """What agents said after an interruption although it belonged to before it: it was refused."""
    agent_frames_dropped: int = 0
    """Frames of the caller that an agent was too slow to take."""
    agent_events_dropped: int = 0
    """Events that only inform, which an agent left alone for too long."""
    packets_received: int = 0
    packets_foreign: int = 0
    """Somebody else's, sent to the call's port: nobody heard them."""
    packets_sent: int = 0
    packets_late: int = 0
    """Of those received: something stood in for them already."""
    loss_pct: float = 0.0
    """Of the caller's voice, what never came or came too late."""
    peer_loss_pct: float = 0.0
    jitter_ms: float = 0.0
    frames_concealed: int = 0
    frames_overrun: int = 0
    mos: float | None = None
    """Estimated listening quality of what the gateway heard; None when nothing came."""

    @property
    def is_real(self) -> bool:
        """Whether it was answered or came over a trunk: no limit of the log may drop its record."""
        return self.answered_s is not None or self.trunk is not None

    def add_media(self, counters: Counters) -> None:
        """Take over what the leg counted."""
        self.packets_received = counters.packets_received
        self.packets_foreign = counters.packets_foreign
        self.packets_sent = counters.packets_sent
        self.packets_late = counters.packets_late
        # Neither knows all: what came too late is no lost packet, and in an outage nobody makes up a voice.
        lost = _share(counters.packets_lost, counters.packets_received + counters.packets_lost)
        spoken_frames = counters.frames_in + counters.frames_overrun - counters.frames_filled
        concealed = _share(counters.frames_concealed, spoken_frames)
        self.loss_pct = round(100.0 * max(lost, concealed), 3)
        self.peer_loss_pct = round(counters.peer_loss_pct, 3)
        self.jitter_ms = round(counters.jitter_ms, 2)
        self.frames_concealed = counters.frames_concealed
        self.frames_overrun = counters.frames_overrun
        if counters.packets_received:
            self.mos = round(mos(self.loss_pct, counters.round_trip_ms / 2 + 2 * counters.jitter_ms), 2)

    def as_keys(self) -> dict[str, object]:
        """For the log; what does not apply to this call is left out."""
        values = {one.name.rstrip("_"): getattr(self, one.name) for one in dataclasses.fields(self)}
        values["started"] = self.started.isoformat(timespec="milliseconds")
        values["failures"] = tuple(map(str, self.failures))
        values["results"] = dict(self.results) or None
        if self.cause is not None:
            values |= {
                "cause": self.cause.value, "ended_by": self.cause.ended_by.value, "class": self.cause.class_.value
            }  # fmt: skip
        told = {name: value for name, value in values.items() if value is not None and value not in ("", ())}
        return {"call_id": self.call_id, **told}  # also an empty one: whoever counts calls finds every record by it


class RecordSink(Protocol):
    """Keeps records: the log; a database or a webhook as well, by adding one."""

    def keep(self, record: CallRecord) -> None:
        """Take a record that is complete. Must return at once: what takes time is done elsewhere."""


class RecordLog(RecordSink):
    """Records as lines of the log, `call.ended`."""

    def keep(self, record: CallRecord) -> None:
        """Write one line."""
        _log.info("call.ended", **record.as_keys(), always=record.is_real)


def uuid7() -> uuid.UUID:
    """A UUID that sorts by the millisecond it was made in (RFC 9562, 5.7). Python has its own from 3.14 on."""
    milliseconds = time.time_ns() // 1_000_000
    bits = milliseconds << 80 | 7 << 76 | secrets.randbits(12) << 64 | 0b10 << 62 | secrets.randbits(62)
    return uuid.UUID(int=bits)


def _share(part: int, whole: int) -> float:
    return part / whole if whole > 0 else 0.0


def mos(loss_pct: float, delay_ms: float) -> float:
    """Mean opinion score of random loss and one-way delay: the E-model (ITU-T G.107) for G.711 with concealment.

    R = 93.2 - Id - Ie,eff, with Ie = 0 and Bpl = 25.1 (G.113 appendix I), then R to MOS (G.107 annex B).
    """
    delay_impairment = 0.024 * delay_ms + (0.11 * (delay_ms - 177.3) if delay_ms > 177.3 else 0.0)
    loss_impairment = 95.0 * loss_pct / (loss_pct + 25.1)
    rating = max(0.0, min(93.2 - delay_impairment - loss_impairment, 100.0))
    return max(1.0, 1.0 + 0.035 * rating + rating * (rating - 60.0) * (100.0 - rating) * 7e-6)
