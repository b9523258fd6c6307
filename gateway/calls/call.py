"""One call, from its arrival to its record: what the dialplan's steps do to it, and what ends it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from gateway.agents import AgentBusyError, AgentFailedError, CallInfo, let_talk, prepare
from gateway.agents.outcome import merged
from gateway.calls.outcome import EndCause, Failure, cause_of
from gateway.calls.party import Over, PartyListener
from gateway.dialplan import AgentEnded, CallControl, Cause, Why, find_route, run_route
from media.conversation.conversation import Conversation, play_once
from media.conversation.history import History
from media.wav import WavError, decoded

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.agents import AgentRegistry, AgentRun, AgentSpec, Outcome
    from gateway.calls.party import Arrival
    from gateway.calls.record import CallRecord
    from gateway.dialplan import Plan
    from gateway.settings.model import Limits

_log = structlog.get_logger("calls")

_NOT_FOUND = 404
_MAX_FAILURES = 10
"""In a record: a dialplan that goes to the same busy agent again and again has one more with each try."""


class Call(CallControl, PartyListener):
    """A party, its way through the dialplan, and its record.

    One task runs the route; when either side ends the call, that task is cancelled.
    """

    def __init__(self, arrival: Arrival, agents: AgentRegistry, limits: Limits) -> None:
        self.party = arrival.party
        self.invite = arrival.invite
        self.conversation: Conversation | None = None
        self._agents = agents
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._answered = False
        self._rings = False
        self._has_talked = False
        """Whether an agent has had the call."""
        self._history = History()
        self._over: asyncio.Future[Over] = self._loop.create_future()
        self._asked_to_go = False
        """Whether the party was hung up or refused."""
        self._over_at: float | None = None
        self._held_one_way: bool | None = None
        """None while the party hears us; otherwise as `PartyListener.on_held` told."""
        self._no_agent = asyncio.Event()
        self._no_agent.set()
        self.record = arrival.record()
        self._log = _log.bind(call_id=arrival.call_id, id=self.record.id)
        self.party.listener = self

    # ---- the whole life ------------------------------------------------------------------------------------

    async def live(self, plan: Plan) -> CallRecord:
        """Run the call's route until the call is over; returns its record, complete."""
        facts = {"to": self.invite.to, "from": self.invite.from_, "trunk": self.invite.trunk}
        self._log.info("call.incoming", **facts, always=self.invite.trunk is not None)
        timers = [
            self._loop.call_later(self._limits.setup_timeout_s, self._on_setup_timeout),
            self._loop.call_later(self._limits.max_duration_s, self._end, EndCause.MAX_DURATION, Cause.NORMAL),
        ]
        steps = self._loop.create_task(self._run_route(plan), name=f"route:{self.record.id}")
        try:
            either: set[asyncio.Future[None] | asyncio.Future[Over]] = {steps, self._over}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not steps.done():
                await self._no_agent.wait()  # it has been told that the call is over, and ends in its own way
        except asyncio.CancelledError:
            self._end(EndCause.SHUTDOWN, Cause.NORMAL)
            raise
        finally:
            steps.cancel()
            await asyncio.wait({steps})
            for timer in timers:
                timer.cancel()
        if not self._over.done() and not self._asked_to_go:
            self._let_go(Cause.ERROR)
        self._complete(await self._over)
        self.party.close()
        return self.record

    async def _run_route(self, plan: Plan) -> None:
        try:
            route = find_route(plan, self.invite)
            if route is None:
                self._because(EndCause.NO_ROUTE)
                await self.reject(_NOT_FOUND, None, None)
                return
            self.record.route = route.name
            ending = await run_route(plan, route, self)
            self._because(cause_of(ending.why), ending.detail)
            self.record.route = ending.routes[-1] if ending.routes else route.name
        except Exception as error:  # noqa: BLE001 - the edge of a call: our own fault must end this one alone
            self._log.exception("call.failed")
            self._end(EndCause.INTERNAL_ERROR, Cause.ERROR, repr(error))

    def _complete(self, over: Over) -> None:
        self.measure()
        self.record.party.code = over.code
        self.record.party.reason = over.reason

    def measure(self) -> None:
        """Put into the record how long the call has lived, and what its leg has counted."""
        ended = self._loop.time() if self._over_at is None else self._over_at
        self.record.duration_s = round(ended - self._began, 3)
        self.record.party.add_media(self.party.leg.counters())

    def _because(self, cause: EndCause, detail: str = "") -> None:
        """The first cause given is the one: what follows it is its consequence."""
        if self.record.cause is None:
            self.record.cause = cause
            self.record.detail = detail

    # ---- PartyListener: what the party told ----------------------------------------------------------------

    def on_media(self, codec: str) -> None:
        self.record.party.codec = codec

    def on_answered(self) -> None:
        if self.record.party.answered_s is None:
            self.record.party.answered_s = round(self._loop.time() - self._began, 3)

    def on_held(self, *, one_way: bool) -> None:
        self._held_one_way = one_way
        if self.conversation is not None:
            self.conversation.on_held(one_way=one_way)

    def on_resumed(self) -> None:
        self._held_one_way = None
        if self.conversation is not None:
            self.conversation.on_resumed()

    def on_over(self, over: Over) -> None:
        self._over_at = self._loop.time()
        self._because(over.cause or EndCause.INTERNAL_ERROR, over.detail)
        if not self._over.done():
            self._over.set_result(over)
        if self.conversation is not None:
            self.conversation.on_call_over()

    # ---- ways to end it ------------------------------------------------------------------------------------

    def _on_setup_timeout(self) -> None:
        if not self._answered:
            self._end(EndCause.SETUP_TIMEOUT, Cause.UNAVAILABLE)

    def shut_down(self) -> None:
        """The gateway stops, and has waited long enough."""
        self._end(EndCause.SHUTDOWN, Cause.NORMAL)

    def _end(self, why: EndCause, cause: Cause, detail: str = "") -> None:
        self._because(why, detail)
        self._let_go(cause)

    def _let_go(self, cause: Cause) -> None:
        if self._asked_to_go:
            return
        self._asked_to_go = True
        if self._answered:
            self.party.hang_up(cause)
        else:
            self.party.refuse(cause.sip_code)

    # ---- CallControl: what the dialplan's steps do ---------------------------------------------------------

    @property
    def answered(self) -> bool:
        return self._answered

    async def ring(self, *, early: bool) -> bool:
        await self._stop_if_ending()
        self._rings = True
        if early:
            return await self.party.early_media()
        self.party.ring()
        return False

    async def answer(self) -> None:
        await self._stop_if_ending()
        self._answered = True
        await self.party.answer()

    async def play(self, file: Path, *, repeat: int) -> None:
        pcm = await decoded(file, self.party.leg.rate_hz)
        for _ in range(repeat):
            await self._stop_if_ending()
            await play_once(self.party.leg, pcm)

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._stop_if_ending()

    async def run_agent(self, name: str, *, max_duration_s: float | None) -> Outcome | AgentEnded:
        until_s = None if max_duration_s is None else self._loop.time() + max_duration_s
        *earlier, last = self._agents.chain(name)
        apology: Path | None = None
        for spec in earlier:
            try:
                return await self._let_have_it(spec, until_s, apology)
            except (AgentBusyError, AgentFailedError) as error:
                busy = isinstance(error, AgentBusyError)
                self.note_failure(Why.AGENT_BUSY if busy else Why.AGENT_FAILED, str(error))
                self._log.warning("call.to_backup", agent=spec.name, why=str(error))
                backup = self._agents[name].settings.backup
                apology = backup.apology if backup is not None and self._has_talked else None
        return await self._let_have_it(last, until_s, apology)

    async def _let_have_it(self, spec: AgentSpec, until_s: float | None, apology: Path | None) -> Outcome | AgentEnded:
        """Let one agent have the call, after an apology for the one before.

        Raises:
            AgentBusyError, AgentFailedError: as `run_agent`.
        """
        await self._stop_if_ending()
        with spec.admit(), spec.attempt():
            if spec.prepare_timeout_s is not None and not self._answered and not self._rings:
                await self.ring(early=False)
            run = await self._prepared(spec, apology)
            try:
                await self.answer()
                await self._stop_if_ending()
                self.record.agents = (*self.record.agents, spec.name)
                self._has_talked = True
                return await self._talk(spec, run, None if until_s is None else until_s - self._loop.time())
            finally:
                run.discard()

    async def _prepared(self, spec: AgentSpec, apology: Path | None) -> AgentRun:
        """The agent, ready; the caller hears the apology meanwhile, to its end."""
        if apology is None:
            return await prepare(spec, self.record.call_id)
        sounding = self._loop.create_task(self._apologise(apology), name=f"apology:{self.record.id}")
        run: AgentRun | None = None
        try:
            run = await prepare(spec, self.record.call_id)
            await sounding
        except BaseException:
            sounding.cancel()
            await asyncio.wait({sounding})
            if run is not None:
                run.discard()
            raise
        return run

    async def _apologise(self, file: Path) -> None:
        try:
            await self.play(file, repeat=1)
        except WavError as error:  # it was fine when the configuration was read
            self._log.warning("call.apology_failed", why=str(error))

    async def _talk(self, spec: AgentSpec, run: AgentRun, max_duration_s: float | None) -> Outcome | AgentEnded:
        hung_up = False

        def hang_up() -> None:
            nonlocal hung_up
            hung_up = True
            conversation.on_call_over()

        backup = spec.settings.backup
        conversation = Conversation(
            self.party.leg,
            self._info(),
            spec.settings.effective_barge_in,
            hang_up=hang_up,
            dead_air_s=0.0 if backup is None else backup.dead_air_s,
        )
        self.conversation = conversation
        if self._held_one_way is not None:
            conversation.on_held(one_way=self._held_one_way)
        self._no_agent.clear()
        try:
            async with asyncio.timeout(max_duration_s):
                outcome: Outcome | None = await let_talk(spec, conversation, run)
        except TimeoutError:
            outcome = None
        finally:
            self.conversation = None
            self._no_agent.set()  # first: the end of the call waits for it, whatever follows here
            self._add_conversation(conversation)
            conversation.close()
        if outcome is not None:
            self.record.results = merged(self.record.results, outcome.results)
        await self._stop_if_ending()
        if hung_up:
            return AgentEnded.HUNG_UP
        return AgentEnded.TIME_UP if outcome is None else outcome

    async def _stop_if_ending(self) -> None:
        """Take no further step on a call that is over, or whose party was asked to go: the cancellation follows."""
        if self._asked_to_go or self._over.done():
            await self._loop.create_future()

    def _info(self) -> CallInfo:
        return CallInfo(
            call_id=self.record.call_id,
            id=self.record.id,
            to=self.invite.to,
            from_=self.invite.from_,
            trunk=self.invite.trunk or "",
            route=self.record.route or "",
            headers=self.invite.headers,
            codec=self.record.party.codec or "",
            results=self.record.results,
            history=self._history,
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

    def note_failure(self, why: Why, detail: str) -> None:
        if len(self.record.failures) < _MAX_FAILURES:
            self.record.failures = (*self.record.failures, Failure(cause_of(why), detail))

    async def reject(self, code: int, reason: str | None, retry_after_s: float | None) -> None:
        if not self._asked_to_go:
            self._asked_to_go = True
            self.party.refuse(code, reason, retry_after_s)

    async def hang_up(self, cause: Cause) -> None:
        self._let_go(cause)
