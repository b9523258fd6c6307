"""A registrar over UDP that answers as a function tells it to, and counts what it is sent."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING, Self, TypeAlias

from .process import LOOPBACK
from .sip_message import SipMessage, compose

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

POLL_S = 0.1

Answer: TypeAlias = "tuple[str, Iterable[tuple[str, str]]]"
"""A status line without its version, and headers; a Via among them replaces the one that was sent."""
Behaviour: TypeAlias = "Callable[[SipMessage, int], Iterable[Answer]]"
"""All answers to a REGISTER, and to its how many-th, from 0; one that is sent again counts once."""


class HostileRegistrar:
    """One loopback port. `with HostileRegistrar(behaviour) as registrar:` listens."""

    def __init__(self, behaviour: Behaviour) -> None:
        """Bind the port; `with` begins."""
        self.asked: list[SipMessage] = []
        """Every REGISTER, without those that were sent again."""
        self.keep_alives = 0
        self._behaviour = behaviour
        self._seen: dict[str, int] = {}
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((LOOPBACK, 0))
        self._socket.settimeout(POLL_S)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hostile registrar", daemon=True)

    @property
    def address(self) -> str:
        """`host:port`."""
        host, port = self._socket.getsockname()
        return f"{host}:{port}"

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                data, source = self._socket.recvfrom(65536)
            except TimeoutError:
                continue
            request = SipMessage.from_wire(data, time.monotonic())
            if request.method != "REGISTER":
                self.keep_alives += 1
                continue
            key = f"{request.header('Call-ID')} {request.header('CSeq')}"
            if key not in self._seen:
                self._seen[key] = len(self.asked)
                self.asked.append(request)
            for status, headers in self._behaviour(request, self._seen[key]):
                self._socket.sendto(_answer(request, status, list(headers)), source)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()
        self._socket.close()


def _answer(request: SipMessage, status: str, headers: list[tuple[str, str]]) -> bytes:
    copied = [(name, request.header(name) or "") for name in ("From", "Call-ID", "CSeq")]
    if not any(name == "Via" for name, _ in headers):
        copied += [("Via", via) for via in request.headers("Via")]
    copied.append(("To", f"{request.header('To')};tag=registrar"))
    return compose(f"SIP/2.0 {status}", [*copied, *headers], "", time.monotonic()).wire()
