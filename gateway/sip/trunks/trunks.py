"""The trunks of a running gateway: their registrations, and the hosts whose calls belong to them."""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import structlog

from gateway.sip.config import TrunkAccount
from gateway.sip.events import ChallengeIgnored, ConnectionLost, RegistrationAnswered, TrunkEvent
from gateway.sip.registration import (
    REGISTERING,
    Patience,
    Registration,
    State,
    answered,
    attempted,
    connection_lost,
    ran_out,
)
from gateway.sip.trunks.names import NameWatch
from gateway.sip.trunks.recognition import Recognition, known, named_by
from gateway.sip.trunks.resolving import PeerName, Resolver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from gateway.settings import Trunk
    from gateway.settings.values import HostPort, Network

_log = structlog.get_logger("trunks")

_UNREGISTER_S = 3.0


class Register(Protocol):
    """Sends a REGISTER; if not `wanted`, one that removes the registration."""

    def __call__(self, trunk: str, *, wanted: bool) -> None:
        """Return at once."""


@dataclass(slots=True)
class _Line:
    """One trunk at run time."""

    settings: Trunk
    token: str
    registration: Registration
    literal: frozenset[Network]
    """The hosts that the settings give by address."""
    answered: dict[Network, float] = field(default_factory=dict)
    """The hosts that granted a registration, and until when, in the loop's time."""
    attempt: asyncio.Handle | None = None
    """The next REGISTER, when it is not under way."""
    attempt_due: float = 0.0
    """When `attempt` is due, in the loop's time; uvloop's handle does not know it if the timer is due at once."""
    end: asyncio.TimerHandle | None = None
    """The timer for the end of the time that the registrar granted."""
    since: float = 0.0
    """When it was last registered or renewed, in the loop's time."""

    @property
    def patience(self) -> Patience:
        retry = self.settings.retry
        return Patience(retry.first_s, retry.max_s)


class Trunks:
    """All trunks. For the asyncio thread only."""

    def __init__(self, settings: Mapping[str, Trunk], key: bytes, resolve: Resolver) -> None:
        """`key` is this installation's own secret, `resolve` looks up the names of hosts."""
        self._lines = {
            name: _Line(
                trunk,
                _token(name, key),
                REGISTERING if trunk.register_ else Registration(State.UNREGISTERED),
                frozenset(_literal(trunk)),
            )
            for name, trunk in settings.items()
        }
        self._names = NameWatch({name: _names(trunk) for name, trunk in settings.items()}, resolve, self._recognise)
        self._recognise_with: Callable[[Recognition], None] | None = None
        self._register: Register | None = None
        self._leaving = False
        self._settled = asyncio.Event()

    def accounts(self) -> tuple[TrunkAccount, ...]:
        """The accounts of the trunks, for the SIP endpoint."""
        return tuple(_account(name, line) for name, line in self._lines.items())

    def recognition(self) -> Recognition:
        """Which hosts belong to which trunk, as far as is known now."""
        return Recognition(
            known(
                name, line.settings.user, line.token, line.literal | self._names.networks(name) | line.answered.keys()
            )
            for name, line in self._lines.items()
        )

    def _recognise(self) -> None:
        if self._recognise_with is not None:
            self._recognise_with(self.recognition())

    def start(
        self, register: Register, recognise_with: Callable[[Recognition], None], tasks: asyncio.TaskGroup
    ) -> list[asyncio.Task[None]]:
        """Register all trunks with `register: true`, and keep looking up the names of hosts.

        `recognise_with` is called whenever a trunk gets a host or loses one. Returns the tasks that look up names.
        """
        self._register = register
        self._recognise_with = recognise_with
        for name, line in self._lines.items():
            if line.settings.register_:
                register(name, wanted=True)
        return self._names.start(tasks)

    def on_event(self, event: TrunkEvent) -> None:
        """Note the event, and schedule the next REGISTER: after a lost connection, to renew, or to try again."""
        match event:
            case RegistrationAnswered():
                self._on_answer(event)
            case ConnectionLost():
                line = self._lines[event.trunk]
                held_s = asyncio.get_running_loop().time() - line.since
                self._enter(event.trunk, connection_lost(line.registration, held_s=held_s, patience=line.patience))
            case ChallengeIgnored(trunk, challenge):
                _log.warning(
                    "trunk.challenge_ignored",
                    trunk=trunk,
                    method=challenge.method,
                    realm=challenge.realm,
                    source=challenge.source,
                    sent_to=challenge.sent_to,
                    why="the password is for the trunk's own hosts and realm; check `sources` and `realm`",
                )

    def _on_answer(self, event: RegistrationAnswered) -> None:
        line = self._lines[event.trunk]
        now = answered(
            line.registration,
            code=event.code,
            reason=event.reason,
            unanswerable=event.unanswerable,
            expires_s=event.expires_s,
            retry_after_s=event.retry_after_s,
            patience=line.patience,
            wanted=not self._leaving,
        )
        loop = asyncio.get_running_loop()
        if now.state is State.REGISTERED:
            if line.end is not None:
                line.end.cancel()
            line.end = loop.call_later(now.expires_s, self._on_end, event.trunk)
            line.since = loop.time()
            self._note_hosts(line, event.source_ip, now.expires_s)
        self._enter(event.trunk, now)
        if self._leaving:
            self._settled.set()
            if now.state is State.REGISTERED and self._register is not None:
                self._register(event.trunk, wanted=False)  # a renewal was under way when `unregister` began

    def _note_hosts(self, line: _Line, ip: str = "", expires_s: int = 0) -> None:
        """Note the host that granted a registration: it sends calls while this is valid, even if DNS changes."""
        now = asyncio.get_running_loop().time()
        before = line.answered.keys()
        line.answered = {network: until for network, until in line.answered.items() if until > now}
        if ip:
            line.answered[ipaddress.ip_network(ip)] = now + expires_s
        if line.answered.keys() != before:
            self._recognise()

    def _on_end(self, name: str) -> None:
        line = self._lines[name]
        line.end = None
        self._note_hosts(line)
        self._enter(name, ran_out(line.registration))

    def _enter(self, name: str, now: Registration) -> None:
        """Note the trunk's new state, and schedule the next REGISTER."""
        line = self._lines[name]
        before, line.registration = line.registration, now
        if now == before:
            return
        self._log_change(name, before, now)
        if line.attempt is not None:
            line.attempt.cancel()
            line.attempt = None
        if now.next_in_s is not None and not self._leaving:
            loop = asyncio.get_running_loop()
            line.attempt_due = loop.time() + now.next_in_s
            line.attempt = loop.call_later(now.next_in_s, self._attempt, name)

    def _attempt(self, name: str) -> None:
        if self._register is not None and not self._leaving:
            self._enter(name, attempted(self._lines[name].registration))
            self._register(name, wanted=True)

    @staticmethod
    def _log_change(name: str, before: Registration, now: Registration) -> None:
        if now.state is State.FAILED:
            _log.warning("trunk.failed", trunk=name, why=now.why, retry_in_s=now.next_in_s)
        elif before.state is State.REGISTERED and now.state is State.REGISTERING:
            _log.warning("trunk.lost", trunk=name, why=now.why, retry_in_s=now.next_in_s)
        elif now.state is not before.state:
            expires = {"expires_s": now.expires_s} if now.state is State.REGISTERED else {}
            _log.info(f"trunk.{now.state.value}", trunk=name, **expires)

    async def unregister(self) -> None:
        """Remove all registrations; waits for the answers, a few seconds at most."""
        self._leaving = True
        for line in self._lines.values():
            for timer in (line.attempt, line.end):
                if timer is not None:
                    timer.cancel()
        registered = {name for name, line in self._lines.items() if line.registration.state is State.REGISTERED}
        if self._register is None or not registered:
            return
        for name in registered:
            self._register(name, wanted=False)
        try:
            async with asyncio.timeout(_UNREGISTER_S):
                while any(self._lines[name].registration.state is State.REGISTERED for name in registered):
                    self._settled.clear()
                    await self._settled.wait()
        except TimeoutError:
            _log.warning("trunk.unregister_unanswered", trunks=sorted(registered))

    def on_stranger(self, request_uri: str, source: str) -> None:
        """Warn about a call without a trunk that contains a trunk's `line`, which only its carrier has seen."""
        trunk = named_by(request_uri, {name: line.token for name, line in self._lines.items()})
        if trunk is not None:
            _log.warning(
                "trunk.call_from_elsewhere",
                trunk=trunk,
                source=source,
                why="the call contains the `line` of the trunk's registration, but its source is not a host of the "
                "trunk; if the carrier sends calls from this source, add it to `sources`",
            )

    def settings(self, name: str) -> Trunk:
        """A trunk's settings."""
        return self._lines[name].settings

    def registrations(self) -> Mapping[str, tuple[Registration, float | None]]:
        """Each trunk's state, and the time until the next attempt, in seconds, if it is not registered."""
        now = asyncio.get_running_loop().time()
        return {
            name: (
                line.registration,
                max(line.attempt_due - now, 0.0)
                if line.attempt is not None and line.registration.state is not State.REGISTERED
                else None,
            )
            for name, line in self._lines.items()
        }


def _account(name: str, line: _Line) -> TrunkAccount:
    trunk = line.settings
    return TrunkAccount(
        name=name,
        user=trunk.user or name,
        domain=trunk.account_domain or "localhost",
        registrar_uri=_uri(trunk.registrar, trunk.transport) if trunk.register_ and trunk.registrar else None,
        proxy_uri=f"<{_uri(trunk.proxy, trunk.transport)};lr>" if trunk.proxy else None,
        digest_user=trunk.digest_user or name,
        password=trunk.password.get_secret_value() if trunk.password is not None else None,
        realm=trunk.realm,
        expires_s=max(round(trunk.expires_s), 1),
        line=line.token,
    )


def _uri(host: HostPort, transport: str) -> str:
    return f"sip:{host};transport={transport}"


def _token(name: str, key: bytes) -> str:
    """The token that identifies the trunk's own Contact at its carrier.

    It is the same after a restart. With a new one, the registrar would also call the Contact of the last process until
    the time of its registration is over.
    """
    return hashlib.blake2s(name.encode(), key=key, digest_size=8).hexdigest()


def _hosts(trunk: Trunk) -> Iterator[Network | PeerName]:
    """The hosts whose calls belong to the trunk, by address if the settings give one, else by name."""
    for source in trunk.sources:
        yield _network(source) or PeerName(source) if isinstance(source, str) else source
    for peer in (trunk.registrar, trunk.proxy):
        if peer is not None:
            yield _network(peer.host) or PeerName(peer.host, trunk.transport if peer.port is None else None)


def _literal(trunk: Trunk) -> Iterator[Network]:
    return (host for host in _hosts(trunk) if not isinstance(host, PeerName))


def _names(trunk: Trunk) -> frozenset[PeerName]:
    return frozenset(host for host in _hosts(trunk) if isinstance(host, PeerName))


def _network(host: str) -> Network | None:
    """The network of one address; None for a name."""
    try:
        return ipaddress.ip_network(host)
    except ValueError:
        return None
