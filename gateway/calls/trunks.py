"""The trunks of a running gateway: their registrations, and which call came over which."""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import re
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import structlog

from gateway.dialplan import user_part
from gateway.sip.account import TrunkAccount
from gateway.sip.events import ConnectionLost, RegistrationAnswered
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

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gateway.settings import Trunk
    from gateway.settings.values import HostPort

_log = structlog.get_logger("trunks")

_RESOLVE_EVERY_S = 300.0
_RESOLVE_AGAIN_S = 2.0
"""After a failed look-up, doubled each time: a trunk whose sources are not known yet takes no calls."""
_UNREGISTER_S = 3.0
_LINE = re.compile(r";line=([0-9a-f]+)")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Register(Protocol):
    """Sends a REGISTER, or one that takes the registration back when it is not `wanted`."""

    def __call__(self, trunk: str, *, wanted: bool) -> None:
        """Return at once."""


@dataclass(slots=True)
class _Line:
    """One trunk at run time."""

    settings: Trunk
    token: str
    registration: Registration
    addresses: dict[str, frozenset[Network]] = field(default_factory=dict)
    """What its names were resolved to last."""
    attempt: asyncio.TimerHandle | None = None
    """The next REGISTER, when it is not under way."""
    end: asyncio.TimerHandle | None = None
    """When the time that the registrar granted is over."""
    since: float = 0.0
    """When it last was registered, in the loop's time."""

    @property
    def patience(self) -> Patience:
        retry = self.settings.retry
        return Patience(retry.first_s, retry.max_s)

    def has(self, source: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
        """Whether calls from there are the trunk's."""
        known = (_literal(_hosts(self.settings)), *self.addresses.values())
        return any(source in network for networks in known for network in networks)


class Trunks:
    """All trunks. For the asyncio thread only."""

    def __init__(self, settings: Mapping[str, Trunk]) -> None:
        self._lines = {
            name: _Line(
                trunk, _token(name, trunk), REGISTERING if trunk.register_ else Registration(State.UNREGISTERED)
            )
            for name, trunk in settings.items()
        }
        self._register: Register | None = None
        self._leaving = False
        self._settled = asyncio.Event()

    def accounts(self) -> tuple[TrunkAccount, ...]:
        """What the SIP endpoint must know of them."""
        return tuple(_account(name, line) for name, line in self._lines.items())

    def start(self, register: Register, tasks: asyncio.TaskGroup) -> asyncio.Task[None] | None:
        """Register all that want it, and keep looking up those whose sources are names.

        Returns the task that looks names up, if there are any.
        """
        self._register = register
        for name, line in self._lines.items():
            if line.settings.register_:
                register(name, wanted=True)
        if any(_names(_hosts(line.settings)) for line in self._lines.values()):
            return tasks.create_task(self._keep_resolving(), name="trunks-resolve")
        return None

    def on_event(self, event: RegistrationAnswered | ConnectionLost) -> None:
        """Note it, and register again when that is due: at once, to renew, or to try once more."""
        match event:
            case RegistrationAnswered():
                self._on_answer(event)
            case ConnectionLost():
                line = self._lines[event.trunk]
                held_s = asyncio.get_running_loop().time() - line.since
                self._enter(event.trunk, connection_lost(line.registration, held_s=held_s, patience=line.patience))

    def _on_answer(self, event: RegistrationAnswered) -> None:
        line = self._lines[event.trunk]
        now = answered(
            line.registration,
            code=event.code,
            reason=event.reason,
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
        self._enter(event.trunk, now)
        if self._leaving:
            self._settled.set()
            if now.state is State.REGISTERED and self._register is not None:
                self._register(event.trunk, wanted=False)  # a renewal was under way when we began to leave

    def _on_end(self, name: str) -> None:
        line = self._lines[name]
        line.end = None
        self._enter(name, ran_out(line.registration))

    def _enter(self, name: str, now: Registration) -> None:
        """Note where the trunk stands, and see to what is due next."""
        line = self._lines[name]
        before, line.registration = line.registration, now
        if now == before:
            return
        self._log_change(name, before, now)
        if line.attempt is not None:
            line.attempt.cancel()
            line.attempt = None
        if now.next_in_s is not None and not self._leaving:
            line.attempt = asyncio.get_running_loop().call_later(now.next_in_s, self._attempt, name)

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
            _log.info(f"trunk.{now.state.value}", trunk=name, expires_s=now.expires_s)

    async def unregister(self) -> None:
        """Take all registrations back; waits a few seconds at most."""
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

    def recognise(self, request_uri: str, source_ip: str, to: str = "") -> str | None:
        """The trunk that a call came over: the one whose Contact it was sent to, else the one it was sent from.

        A registrar that keeps the Request-URI as registered shows the `line` that we put there, which only it and we
        know; others are known by their address. Of several trunks at one carrier it is the one whose user is called,
        in the Request-URI or else in the header To; else the first.
        """
        match = _LINE.search(request_uri)
        if match is not None:
            for name, line in self._lines.items():
                if line.token == match.group(1):
                    return name
        source = ipaddress.ip_address(source_ip)
        there = {name: line.settings.user for name, line in self._lines.items() if line.has(source)}
        for called in (user_part(request_uri), user_part(to)):
            for name, user in there.items():
                if user == called:
                    return name
        return next(iter(there), None)

    def settings(self, name: str) -> Trunk:
        """A trunk's settings."""
        return self._lines[name].settings

    def registrations(self) -> Mapping[str, tuple[Registration, float | None]]:
        """Where each trunk stands, and in how many seconds it is tried again when it is not registered."""
        now = asyncio.get_running_loop().time()
        return {
            name: (
                line.registration,
                max(line.attempt.when() - now, 0.0)
                if line.attempt is not None and line.registration.state is not State.REGISTERED
                else None,
            )
            for name, line in self._lines.items()
        }

    async def _keep_resolving(self) -> None:
        again = Patience(_RESOLVE_AGAIN_S, _RESOLVE_EVERY_S)
        missing: set[tuple[str, str]] = set()
        failures = 0
        while True:
            before, missing = missing, await self._resolve_all()
            for trunk, source in sorted(missing - before):
                keeps = sorted(map(str, self._lines[trunk].addresses.get(source, ())))
                _log.warning("trunk.source_unresolved", trunk=trunk, source=source, keeps=keeps)
            for trunk, source in sorted(before - missing):
                _log.info("trunk.source_resolved", trunk=trunk, source=source)
            failures = failures + 1 if missing else 0
            await asyncio.sleep(again.backoff_s(failures) if missing else _RESOLVE_EVERY_S)

    async def _resolve_all(self) -> set[tuple[str, str]]:
        """Look up every name; returns those that were not found, each with its trunk."""
        missing = set()
        for trunk, line in self._lines.items():
            for name in _names(_hosts(line.settings)):
                found = await asyncio.to_thread(_resolve, name)
                if found:  # a name server that is away for a while must not make strangers of our trunks
                    line.addresses[name] = found
                else:
                    missing.add((trunk, name))
        return missing


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


def _token(name: str, trunk: Trunk) -> str:
    """A word that a stranger cannot guess and that a restart does not change."""
    secret = trunk.password.get_secret_value() if trunk.password is not None else ""
    return hashlib.blake2s(name.encode(), key=hashlib.blake2s(secret.encode()).digest(), digest_size=8).hexdigest()


def _hosts(trunk: Trunk) -> tuple[Network | str, ...]:
    peers = [peer.host for peer in (trunk.registrar, trunk.proxy) if peer is not None]
    return (*trunk.sources, *peers)


def _literal(hosts: Iterable[Network | str]) -> Iterable[Network]:
    for host in hosts:
        if not isinstance(host, str):
            yield host
            continue
        try:
            yield ipaddress.ip_network(host)
        except ValueError:
            continue


def _names(hosts: Iterable[Network | str]) -> tuple[str, ...]:
    names = []
    for host in hosts:
        if isinstance(host, str):
            try:
                ipaddress.ip_network(host)
            except ValueError:
                names.append(host)
    return tuple(names)


def _resolve(name: str) -> frozenset[Network]:
    try:
        return frozenset(ipaddress.ip_network(info[4][0]) for info in socket.getaddrinfo(name, None))
    except OSError:
        return frozenset()
