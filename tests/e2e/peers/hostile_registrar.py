"""A registrar over UDP that answers as a function tells it to, and counts what it is sent."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeAlias

from tests.udp_server import UdpServer

from .sip_message import SipMessage, compose

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Answer: TypeAlias = "tuple[str, Iterable[tuple[str, str]]]"
"""A status line without its version, and headers; a Via among them replaces the one that was sent."""
Behaviour: TypeAlias = "Callable[[SipMessage, int], Iterable[Answer]]"
"""All answers to a REGISTER, and to its how many-th, from 0; one that is sent again counts once."""


class HostileRegistrar(UdpServer):
    """One loopback port. `with HostileRegistrar(behaviour) as registrar:` listens."""

    def __init__(self, behaviour: Behaviour) -> None:
        """Bind the port; `with` begins."""
        super().__init__()
        self.asked: list[SipMessage] = []
        """Every REGISTER, without those that were sent again."""
        self.keep_alives = 0
        self._behaviour = behaviour
        self._seen: dict[str, int] = {}

    @property
    def address(self) -> str:
        """`host:port`."""
        host, port = self.bound
        return f"{host}:{port}"

    def answers(self, data: bytes) -> Iterator[bytes]:
        request = SipMessage.from_wire(data, time.monotonic())
        if request.method != "REGISTER":
            self.keep_alives += 1
            return
        key = f"{request.header('Call-ID')} {request.header('CSeq')}"
        if key not in self._seen:
            self._seen[key] = len(self.asked)
            self.asked.append(request)
        for status, headers in self._behaviour(request, self._seen[key]):
            yield _answer(request, status, list(headers))


def _answer(request: SipMessage, status: str, headers: list[tuple[str, str]]) -> bytes:
    copied = [(name, request.header(name) or "") for name in ("From", "Call-ID", "CSeq")]
    if not any(name == "Via" for name, _ in headers):
        copied += [("Via", via) for via in request.headers("Via")]
    copied.append(("To", f"{request.header('To')};tag=registrar"))
    return compose(f"SIP/2.0 {status}", [*copied, *headers], "", time.monotonic()).wire()
