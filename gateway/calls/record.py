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
    from gateway.calls.party_record import PartyRecord

_log = structlog.get_logger("gateway")


@dataclass(slots=True)
class CallRecord:
    """Filled while the call lives, handed over once when it has ended. Times in seconds since the INVITE."""

    call_id: str
    """SIP's Call-ID: the caller's choice."""
    party: PartyRecord
    """The caller's line."""
    trunk: str | None
    to: str
    from_: str
    id: str = field(default_factory=lambda: str(uuid7()))
    """The call's own, which nobody else chose."""
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    """When the INVITE came."""
    route: str | None = None
    agents: tuple[str, ...] = ()
    duration_s: float = 0.0
    cause: EndCause | None = None
    """None while it lives. Who ended it, and whose doing that was, follow from it."""
    detail: str = ""
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

    @property
    def is_real(self) -> bool:
        """Whether it was answered or came over a trunk: no limit of the log may drop its record."""
        return self.party.answered_s is not None or self.trunk is not None

    def as_keys(self) -> dict[str, object]:
        """For the log; what does not apply to this call is left out."""
        values = {one.name.rstrip("_"): getattr(self, one.name) for one in dataclasses.fields(self)}
        values |= dataclasses.asdict(values.pop("party"))
        values["started"] = self.started.isoformat(timespec="milliseconds")
        values["failures"] = tuple(map(str, self.failures))
        values["results"] = dict(self.results) or None
        if self.cause is not None:
            values["cause"] = self.cause.value
            values["ended_by"] = self.cause.ended_by.value
            values["class"] = self.cause.responsibility.value
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
