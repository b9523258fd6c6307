"""The running gateway: the SIP endpoint, the calls and the trunks, and who is let in."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Literal, assert_never

import structlog

from gateway.calls.call import LiveCall
from gateway.calls.record import CallRecord
from gateway.dialplan import invite
from gateway.process.garbage import GarbagePolicy
from gateway.sip.endpoint import SipEndpoint
from gateway.sip.events import (
    CallEvent,
    ChallengeIgnored,
    Confirmed,
    ConnectionLost,
    Disconnected,
    HoldChanged,
    Incoming,
    MediaFailed,
    MediaStarted,
    Refused,
    RegistrationAnswered,
    Side,
    SipEvent,
    TurnedAway,
)
from gateway.sip.from_settings import endpoint_config, named_servers, tuning
from gateway.sip.trunks.installation import installation_key
from gateway.sip.trunks.resolving import SystemResolver
from gateway.sip.trunks.trunks import Trunks
from media.plane import MediaPlane

if TYPE_CHECKING:
    from gateway.agents import AgentRegistry
    from gateway.dialplan import PlanStore
    from gateway.settings import Settings
    from gateway.sip.events import CallRef

_log = structlog.get_logger("gateway")

_INTERNAL_ERROR, _SERVICE_UNAVAILABLE = 500, 503


class Gateway:
    """Everything between the settings and the wire. For the asyncio thread only."""

    def __init__(self, settings: Settings, agents: AgentRegistry, plans: PlanStore, *, user_agent: str) -> None:
        self.settings = settings
        self.agents = agents
        self.plans = plans
        self.trunks = Trunks(settings.trunks, installation_key(os.environ), SystemResolver(named_servers(settings)))
        self.sip = SipEndpoint(
            endpoint_config(settings, self.trunks.accounts(), user_agent),
            self.trunks.recognition(),
            lambda: MediaPlane(tuning(settings), clock_threads=settings.media.clock_threads),
            self._on_sip_event,
        )
        self.calls: dict[CallRef, LiveCall] = {}
        self.garbage = GarbagePolicy()
        self.draining = False
        self.started = False
        self.started_at = time.time()
        self.calls_total = 0
        self.calls_refused = 0
        self._tasks: asyncio.TaskGroup | None = None
        self._background: list[asyncio.Task[None]] = []
        self._drain: asyncio.Timeout | None = None
        self._empty = asyncio.Event()
        self._empty.set()

    async def start(self, tasks: asyncio.TaskGroup) -> None:
        """Return when calls can come. `tasks` becomes the parent of every call's task.

        Raises:
            SipStartError: an address or port cannot be had.
        """
        self._tasks = tasks
        await self.sip.start()
        self.sip.plane.start()
        self._background += self.trunks.start(self.sip.register, self.sip.recognise_with, tasks)
        self.started = True

    @property
    def state(self) -> Literal["starting", "ready", "draining"]:
        """What it does with a call that comes now: it cannot come yet, is taken, is refused."""
        if self.draining:
            return "draining"
        return "ready" if self.started else "starting"

    async def stop(self) -> None:
        """Take no more calls, let the live ones end, for a while; then unregister and free everything."""
        self.draining = True
        _log.info("gateway.draining", calls=len(self.calls), timeout_s=self.settings.limits.drain_timeout_s)
        try:
            async with asyncio.timeout(self.settings.limits.drain_timeout_s) as self._drain:
                await self._empty.wait()
        except TimeoutError:
            for call in list(self.calls.values()):
                call.shut_down()
            await self._empty.wait()
        await self.trunks.unregister()
        for task in self._background:
            task.cancel()
        self.sip.plane.stop()
        await self.sip.stop()

    def hurry(self) -> None:
        """While `stop` waits for calls to end: wait no longer."""
        if self._drain is not None and not self._drain.expired() and not self._empty.is_set():
            self._drain.reschedule(asyncio.get_running_loop().time())

    def _on_sip_event(self, event: SipEvent) -> None:
        match event:
            case Incoming():
                self._on_incoming(event)
            case Refused():
                self._note_refused(f"{event.code} {event.reason}", event.sip_call_id, event.source)
            case TurnedAway():
                self._note_turned_away(event)
            case RegistrationAnswered() | ConnectionLost() | ChallengeIgnored():
                self.trunks.on_event(event)
            case _:
                self._on_call_event(event)

    def _on_call_event(self, event: CallEvent) -> None:
        call = self.calls.get(event.ref)
        if call is None:
            if isinstance(event, Disconnected):
                self._forget_refused(event)
            return
        match event:
            case MediaStarted():
                call.on_media_started(event)
            case MediaFailed():
                call.on_media_failed(event.why)
            case HoldChanged():
                call.on_hold_changed(held=event.held)
            case Confirmed():
                call.on_confirmed()
            case Disconnected():
                call.on_disconnected(event)
            case _:
                assert_never(event)

    # ---- admission -----------------------------------------------------------------------------------------

    def _on_incoming(self, event: Incoming) -> None:
        try:
            self._admit(event)
        except Exception as error:  # noqa: BLE001 - the edge of a call: its caller waits for an answer, whatever it is
            received = event.invite
            record = CallRecord(received.sip_call_id, received.source, event.trunk, "", "", code=_INTERNAL_ERROR)
            self._lose(event, record, error)

    def _admit(self, event: Incoming) -> None:
        why = self._why_not(event)
        if why is not None or self._tasks is None:
            self._refuse(event, why or "draining")
            return
        received = event.invite
        if event.trunk is None:
            self.trunks.on_stranger(received.request_uri, received.source)
        facts = self.trunks.settings(event.trunk) if event.trunk is not None else None
        called = invite(
            received.request_uri,
            received.headers,
            trunk=event.trunk,
            account=facts.user if facts is not None else None,
            called_number=facts.called_number if facts is not None else "auto",
            trust_identity=facts.trust_identity if facts is not None else False,
        )
        call = LiveCall(event, called, self.sip, self.agents, self.settings)
        self.calls[event.ref] = call
        self.calls_total += 1
        self._empty.clear()
        self._tasks.create_task(self._serve(call), name=f"call:{event.ref}")

    def _why_not(self, event: Incoming) -> str | None:
        if self.draining:
            return "draining"
        if len(self.calls) >= self.settings.limits.calls:
            return "full"
        # A few INVITEs a second that nobody acknowledges hold as many places as there are.
        strangers = sum(call.invite.trunk is None for call in self.calls.values()) if event.trunk is None else 0
        return "strangers" if event.trunk is None and strangers >= self.settings.strangers else None

    def _refuse(self, event: Incoming, why: str) -> None:
        retry_after_s = round(self.settings.limits.retry_after_s)
        self.sip.end(event.ref, _SERVICE_UNAVAILABLE, None, {"Retry-After": str(retry_after_s)})
        event.leg.close()
        self._note_refused(why, event.invite.sip_call_id, event.invite.source)

    def _note_refused(self, why: str, sip_call_id: str, source: str) -> None:
        self.calls_refused += 1
        _log.warning("call.refused", call_id=sip_call_id, why=why, source=source)

    def _note_turned_away(self, event: TurnedAway) -> None:
        for sip_call_id, source in event.first:
            self._note_refused("full", sip_call_id, source)
        more = event.count - len(event.first)
        if more:
            self.calls_refused += more
            _log.warning("calls.refused", why="full", count=more)

    def _forget_refused(self, event: Disconnected) -> None:
        _log.debug("call.refused_ended", ref=event.ref, code=event.code)

    async def _serve(self, call: LiveCall) -> None:
        try:
            record = await call.live(self.plans.plan)
            _log.info("call.ended", **record.as_keys(), always=record.is_real)
        except Exception as error:  # noqa: BLE001 - the edge of a call: the task group would cancel every other one
            self._lose(call, call.record, error)
        finally:
            self._forget(call.ref)

    def _lose(self, lost: Incoming | LiveCall, record: CallRecord, error: Exception) -> None:
        """End a call by a fault of our own, with an answer and a record."""
        _log.error("call.lost", call_id=record.call_id, exc_info=error)
        self.sip.end(lost.ref, _INTERNAL_ERROR)
        lost.leg.close()
        record.cause = record.cause or "internal-error"
        record.detail = record.detail or repr(error)
        record.ended_by = record.ended_by or Side.GATEWAY.value
        _log.info("call.ended", **record.as_keys(), always=record.is_real)
        self._forget(lost.ref)

    def _forget(self, ref: CallRef) -> None:
        if self.calls.pop(ref, None) is not None:
            self.garbage.on_call_ended(len(self.calls))
        if not self.calls:
            self._empty.set()
