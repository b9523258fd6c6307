"""The SIP thread, which is the only owner of pjsua2.

The asyncio thread calls `start`, `stop`, and commands, which return at once. Everything else in this module runs on the
SIP thread. Commands are queued and wake the SIP thread; events go to asyncio with `call_soon_threadsafe`.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
import weakref
from collections import deque
from typing import TYPE_CHECKING

import pjsua2 as pj
import structlog

from gateway.sip.account import Account, Recogniser, local_config, trunk_config
from gateway.sip.call import SipCall, call_id_of, incoming, refused
from gateway.sip.challenge import Challenge
from gateway.sip.config import Rtp, TrunkAccount, pjsip_config
from gateway.sip.errors import SipStartError
from gateway.sip.events import CommandFailed, Refused, RegistrationAnswered, TurnedAway
from gateway.sip.headers import host_of, parse_headers, request_uri
from gateway.sip.nat import goes_to_source
from gateway.sip.new_contacts import NewContacts
from gateway.sip.pjlog import PjLog
from gateway.sip.start import bind, check_capacity, check_rtp_address, set_codecs
from media import _engine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gateway.sip.config import EndpointConfig
    from gateway.sip.events import CallRef, Incoming, SipEvent
    from media.plane import EngineLeg, MediaPlane

_log = structlog.get_logger("sip")

_TURNED_AWAY_S = 1.0
"""The shortest time between reports of calls that found no place, in seconds: a flood makes few log lines."""
_POLL_MS = 1000
"""The longest time that the thread waits in PJSIP, in ms; commands and packets wake it earlier."""
_INTERNAL_ERROR, _UNAVAILABLE = 500, 503
_CONNECTIONS, _CONNECTIONS_PER_SOURCE = 768, 64
"""Limits of accepted TCP connections, in total and per source. PJSIP has places for more (PJSIP_MAX_TRANSPORTS), so
that the trunks' own connections always find one."""


class _Endpoint(pj.Endpoint):  # type: ignore[misc]  # pjsua2 has no type stubs
    """PJSIP's library, with the callbacks that do not belong to a call or an account."""

    def __init__(self, owner: SipEndpoint) -> None:
        super().__init__()
        self._owner = owner

    def onTransportState(self, prm: pj.OnTransportStateParam) -> None:
        """PJSIP: a TCP connection was opened or closed."""
        try:
            if prm.state == pj.PJSIP_TP_STATE_DISCONNECTED:
                self._owner.on_disconnected(int(prm.hnd))
        except Exception as error:  # noqa: BLE001 - the edge of the SIP thread: C++ would end the process
            self._owner.report("onTransportState", error)

    def onSelectAccount(self, prm: pj.OnSelectAccountParam) -> None:
        """PJSIP: select an INVITE's account. By default Request-URI and To select it, which the caller writes."""
        prm.accountIndex = self._owner.select_account(prm.rdata)

    def onRejectedIncomingCall(self, prm: pj.OnRejectedIncomingCallParam) -> None:
        """PJSIP: PJSIP itself has refused a call, as a rule before there was a call object."""
        try:
            self._owner.on_refused(refused(prm))
        except Exception as error:  # noqa: BLE001 - as above
            self._owner.report("onRejectedIncomingCall", error)


class SipEndpoint:
    """PJSIP, on its own thread. A process can have only one."""

    def __init__(
        self,
        config: EndpointConfig,
        recogniser: Recogniser,
        make_plane: Callable[[], MediaPlane],
        on_event: Callable[[SipEvent], None],
    ) -> None:
        """`make_plane` is called on the SIP thread once pjlib runs; `on_event` on the asyncio thread."""
        self._config = config
        self._recogniser = recogniser
        self._make_plane = make_plane
        self._on_event = on_event
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="sip", daemon=True)
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._stopped: asyncio.Future[None] = self._loop.create_future()
        self._commands: deque[Callable[[], None]] = deque()
        self._stopping = False
        self._last_turn_s = time.monotonic()
        self._turned_away_reported_s = 0.0
        self._wakeup: _engine.Wakeup | None = None
        self._plane: MediaPlane | None = None
        self._endpoint: pj.Endpoint = None  # until the thread has begun
        self._accounts: dict[str | None, Account] = {}
        self._calls: dict[CallRef, SipCall] = {}
        self._buried: list[SipCall] = []
        self._objects: weakref.WeakSet[SipCall] = weakref.WeakSet()
        self._new_contacts = NewContacts(self.report)
        self._refs = itertools.count(1)
        self._pjlog = PjLog(self._loop)

    # ---- asyncio thread ------------------------------------------------------------------------------------

    @property
    def plane(self) -> MediaPlane:
        """The media plane. After `start`."""
        if self._plane is None:
            msg = "the SIP endpoint has not started"
            raise RuntimeError(msg)
        return self._plane

    @property
    def call_objects(self) -> int:
        """How many of PJSIP's call objects exist: of live calls, and for a moment of those that have just ended."""
        return len(self._objects)

    @property
    def malformed_messages(self) -> int:
        """How many messages were not SIP, or too malformed to be processed."""
        return _engine.malformed_messages()

    @property
    def excessive_requests(self) -> int:
        """How many requests in strangers' calls were refused, since they came too often."""
        return _engine.excessive_requests()

    @property
    def silent_s(self) -> float:
        """Seconds since the SIP thread's loop last began a turn: at most about one, unless something blocks it."""
        return time.monotonic() - self._last_turn_s

    async def start(self) -> None:
        """Return when all transports are bound and calls can arrive.

        Raises:
            SipStartError: the endpoint cannot start; nothing is left running.
        """
        self._thread.start()
        self._pjlog.start()
        try:
            await self._ready
        except SipStartError:
            await self._stopped
            self._pjlog.stop()
            raise

    async def stop(self) -> None:
        """Hang up live calls, free everything and end the thread. First unregister the trunks, with `register`."""
        self._submit(self._end_loop)
        await self._stopped
        self._thread.join()
        self._pjlog.stop()

    def recognise_with(self, recogniser: Recogniser) -> None:
        """Use this recogniser for the next INVITEs. It is called on the SIP thread and must be immutable."""
        self._recogniser = recogniser
        self._submit(lambda: _engine.trust_hosts(recogniser.networks()))

    def respond(self, ref: CallRef, code: int) -> None:
        """Send 180, 183 or 200."""
        self._on_call(ref, lambda call: call.respond(code))

    def end(self, ref: CallRef, code: int, reason: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        """Send BYE, or refuse with `code`; `Disconnected` follows. Nothing happens if the call is over."""
        self._on_call(ref, lambda call: call.end(code, reason, headers or {}))

    def probe(self, ref: CallRef) -> None:
        """Ask the peer of an answered call whether it is still there; if it is not, `Disconnected` follows."""
        self._on_call(ref, lambda call: call.probe())

    def forget(self, ref: CallRef) -> None:
        """Free a call whose `Disconnected` never came; no event follows."""
        self._on_call(ref, lambda call: call.let_go())

    def register(self, trunk: str, *, wanted: bool) -> None:
        """Send a REGISTER; if not `wanted`, one that removes the registration. `RegistrationAnswered` follows.

        No event follows if PJSIP refuses to remove a registration, since there is none.
        """
        self._submit(lambda: self._set_registration(trunk, wanted=wanted))

    def _on_call(self, ref: CallRef, command: Callable[[SipCall], None]) -> None:
        def run() -> None:
            call = self._calls.get(ref)
            if call is not None:
                self._attempt(call, command)

        self._submit(run)

    def _submit(self, command: Callable[[], None]) -> None:
        self._commands.append(command)
        if self._wakeup is not None:
            self._wakeup.wake()

    # ---- SIP thread ----------------------------------------------------------------------------------------

    def tell(self, event: SipEvent) -> None:
        """Hand an event to asyncio."""
        self._loop.call_soon_threadsafe(self._on_event, event)

    def report(self, where: str, error: Exception, sip_call_id: str = "") -> None:
        """Log the failure of a callback or command; other calls continue."""
        text = _pj_text(error)
        self._loop.call_soon_threadsafe(
            lambda: _log.error("sip.failed", where=where, call_id=sip_call_id, error=text, exc_info=error)
        )

    def _attempt(self, call: SipCall, command: Callable[[SipCall], None]) -> None:
        try:
            command(call)
        except Exception as error:  # noqa: BLE001 - after any error, the call must not wait for ever
            self.report("command", error, call.sip_call_id)
            self.tell(CommandFailed(call.ref, _pj_text(error)))

    def bury(self, call: SipCall) -> None:
        """Delete a disconnected call once the current callback has returned into C++."""
        self._calls.pop(call.ref, None)
        self._new_contacts.forget(call)
        self._buried.append(call)
        _engine.close_door(len(self._calls) >= self._config.calls)

    def select_account(self, rx: pj.SipRxData) -> int:
        """PJSUA's id of the account that a new INVITE belongs to."""
        account = self._accounts[None]
        try:
            headers = parse_headers(rx.wholeMsg)
            to = headers.get("to", ("",))[0]
            trunk = self._recogniser.trunk_of(host_of(rx.srcAddress), request_uri(rx.wholeMsg), to)
            account = self._accounts.get(trunk, account)
        except Exception as error:  # noqa: BLE001 - the edge of the SIP thread: C++ would end the process
            self.report("onSelectAccount", error)
        return int(account.getId())

    def _may_answer(self, account: int, challenge: Challenge) -> bool:
        return any(
            own.may_answer(challenge, self._recogniser) for own in self._accounts.values() if own.getId() == account
        )

    def on_incoming(self, account: Account, prm: pj.OnIncomingCallParam) -> None:
        """Take a new INVITE: make an object for the call and a leg for its media, and tell the gateway."""
        ref = next(self._refs)
        leg: EngineLeg = self.plane.open()
        try:
            next_hop = _engine.next_hop(int(prm.rdata.pjRxData))
            behind_nat = goes_to_source(next_hop, host_of(prm.rdata.srcAddress), self._config.behind_nat)
            event = incoming(ref, leg, prm.rdata, account.trunk, behind_nat=behind_nat)
            leg.slot.expect_from(event.invite.source.rpartition(":")[0])
            if account.trunk is not None:
                leg.slot.trust()  # many carriers send no RTP before the answer, but expect ours
            call = SipCall(self, account, prm.callId, event)
        except Exception:
            leg.close()
            raise
        self._calls[ref] = call
        self._objects.add(call)
        _engine.close_door(len(self._calls) >= self._config.calls)
        self.tell(event)
        self._attempt(call, lambda _: self._route(prm.callId, prm.rdata, next_hop, event))

    def on_not_taken(self, rx: pj.SipRxData, error: Exception) -> None:
        """A new INVITE got no object: pjsua2 answers it with 500, and the gateway is told of it as a refused one."""
        self.report("onIncomingCall", error)
        try:
            sip_call_id = call_id_of(parse_headers(rx.wholeMsg))
        except Exception:  # noqa: BLE001 - reading the message may be what failed
            sip_call_id = ""
        self.tell(Refused(sip_call_id, str(rx.srcAddress), _INTERNAL_ERROR, _pj_text(error)))

    def _route(self, call_id: int, rx: pj.SipRxData, next_hop: str, event: Incoming) -> None:
        """Send requests of the call from the address that its INVITE came to; behind NAT, to its source."""
        _engine.note_call(call_id, is_trunks=event.trunk is not None)
        if event.trunk is not None:
            _engine.trust_name(next_hop)  # strangers' look-ups must not keep a BYE from a carrier
        _engine.route_dialog(call_id, int(rx.pjRxData), to_source=event.invite.behind_nat)

    def on_new_contact(self, account: Account) -> None:
        """Tell the peers of the account's calls where requests now reach us, a few in each turn of the thread."""
        self._new_contacts.add(call for call in self._calls.values() if call.account is account)

    def on_contact_refused(self, call: SipCall) -> None:
        """The peer of a call cannot take the new Contact just now."""
        self._new_contacts.on_refused(call)

    def on_refused(self, event: Refused) -> None:
        """PJSIP has refused an INVITE. Nothing is told of one that is a call already: its end says why."""
        known = {call.sip_call_id for call in (*self._calls.values(), *self._buried)}
        if event.sip_call_id not in known:
            self.tell(event)

    def on_disconnected(self, connection: int) -> None:
        """A TCP connection was closed, ours or a peer's."""
        for account in self._accounts.values():
            account.on_disconnected(connection)

    def _run(self) -> None:
        try:
            self._begin()
        except Exception as error:  # noqa: BLE001 - passed to the caller of start()
            failure = error if isinstance(error, SipStartError) else SipStartError(_pj_text(error))
            self._destroy()
            self._loop.call_soon_threadsafe(self._ready.set_exception, failure)
            self._loop.call_soon_threadsafe(self._stopped.set_result, None)
            return
        self._loop.call_soon_threadsafe(self._ready.set_result, None)
        while not self._stopping:
            self._last_turn_s = time.monotonic()
            self._endpoint.libHandleEvents(_POLL_MS)
            self._buried.clear()
            self._tell_turned_away()
            if self._new_contacts.turn(self._last_turn_s) and self._wakeup is not None:
                self._wakeup.wake()
            self._run_commands()
        self._destroy()
        self._loop.call_soon_threadsafe(self._stopped.set_result, None)

    def _tell_turned_away(self) -> None:
        if self._last_turn_s >= self._turned_away_reported_s + _TURNED_AWAY_S:
            for why, count, first in _engine.take_turned_away():
                self._turned_away_reported_s = self._last_turn_s
                callers = tuple((call_id.decode(errors="replace"), source) for call_id, source in first)
                self.tell(TurnedAway(why, count, callers))

    def _run_commands(self) -> None:
        while self._commands:
            command = self._commands.popleft()
            try:
                command()
            except Exception as error:  # noqa: BLE001 - one call's command must not stop the others
                self.report("command", error)

    def _end_loop(self) -> None:
        self._stopping = True

    def _begin(self) -> None:
        config = self._config
        _engine.capture_pjlog()
        endpoint = self._endpoint = _Endpoint(self)
        endpoint.libCreate()
        endpoint.libInit(pjsip_config(config))
        _engine.capture_pjlog()  # libInit has installed its own log writer
        _engine.refuse_other_requests()
        _engine.look_names_up(list(config.nameservers), list(config.trunk_hosts))
        _engine.install_door(config.retry_after_s, kept_for_trunks=config.places_kept)
        _engine.trust_hosts(self._recogniser.networks())
        _engine.judge_challenges(lambda account, *facts: self._may_answer(account, Challenge(*facts)))
        _engine.screen_requests()
        check_capacity(config)
        check_rtp_address(config)
        self._wakeup = _engine.Wakeup()
        for transport in config.transports:
            bind(endpoint, transport, config.public_address)
        _engine.limit_connections(all=_CONNECTIONS, per_source=_CONNECTIONS_PER_SOURCE)
        endpoint.audDevManager().setNullDev()  # its clock runs the bridge's queue, which frees ports
        set_codecs(endpoint, config.codecs)
        self._plane = self._make_plane()
        endpoint.libStart()
        self._add_accounts()

    def _add_accounts(self) -> None:
        config = self._config
        rtp = Rtp(config.rtp_address, config.public_address, config.rtp_first_port, config.rtp_last_port)
        first = config.transports[0]
        host = f"[{first.address}]" if ":" in first.address else first.address
        self._add_account(None, local_config(f"{host}:{first.port}", rtp), default=True)
        for trunk in config.trunks:
            self._add_account(trunk, trunk_config(trunk, rtp))

    def _add_account(self, trunk: TrunkAccount | None, config: pj.AccountConfig, *, default: bool = False) -> None:
        account = Account(self, trunk)
        account.create(config, default)
        self._accounts[account.trunk] = account

    def _set_registration(self, trunk: str, *, wanted: bool) -> None:
        account = self._accounts[trunk]
        answers_before = account.answers
        try:
            account.setRegistration(wanted)
        except pj.Error as error:
            if not wanted:
                return  # it was not registered
            if account.answers != answers_before:
                return  # it failed at once, and onRegState has reported it: one attempt counts as one failure
            self.tell(RegistrationAnswered(trunk, _UNAVAILABLE, error.reason, 0))

    def _destroy(self) -> None:
        """Hang up all calls and delete every object, in this order; otherwise the process crashes later."""
        if self._endpoint is None:
            return
        if self._calls:
            self._endpoint.hangupAllCalls()
        for account in self._accounts.values():
            account.shutdown()
        if self._wakeup is not None:
            self._wakeup.close()
        self._calls.clear()
        self._buried.clear()
        self._accounts.clear()
        self._endpoint.libDestroy()
        self._endpoint = None


def _pj_text(error: Exception) -> str:
    return f"{error.title}: {error.reason}" if isinstance(error, pj.Error) else repr(error)
