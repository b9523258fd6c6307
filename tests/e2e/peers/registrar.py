"""A registrar that does what no proper one does: falls silent, closes connections, challenges as it likes."""

from __future__ import annotations

import re
import socket
import threading
import time
from typing import TYPE_CHECKING, Self

from .process import LOOPBACK
from .sip_message import SipMessage, compose

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

POLL_S = 0.1


class Registrar:
    """One loopback port, over UDP or TCP. `with Registrar("tcp", expires_s=300) as registrar:` listens."""

    def __init__(
        self,
        transport: str,
        expires_s: int,
        *,
        close_after_s: float | None = None,
        host: str = LOOPBACK,
        answers_from: str | None = None,
        challenge: Callable[[SipMessage], Sequence[tuple[str, str]]] | None = None,
    ) -> None:
        """`close_after_s`: how long a TCP connection stays open after the first answer; None is as long as it likes.

        `answers_from`: another address of the registrar's, from which it answers over UDP. `challenge`: the headers
        with which a REGISTER is answered 401; none where it is to be accepted.
        """
        self.requests: list[SipMessage] = []
        """Every REGISTER that came, those sent again too."""
        self.asked: list[float] = []
        """When each REGISTER came, CLOCK_MONOTONIC; over UDP without those sent again."""
        self.contacts: list[tuple[str, str]] = []
        """What each REGISTER over TCP wants to be reached at, and where it came from: `host:port`."""
        self.silent = False
        self._expires_s = expires_s
        self._close_after_s = close_after_s
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM if transport == "tcp" else socket.SOCK_DGRAM)
        self._challenge = challenge
        self._answering = self._socket
        if answers_from is not None:
            self._answering = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._answering.bind((answers_from, 0))
        self._socket.bind((host, 0))
        self._socket.settimeout(POLL_S)
        self._call_sequences: set[str] = set()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._accept if transport == "tcp" else self._receive, daemon=True)

    @property
    def address(self) -> str:
        """`host:port`."""
        host, port = self._socket.getsockname()
        return f"{host}:{port}"

    def _receive(self) -> None:
        while not self._stopped.is_set():
            try:
                data, source = self._socket.recvfrom(65536)
            except TimeoutError:
                continue
            answer = self._answer(data)
            if answer is not None:
                self._answering.sendto(answer, source)

    def _accept(self) -> None:
        self._socket.listen()
        while not self._stopped.is_set():
            try:
                connection, _ = self._socket.accept()
            except TimeoutError:
                continue
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(POLL_S)
            self._answer_all(connection)

    def _answer_all(self, connection: socket.socket) -> None:
        while not self._stopped.is_set():
            try:
                data = connection.recv(65536)
            except TimeoutError:
                continue
            wanted = re.search(rb"^Contact: <sip:[^@>]*@([^;>]+)", data, re.MULTILINE | re.IGNORECASE)
            if wanted is not None:
                host, port = connection.getpeername()
                self.contacts.append((wanted[1].decode(), f"{host}:{port}"))
            answer = self._answer(data)
            if answer is not None:
                connection.sendall(answer)
                if self._close_after_s is not None:
                    time.sleep(self._close_after_s)
                    return
            if not data:
                return

    def _answer(self, data: bytes) -> bytes | None:
        request = SipMessage.from_wire(data, time.monotonic())
        if request.method != "REGISTER":
            return None  # a keep-alive
        sequence = f"{request.header('Call-ID')} {request.header('CSeq')}"
        if sequence not in self._call_sequences:
            self._call_sequences.add(sequence)
            self.asked.append(request.time_s)
        self.requests.append(request)
        if self.silent:
            return None
        copied = [("Via", via) for via in request.headers("Via")]
        copied += [(name, request.header(name) or "") for name in ("From", "Call-ID", "CSeq")]
        expires_s = min(int(request.header("Expires") or 0), self._expires_s)
        granted = [("Contact", f"{request.header('Contact')};expires={expires_s}")] if expires_s else []
        to = ("To", f"{request.header('To')};tag=registrar")
        challenges = self._challenge(request) if self._challenge is not None else ()
        if challenges:
            return compose("SIP/2.0 401 Unauthorized", [*copied, to, *challenges], "", time.monotonic()).wire()
        headers = [*copied, to, *granted]
        return compose("SIP/2.0 200 OK", headers, "", time.monotonic()).wire()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()
        self._answering.close()
        self._socket.close()
