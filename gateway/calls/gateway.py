"""The running gateway: the calls, where they come from, and who is let in."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Literal

import structlog

from gateway.calls.call import Call
from gateway.calls.outcome import EndCause
from gateway.calls.party import Reception
from gateway.calls.party_record import PartyRecord
from gateway.calls.record import CallRecord, RecordLog
from gateway.process.garbage import GarbagePolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.agents import AgentRegistry
    from gateway.calls.party import Arrival, CallSource, IncomingParty
    from gateway.calls.record import RecordSink
    from gateway.dialplan import PlanStore
    from gateway.settings import Settings

_log = structlog.get_logger("gateway")

_INTERNAL_ERROR, _SERVICE_UNAVAILABLE = 500, 503


class Gateway(Reception):
    """Everything between the settings and the callers. For the asyncio thread only."""

    def __init__(  # noqa: PLR0913 - the parts that a gateway is made of
        self,
        settings: Settings,
        agents: AgentRegistry,
        plans: PlanStore,
        sources: Sequence[CallSource],
        sinks: Sequence[RecordSink] = (RecordLog(),),
        *,
        is_overloaded: Callable[[], bool] = lambda: False,
    ) -> None:
        """Make it; calls come when it is started.

        Args:
            settings: of all of gateway.yaml.
            agents: those that dialplans name.
            plans: the dialplans, which may be read again while it runs.
            sources: where calls come from.
            sinks: who gets the record of each call.
            is_overloaded: whether it fails to keep up with the calls it has; asked for each new one.
        """
        self.settings = settings
        self.agents = agents
        self.plans = plans
        self.calls: set[Call] = set()
        self.garbage = GarbagePolicy()
        self.draining = False
        self.started = False
        self.started_at = time.time()
        self.calls_total = 0
        self.calls_refused = 0
        self._sources = sources
        self._sinks = sinks
        self.is_overloaded = is_overloaded
        self._tasks: asyncio.TaskGroup | None = None
        self._drain: asyncio.Timeout | None = None
        self._empty = asyncio.Event()
        self._empty.set()

    async def start(self, tasks: asyncio.TaskGroup) -> None:
        """Return when calls can come. `tasks` becomes the parent of every call's task.

        Raises:
            SipStartError: an address or port cannot be had.
        """
        self._tasks = tasks
        for source in self._sources:
            await source.start(self, tasks)
        self.started = True

    @property
    def state(self) -> Literal["starting", "ready", "draining"]:
        """What happens to a call that arrives now: it cannot arrive yet, is accepted, is refused."""
        if self.draining:
            return "draining"
        return "ready" if self.started else "starting"

    async def stop(self) -> None:
        """Take no more calls, let the live ones end, for a while; then stop what they come from."""
        self.draining = True
        _log.info("gateway.draining", calls=len(self.calls), timeout_s=self.settings.limits.drain_timeout_s)
        try:
            async with asyncio.timeout(self.settings.limits.drain_timeout_s) as self._drain:
                await self._empty.wait()
        except TimeoutError:
            for call in list(self.calls):
                call.shut_down()
            await self._empty.wait()
        for source in self._sources:
            await source.stop()

    def hurry(self) -> None:
        """While `stop` waits for calls to end: wait no longer."""
        if self._drain is not None and not self._drain.expired() and not self._empty.is_set():
            self._drain.reschedule(asyncio.get_running_loop().time())

    # ---- Reception: who comes in ---------------------------------------------------------------------------

    def on_arrival(self, arrival: Arrival) -> bool:
        try:
            return self._admit(arrival)
        except Exception as error:  # noqa: BLE001 - the edge of a call: its caller waits for an answer, whatever it is
            self._lose(arrival.party, arrival.record(), error)
            return False

    def on_lost(self, party: IncomingParty, error: Exception, *, call_id: str, source: str, trunk: str | None) -> None:
        self._lose(party, CallRecord(call_id, PartyRecord(source), trunk, "", ""), error)

    def on_refused(self, why: str, *, call_id: str, source: str) -> None:
        self.calls_refused += 1
        _log.warning("call.refused", call_id=call_id, why=why, source=source)

    def on_turned_away(self, why: str, count: int) -> None:
        self.calls_refused += count
        _log.warning("calls.refused", why=why, count=count)

    def _admit(self, arrival: Arrival) -> bool:
        why = self._why_not(arrival)
        if why is not None or self._tasks is None:
            arrival.party.refuse(_SERVICE_UNAVAILABLE, retry_after_s=self.settings.limits.retry_after_s)
            arrival.party.close()
            self.on_refused(why or "draining", call_id=arrival.call_id, source=arrival.source)
            return False
        call = Call(arrival, self.agents, self.settings.limits)
        serving = self._serve(call)
        try:
            self._tasks.create_task(serving, name=f"call:{call.record.id}")
        except RuntimeError:  # the gateway is going down by a fault
            serving.close()
            raise
        self.calls.add(call)
        self.calls_total += 1
        self._empty.clear()
        return True

    def _why_not(self, arrival: Arrival) -> str | None:
        if self.draining:
            return "draining"
        if len(self.calls) >= self.settings.limits.calls:
            return "full"
        if self.is_overloaded():
            return "overloaded"
        if arrival.invite.trunk is not None:
            return None
        # A few INVITEs a second that nobody acknowledges hold as many places as there are.
        strangers = sum(call.invite.trunk is None for call in self.calls)
        return "strangers" if strangers >= self.settings.strangers else None

    # ---- each call -----------------------------------------------------------------------------------------

    async def _serve(self, call: Call) -> None:
        try:
            self._keep(await call.live(self.plans.plan))
        except asyncio.CancelledError:  # the gateway is going down by a fault: what is known is recorded
            call.measure()
            self._keep(call.record)
            raise
        except Exception as error:  # noqa: BLE001 - the edge of a call: the task group would cancel every other one
            self._lose(call.party, call.record, error)
        finally:
            self.calls.discard(call)
            self.garbage.on_call_ended(len(self.calls))
            if not self.calls:
                self._empty.set()

    def _lose(self, party: IncomingParty, record: CallRecord, error: Exception) -> None:
        """End a call by a fault of our own, with an answer and a record."""
        _log.error("call.lost", call_id=record.call_id, id=record.id, exc_info=error)
        steps: tuple[Callable[[], None], ...] = (lambda: party.refuse(_INTERNAL_ERROR), party.close)
        for step in steps:
            try:
                step()
            except Exception:  # noqa: BLE001 - as above: it must not cost any other call its life
                _log.exception("call.not_closed", call_id=record.call_id, id=record.id)
        record.party.code = record.party.code or _INTERNAL_ERROR
        if record.cause is None:
            record.cause, record.detail = EndCause.INTERNAL_ERROR, repr(error)
        self._keep(record)

    def _keep(self, record: CallRecord) -> None:
        for sink in self._sinks:
            try:
                sink.keep(record)
            except Exception:  # noqa: BLE001 - one that fails must not cost the others their record, nor end the gateway
                _log.exception("record.not_kept", sink=type(sink).__name__, call_id=record.call_id, id=record.id)
