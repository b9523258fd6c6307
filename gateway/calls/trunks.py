"""The trunks of a running gateway: their registrations, and which call came over which."""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import re
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import structlog

from gateway.sip.account import TrunkAccount
from gateway.sip.registration import REGISTERING, Patience, Registration, State, answered

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gateway.settings import Trunk
    from gateway.settings.values import HostPort
    from gateway.sip.events import RegistrationAnswered

_log = structlog.get_logger("trunks")

_RESOLVE_EVERY_S = 300.0
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
    networks: frozenset[Network] = frozenset()
    retry: asyncio.TimerHandle | None = None


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
            line.networks = frozenset(_literal(_hosts(line.settings)))
        if any(_names(_hosts(line.settings)) for line in self._lines.values()):
            return tasks.create_task(self._keep_resolving(), name="trunks-resolve")
        return None

    def on_answer(self, event: RegistrationAnswered) -> None:
        """A REGISTER was answered: note it, and try again when that is due."""
        line = self._lines[event.trunk]
        before = line.registration
        line.registration = answered(
            before,
            code=event.code,
            reason=event.reason,
            expires_s=event.expires_s,
            retry_after_s=event.retry_after_s,
            patience=Patience(line.settings.retry.first_s, line.settings.retry.max_s),
        )
        self._log_change(event.trunk, before, line.registration)
        if line.retry is not None:
            line.retry.cancel()
            line.retry = None
        if self._leaving:
            self._settled.set()
        elif line.registration.retry_in_s is not None:
            loop = asyncio.get_running_loop()
            line.retry = loop.call_later(line.registration.retry_in_s, self._try_again, event.trunk)

    def _try_again(self, name: str) -> None:
        self._lines[name].retry = None
        if self._register is not None and not self._leaving:
            self._register(name, wanted=True)

    @staticmethod
    def _log_change(name: str, before: Registration, now: Registration) -> None:
        if now.state is State.FAILED:
            _log.warning("trunk.failed", trunk=name, why=now.why, retry_in_s=now.retry_in_s)
        elif now.state is not before.state:
            _log.info(f"trunk.{now.state.value}", trunk=name, expires_s=now.expires_s)

    async def unregister(self) -> None:
        """Take all registrations back; waits a few seconds at most."""
        self._leaving = True
        for line in self._lines.values():
            if line.retry is not None:
                line.retry.cancel()
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

    def recognise(self, request_uri: str, source_ip: str) -> str | None:
        """The trunk that a call came over: the one whose Contact it was sent to, else the one it was sent from.

        A registrar that keeps the Request-URI as registered shows the `line` that we put there, which only it and we
        know; others are known by their address.
        """
        match = _LINE.search(request_uri)
        if match is not None:
            for name, line in self._lines.items():
                if line.token == match.group(1):
                    return name
        source = ipaddress.ip_address(source_ip)
        for name, line in self._lines.items():
            if any(source in network for network in line.networks):
                return name
        return None

    def settings(self, name: str) -> Trunk:
        """A trunk's settings."""
        return self._lines[name].settings

    def registrations(self) -> Mapping[str, tuple[Registration, float | None]]:
        """Where each trunk stands, and in how many seconds it is tried again."""
        now = asyncio.get_running_loop().time()
        return {
            name: (line.registration, max(line.retry.when() - now, 0.0) if line.retry is not None else None)
            for name, line in self._lines.items()
        }

    async def _keep_resolving(self) -> None:
        while True:
            for name, line in self._lines.items():
                hosts = _hosts(line.settings)
                found = await asyncio.to_thread(_resolve, _names(hosts))
                if found:  # a name server that is away for a while must not make strangers of our trunks
                    line.networks = frozenset(_literal(hosts)) | found
                else:
                    _log.debug("trunk.sources_unresolved", trunk=name)
            await asyncio.sleep(_RESOLVE_EVERY_S)


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
        expires_s=round(trunk.expires_s),
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


def _resolve(names: Iterable[str]) -> frozenset[Network]:
    found: set[Network] = set()
    for name in names:
        try:
            found.update(ipaddress.ip_network(info[4][0]) for info in socket.getaddrinfo(name, None))
        except OSError:
            continue
    return frozenset(found)
