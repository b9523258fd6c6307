"""Kamailio as a trunk: registrar with digest, and proxy to whoever registered."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import socket
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from .process import LOOPBACK, PeerError, Process, free_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

CONFIG = Path(__file__).with_name("kamailio.cfg")
START_DEADLINE_S = 10.0
RPC_DEADLINE_S = 2.0


@dataclass(frozen=True, slots=True)
class Contact:
    """Where a user can be reached, as the registrar stored it."""

    uri: str
    expires_s: int
    """Seconds until the registration ends."""
    user_agent: str
    source: str
    """For TCP `sip:address:port` of the client's connection, else empty."""


@dataclass(frozen=True, slots=True)
class Registration:
    """One REGISTER and how it was answered."""

    user: str
    status: int


@dataclass
class Kamailio:
    """A registrar and proxy on one loopback port, UDP and TCP, that keeps its port over restarts.

    Users and refusals may be changed while it runs. `with Kamailio({"gateway": "secret"}) as trunk:` starts it; for one
    that is down at first, call `start` later.
    """

    users: Mapping[str, str]
    """User names and their passwords."""
    numbers: Mapping[str, str] = field(default_factory=dict)
    """Phone numbers and the user who gets their calls, such as `{"+15550100": "gateway"}`."""
    host: str = LOOPBACK
    port: int = 0
    number_in_uri: bool = False
    """Put the dialled number into the Request-URI; otherwise it holds the contact as registered, and To the number."""
    record_route: bool = True
    identity: str | None = None
    """A P-Asserted-Identity to put into calls, such as `<sip:+4930123456@carrier.example>`."""

    def __post_init__(self) -> None:
        self.port = self.port or free_port(self.host)
        self._directory = Path(tempfile.mkdtemp(prefix="kamailio-"))
        self._process = self._describe_process()
        self._rpc_ids = itertools.count(1)

    @property
    def address(self) -> str:
        """`host:port`, for UDP and for TCP."""
        return f"{self.host}:{self.port}"

    def start(self) -> Self:
        """Start it with an empty location table; returns when it answers."""
        self._process.start()
        try:
            wait_until(self._answers, "Kamailio answers", START_DEADLINE_S)
            self._set_table("users", self.users)
            self._set_table("numbers", self.numbers)
            flags = {"number_in_uri": self.number_in_uri, "record_route": self.record_route}
            self._set_table("set", {name: str(int(flag)) for name, flag in flags.items()})
            if self.identity:
                self._set_table("set", {"identity": self.identity})
        except PeerError as error:
            self._process.stop()
            raise PeerError(self._process.explain(str(error))) from None
        return self

    def stop(self) -> None:
        """Stop it; its port answers no more, and its location table is lost."""
        self._process.stop()

    def restart(self) -> Self:
        """Stop and start on the same port: the location table is lost, refusals are over."""
        self.stop()
        return self.start()

    def close(self) -> None:
        """Stop it and remove its directory."""
        self.stop()
        shutil.rmtree(self._directory, ignore_errors=True)

    def set_password(self, user: str, password: str) -> None:
        """From now on `user` registers with `password` only. It holds over restarts."""
        self.users = {**self.users, user: password}
        self._set_table("users", {user: password})

    def refuse(self, status: int, reason: str = "Refused", retry_after_s: int | None = None) -> None:
        """Answer every REGISTER with `status` (403, 503, ...) until `accept` or a restart."""
        if retry_after_s is not None:
            self._set_table("set", {"retry_after": str(retry_after_s)})
        # The status last: a REGISTER may come at any time, and whoever gets the status gets the rest as well.
        self._set_table("set", {"reason": reason, "refuse": str(status)})

    def demand_expires(self, min_expires_s: int) -> None:
        """Answer 423 with Min-Expires to shorter registrations, until `accept` or a restart."""
        self._set_table("set", {"min_expires": str(min_expires_s)})

    def accept(self) -> None:
        """End `refuse` and `demand_expires`."""
        for name in ("refuse", "retry_after", "min_expires"):
            self._rpc("htable.delete", "set", name)

    def contacts(self, user: str) -> tuple[Contact, ...]:
        """The contacts that `user` registered, none if it is not registered."""
        result = self._rpc("ul.lookup", "location", user)
        if not isinstance(result, dict):
            return ()
        entries = (entry["Contact"] for entry in result.get("Contacts", ()))
        return tuple(
            Contact(
                uri=entry["Address"],
                expires_s=int(entry["Expires"]),
                user_agent=entry["User-Agent"],
                source="" if entry["Received"] == "[not set]" else entry["Received"],
            )
            for entry in entries
            if isinstance(entry["Expires"], int) and entry["Expires"] > 0
        )

    def registered(self, user: str) -> bool:
        """True while `user` has a contact."""
        return bool(self.contacts(user))

    def wait_registered(self, user: str, deadline_s: float = 5.0) -> tuple[Contact, ...]:
        """The contacts of `user`, as soon as there is one."""
        try:
            return wait_until(lambda: self.contacts(user), f"{user} is registered", deadline_s)
        except PeerError as error:
            raise PeerError(self._process.explain(str(error))) from None

    def wait_unregistered(self, user: str, deadline_s: float = 5.0) -> None:
        """Return as soon as `user` has no contact."""
        try:
            wait_until(lambda: not self.contacts(user), f"{user} is unregistered", deadline_s)
        except PeerError as error:
            raise PeerError(self._process.explain(str(error))) from None

    def registrations(self) -> tuple[Registration, ...]:
        """Every REGISTER answered since the object was made, in order; an unauthenticated one counts as 401."""
        found = re.findall(r"peer: answered REGISTER from (\S+) with (\d+)", self._process.log())
        return tuple(Registration(user, int(status)) for user, status in found)

    def log(self) -> str:
        """Its log, over all restarts."""
        return self._process.log()

    def _describe_process(self) -> Process:
        listen = [f"{transport}:{self.address}" for transport in ("udp", "tcp")]
        argv = ["kamailio", "-DD", "-E", "-f", str(CONFIG), "-Y", str(self._directory), "-m", "32", "-M", "4"]
        argv += ["-A", f'DIR_SOCKET="{self._socket_path}"', "-l", listen[0], "-l", listen[1]]
        return Process("kamailio", argv, self._directory / "kamailio.log")

    @property
    def _socket_path(self) -> Path:
        return self._directory / "rpc"

    def _answers(self) -> bool:
        if not self._process.running:
            raise PeerError("it ended while starting")
        try:
            return self._rpc("core.uptime") is not None
        except OSError:
            return False

    def _set_table(self, table: str, entries: Mapping[str, str]) -> None:
        for name, value in entries.items():
            self._rpc("htable.sets", table, name, value)

    def _rpc(self, method: str, *params: str) -> object:
        """One JSON-RPC call; None when Kamailio answers with an error, such as an unknown user."""
        number = next(self._rpc_ids)
        own_path = self._directory / f"reply-{number}"
        request = {"jsonrpc": "2.0", "method": method, "params": params, "id": number}
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.bind(str(own_path))
            try:
                sock.settimeout(RPC_DEADLINE_S)
                sock.sendto(json.dumps(request).encode(), str(self._socket_path))
                answer: dict[str, object] = json.loads(sock.recv(65536))
            finally:
                own_path.unlink()
        return answer.get("result")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if error is not None:
            error.add_note(self._process.explain("log"))
        self.close()
