"""A DNS server on loopback whose records a test writes, in the form of a zone file."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Self

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

if TYPE_CHECKING:
    from types import TracebackType

_POLL_S = 0.1


class DnsServer:
    """`with DnsServer({("sip.example.", "A"): ["192.0.2.1"]}) as server:` answers over UDP."""

    def __init__(self, records: dict[tuple[str, str], list[str]], host: str = "127.0.0.1") -> None:
        self.records = records
        """By full name and type. A name with none is no name (NXDOMAIN)."""
        self.failing: set[str] = set()
        """Types, or names, that are answered SERVFAIL."""
        self.silent: set[str] = set()
        """Types, or names, that are not answered."""
        self.ttl_s = 300
        self.asked: list[tuple[str, str]] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((host, 0))
        self._socket.settimeout(_POLL_S)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="dns server", daemon=True)

    @property
    def address(self) -> tuple[str, int]:
        """Its address and port."""
        host, port = self._socket.getsockname()
        return host, port

    def _serve(self) -> None:
        while not self._stopped.is_set():
            try:
                data, source = self._socket.recvfrom(4096)
            except TimeoutError:
                continue
            answer = self._answer(dns.message.from_wire(data))
            if answer is not None:
                self._socket.sendto(answer.to_wire(), source)

    def _answer(self, query: dns.message.Message) -> dns.message.Message | None:
        question = query.question[0]
        name, kind = question.name.to_text().lower(), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        if {name, kind} & self.silent:
            return None
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        if {name, kind} & self.failing:
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif (name, kind) in self.records:
            answer.answer.append(dns.rrset.from_text(name, self.ttl_s, "IN", kind, *self.records[name, kind]))
        elif not any(name == known for known, _ in self.records):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        return answer

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()
        self._socket.close()
