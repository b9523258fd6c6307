"""One call, from its INVITE to its record: what the dialplan's steps do to it, and what ends it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from gateway.agents import CallInfo, let_talk
from gateway.calls.record import CallRecord
from gateway.dialplan import AgentEnded, CallControl, Cause, find_route, run_route
from gateway.sip.events import Disconnected, Side
from gateway.sip.nat import is_private
from media.conversation.conversation import Conversation, play_once
from media.wav import decoded

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gateway.agents import AgentRegistry, AgentSpec
    from gateway.dialplan import Invite, Plan
    from gateway.settings import Settings
    from gateway.sip.endpoint import SipEndpoint
    from gateway.sip.events import Incoming, MediaStarted

_log = structlog.get_logger("calls")

_OVER_S = 5.0
"""PJSIP tells of the end of a call at once when we end it; this is for the day it does not."""
_NOT_FOUND, _NOT_ACCEPTABLE = 404, 488
_RINGING, _PROGRESS, _OK = 180, 183, 200


class LiveCall(CallControl):
    """A call that is up. One task runs its route; when either side ends the call, that task is cancelled."""

    def __init__(
        self, incoming: Incoming, invite: Invite, sip: SipEndpoint, agents: AgentRegistry, settings: Settings
    ) -> None:
        self.ref = incoming.ref
        self.leg = incoming.leg
        self.invite = invite
        self.conversation: Conversation | None = None
        self._sip = sip
        self._agents = agents
        self._limits = settings.limits
        self._no_media_s = settings.media.no_media_timeout_s
        self._first_packet_wait_s = settings.media.first_packet_wait_s
        self._has_offer = incoming.invite.has_offer
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._answered = False
        self._held = False
        self._media = asyncio.Event()
        self._may_be_natted = False
        self._heard = False
        self._confirmed = asyncio.Event()
        self._over: asyncio.Future[Disconnected] = self._loop.create_future()
        self._ended: float | None = None
        self._no_agent = asyncio.Event()
        self._no_agent.set()
        self._timers: list[asyncio.TimerHandle] = []
        self._watching: asyncio.TimerHandle | None = None
        self._end_due: asyncio.TimerHandle | None = None
        self.record = CallRecord(
            incoming.invite.sip_call_id, incoming.invite.source, invite.trunk, invite.to, invite.from_
        )
        self._log = _log.bind(call_id=incoming.invite.sip_call_id)
        self.leg.on_heard = self._on_heard
        self.leg.on_silent = self._on_silent
        self.leg.on_failure = self._on_leg_failure

    # ---- the whole life ------------------------------------------------------------------------------------

    async def live(self, plan: Plan) -> CallRecord:
        """Run the call's route until the call is over; returns its record, complete."""
        facts = {"to": self.invite.to, "from": self.invite.from_, "trunk": self.invite.trunk}
        self._log.info("call.incoming", **facts, always=self.invite.trunk is not None)
        self._timers = [
            self._loop.call_later(self._limits.setup_timeout_s, self._on_setup_timeout),
            self._loop.call_later(self._limits.max_duration_s, self._finish, "max-duration", Cause.NORMAL),
        ]
        steps = self._loop.create_task(self._run_route(plan), name=f"route:{self.ref}")
        try:
            either: set[asyncio.Future[None] | asyncio.Future[Disconnected]] = {steps, self._over}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not steps.done():
                await self._no_agent.wait()  # it has been told that the call is over, and ends in its own way
        finally:
            steps.cancel()
            await asyncio.wait({steps})
            for timer in (*self._timers, self._watching):
                if timer is not None:
                    timer.cancel()
        if not self._over.done() and self._end_due is None:
            self._end(Cause.ERROR)
        self._complete(await self._over)
        self.leg.close()
        return self.record

    async def _run_route(self, plan: Plan) -> None:
        try:
            route = find_route(plan, self.invite)
            if route is None:
                self._because("no-route")
                await self.reject(_NOT_FOUND, None, None)
                return
            self.record.route = route.name
            ending = await run_route(plan, route, self)
            self._because(ending.why.value)
            self.record.route = ending.routes[-1] if ending.routes else route.name
            self.record.detail = self.record.detail or ending.detail
        except Exception as error:  # noqa: BLE001 - the edge of a call: our own fault must end this one alone
            self._log.exception("call.failed")
            self._because("internal-error", detail=repr(error))
            self._end(Cause.ERROR)

    def _complete(self, disconnected: Disconnected) -> None:
        record = self.record
        record.duration_s = round((self._ended or self._loop.time()) - self._began, 3)
        record.add_media(self.leg.counters())
        record.ended_by = disconnected.by.value
        record.code = disconnected.code

    def _because(self, cause: str, *, detail: str = "") -> None:
        """The first cause given is the one: what follows it is its consequence."""
        if not self.record.cause:
            self.record.cause = cause
            self.record.detail = detail

    # ---- what the SIP thread told --------------------------------------------------------------------------

    def on_media_started(self, event: MediaStarted) -> None:
        """Sound can flow."""
        self.record.codec = event.codec
        self._may_be_natted = is_private(event.remote_address.rpartition(":")[0])
        self._media.set()

    def on_media_failed(self, why: str) -> None:
        """What was negotiated cannot be driven."""
        self._because("media-failed", detail=why)
        self._ask_end(_NOT_ACCEPTABLE)

    def on_hold_changed(self, *, held: bool) -> None:
        """Silence is no fault while the peer holds the call."""
        self._held = held
        self._watch()

    def on_confirmed(self) -> None:
        """The caller hears us from now on."""
        self._confirmed.set()
        if self._has_offer or self._media.is_set() or self._held:
            self._watch()
        else:
            self._end_silent("the ACK brought no answer to our offer that has audio")

    def on_disconnected(self, event: Disconnected) -> None:
        """The call is over."""
        self._ended = self._loop.time()
        for timer in (self._watching, self._end_due):
            if timer is not None:
                timer.cancel()
        if self._held and event.by is Side.NETWORK:
            self._because("peer-gone", detail=event.reason)
        self._because("caller-hung-up" if event.by is Side.CALLER else event.reason)
        if not self._over.done():
            self._over.set_result(event)
        if self.conversation is not None:
            self.conversation.caller_hung_up()

    def _on_heard(self) -> None:
        if not self._heard:
            self._heard = True
            self.leg.resume()

    def _on_silent(self, silent_ms: int) -> None:
        if self._confirmed.is_set() and not self._held:  # many callers send nothing before the answer
            self._end_silent(f"no RTP for {silent_ms} ms")

    def _end_silent(self, detail: str) -> None:
        self._because("no-media", detail=detail)
        self._end(Cause.ERROR)

    def _watch(self) -> None:
        """See that something is heard: the engine tells of each silence once, and of none where there is no stream.

        From the ACK on; the time begins anew with a hold, and when it is over.
        """
        if self._watching is not None:
            self._watching.cancel()
        if self._no_media_s > 0 and self._confirmed.is_set() and not self._over.done():
            packets = self.leg.counters().packets_received
            self._watching = self._loop.call_later(self._no_media_s, self._on_watched, packets)

    def _on_watched(self, packets_before: int) -> None:
        if self.leg.counters().packets_received == packets_before:
            if not self._held:
                self._end_silent(f"no RTP for {self._no_media_s:g} s")
                return
            self._sip.probe(self.ref)
        self._watch()

    def _on_leg_failure(self, error: Exception) -> None:
        self._because("internal-error", detail=repr(error))
        self._end(Cause.ERROR)

    def _on_setup_timeout(self) -> None:
        if not self._answered:
            self._finish("setup-timeout", Cause.UNAVAILABLE)

    # ---- ways to end it ------------------------------------------------------------------------------------

    def _finish(self, why: str, cause: Cause) -> None:
        self._because(why)
        self._end(cause)

    def shut_down(self) -> None:
        """The gateway stops, and has waited long enough."""
        self._finish("shutdown", Cause.NORMAL)

    def _end(self, cause: Cause) -> None:
        if self._answered:
            self._ask_end(_OK, None, {"Reason": f'Q.850;cause={cause.q850};text="{cause.value}"'})
        else:
            self._ask_end(cause.sip_code)

    def _ask_end(self, code: int, reason: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        self._sip.end(self.ref, code, reason, headers)
        if self._end_due is None and not self._over.done():
            self._end_due = self._loop.call_later(_OVER_S, self._on_end_unconfirmed)

    def _on_end_unconfirmed(self) -> None:
        self._log.error("call.end_unconfirmed")
        self._sip.forget(self.ref)
        self.on_disconnected(Disconnected(self.ref, Side.GATEWAY, 0, "end-unconfirmed"))

    # ---- CallControl: what the dialplan's steps do ---------------------------------------------------------

    @property
    def answered(self) -> bool:
        return self._answered

    async def ring(self, *, early: bool) -> bool:
        early = early and self._has_offer
        self._sip.respond(self.ref, _PROGRESS if early else _RINGING)
        if early:
            await self._media.wait()
        return early

    async def answer(self) -> None:
        if not self._answered:
            self._answered = True
            self.record.answered_s = round(self._loop.time() - self._began, 3)
            self._sip.respond(self.ref, _OK)
        # Not before the ACK: until then the caller may not have opened its ears, and first words would be lost.
        await self._confirmed.wait()
        await self._media.wait()
        if self._may_be_natted and not self._heard:
            self.leg.pause()  # nobody speaks, but whoever listens hears all from the beginning
            self._timers.append(self._loop.call_later(self._first_packet_wait_s, self._on_heard))

    async def play(self, file: Path, *, repeat: int) -> None:
        await self._media.wait()
        pcm = await decoded(file, self.leg.rate_hz)
        for _ in range(repeat):
            await play_once(self.leg, pcm)

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def run_agent(self, name: str, *, max_duration_s: float | None) -> AgentEnded:
        spec = self._agents[name]
        with spec.admit():
            await self.answer()
            self.record.agents = (*self.record.agents, name)
            return await self._talk(spec, max_duration_s)

    async def _talk(self, spec: AgentSpec, max_duration_s: float | None) -> AgentEnded:
        await self._stop_if_over()
        hung_up = False

        def hang_up() -> None:
            nonlocal hung_up
            hung_up = True
            conversation.caller_hung_up()

        conversation = Conversation(self.leg, self._info(), spec.settings.effective_barge_in, hang_up=hang_up)
        self.conversation = conversation
        self._no_agent.clear()
        try:
            async with asyncio.timeout(max_duration_s):
                await let_talk(spec, conversation)
        except TimeoutError:
            return AgentEnded.TIME_UP
        finally:
            self.conversation = None
            self._add_conversation(conversation)
            conversation.close()
            self._no_agent.set()
        await self._stop_if_over()
        return AgentEnded.HUNG_UP if hung_up else AgentEnded.RETURNED

    async def _stop_if_over(self) -> None:
        """Take no further step on a call that is over: the cancellation is on its way."""
        if self._over.done():
            await self._loop.create_future()

    def _info(self) -> CallInfo:
        return CallInfo(
            call_id=self.record.call_id,
            to=self.invite.to,
            from_=self.invite.from_,
            trunk=self.invite.trunk or "",
            headers=self.invite.headers,
            codec=self.record.codec or "",
        )

    def _add_conversation(self, conversation: Conversation) -> None:
        counters, record = conversation.counters, self.record
        record.barge_ins += counters.barge_ins_confirmed
        record.barge_ins_rejected += counters.barge_ins_rejected
        record.turns += counters.turns
        record.unheard_ms += counters.unheard_ms
        record.stale_ms += conversation.refused_ms
        record.agent_frames_dropped += conversation.lanes.frames_dropped
        record.agent_events_dropped += conversation.lanes.events_dropped

    async def reject(self, code: int, reason: str | None, retry_after_s: float | None) -> None:
        headers = {} if retry_after_s is None else {"Retry-After": str(round(retry_after_s))}
        self._ask_end(code, reason, headers)

    async def hang_up(self, cause: Cause) -> None:
        self._end(cause)
