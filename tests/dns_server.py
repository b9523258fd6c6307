"""A DNS server on loopback whose records a test writes, in the form of a zone file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from tests.udp_server import UdpServer

if TYPE_CHECKING:
    from collections.abc import Iterator


class DnsServer(UdpServer):
    """`with DnsServer({("sip.example.", "A"): ["192.0.2.1"]}) as server:` answers over UDP."""

    def __init__(self, records: dict[tuple[str, str], list[str]], host: str = "127.0.0.1") -> None:
        super().__init__(host)
        self.records = records
        """By full name and type. A name with none is no name (NXDOMAIN)."""
        self.failing: set[str] = set()
        """Types, or names, that are answered SERVFAIL."""
        self.silent: set[str] = set()
        """Types, or names, that are not answered."""
        self.ttl_s = 300
        self.asked: list[tuple[str, str]] = []

    @property
    def address(self) -> tuple[str, int]:
        """Its address and port."""
        return self.bound

    def answers(self, data: bytes) -> Iterator[bytes]:
        answer = self._answer(dns.message.from_wire(data))
        if answer is not None:
            yield answer.to_wire()

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
