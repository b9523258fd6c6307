"""SIP as a source of calls: the endpoint, the trunks and the media plane, put together."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import structlog

from gateway.calls.party import Arrival, CallSource, Reception
from gateway.dialplan import invite
from gateway.sip.endpoint import SipEndpoint
from gateway.sip.events import (
    CallEvent,
    ChallengeIgnored,
    ConnectionLost,
    Incoming,
    Refused,
    RegistrationAnswered,
    SipEvent,
    TurnedAway,
)
from gateway.sip.from_settings import endpoint_config, named_servers, tuning
from gateway.sip.party import SipParty, Waits
from gateway.sip.trunks.installation import installation_key
from gateway.sip.trunks.resolving import SystemResolver
from gateway.sip.trunks.trunks import Trunks
from media.plane import MediaPlane

if TYPE_CHECKING:
    import asyncio

    from gateway.settings import Settings
    from gateway.sip.events import CallRef

_log = structlog.get_logger("sip")


class SipService(CallSource):
    """The part of the gateway that uses SIP. For the asyncio thread only."""

    def __init__(self, settings: Settings, *, user_agent: str) -> None:
        self.trunks = Trunks(settings.trunks, installation_key(os.environ), SystemResolver(named_servers(settings)))
        self.endpoint = SipEndpoint(
            endpoint_config(settings, self.trunks.accounts(), user_agent),
            self.trunks.recognition(),
            lambda: MediaPlane(tuning(settings), clock_threads=settings.media.clock_threads),
            self._on_event,
        )
        self._waits = Waits(settings.media.no_media_timeout_s, settings.media.first_packet_wait_s)
        self._parties: dict[CallRef, SipParty] = {}
        self._reception: Reception | None = None
        self._background: list[asyncio.Task[None]] = []

    async def start(self, reception: Reception, tasks: asyncio.TaskGroup) -> None:
        """Return when calls can arrive.

        Raises:
            SipStartError: an address or port cannot be used.
        """
        self._reception = reception
        await self.endpoint.start()
        self.endpoint.plane.start()
        self._background += self.trunks.start(self.endpoint.register, self.endpoint.recognise_with, tasks)

    async def stop(self) -> None:
        """Unregister, and free everything. All parties must have ended."""
        await self.trunks.unregister()
        for task in self._background:
            task.cancel()
        self.endpoint.plane.stop()
        await self.endpoint.stop()

    def _on_event(self, event: SipEvent) -> None:
        reception = self._reception
        if reception is None:
            return  # before `start`: no event can come, since PJSIP does not run yet
        match event:
            case Incoming():
                self._on_incoming(event, reception)
            case Refused():
                reception.on_refused(f"{event.code} {event.reason}", call_id=event.sip_call_id, source=event.source)
            case TurnedAway():
                for call_id, source in event.first:
                    reception.on_refused(event.why, call_id=call_id, source=source)
                if event.count > len(event.first):
                    reception.on_turned_away(event.why, event.count - len(event.first))
            case RegistrationAnswered() | ConnectionLost() | ChallengeIgnored():
                self.trunks.on_event(event)
            case _:
                self._on_call_event(event)

    def _on_call_event(self, event: CallEvent) -> None:
        party = self._parties.get(event.ref)
        if party is not None:
            party.on_event(event)

    def _on_incoming(self, event: Incoming, reception: Reception) -> None:
        received = event.invite
        party = self._parties[event.ref] = SipParty(
            event.ref,
            event.leg,
            self.endpoint,
            self._waits,
            call_id=received.sip_call_id,
            has_offer=received.has_offer,
            behind_nat=received.behind_nat,
            on_gone=self._on_gone,
        )
        try:
            arrival = self._arrival(event, party)
        except Exception as error:  # noqa: BLE001 - the edge of a call: the caller waits for an answer after any error
            reception.on_lost(party, error, call_id=received.sip_call_id, source=received.source, trunk=event.trunk)
            return
        if reception.on_arrival(arrival) and event.trunk is None:
            self.trunks.on_stranger(received.request_uri, received.source)

    def _arrival(self, event: Incoming, party: SipParty) -> Arrival:
        received = event.invite
        trunk = self.trunks.settings(event.trunk) if event.trunk is not None else None
        called = invite(
            received.request_uri,
            received.headers,
            trunk=event.trunk,
            account=trunk.user if trunk is not None else None,
            called_number=trunk.called_number if trunk is not None else "auto",
            trust_identity=trunk.trust_identity if trunk is not None else False,
        )
        return Arrival(party, called, received.sip_call_id, received.source)

    def _on_gone(self, ref: CallRef) -> None:
        self._parties.pop(ref, None)
