"""SIP messages as text, read and written without trust in anybody's parser (RFC 3261 section 7)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class SipMessage:
    """One message, lines ended by a plain newline."""

    sent: bool
    """True when the peer that keeps this message sent it."""
    text: str
    time_s: float = 0.0
    """CLOCK_MONOTONIC at which it was sent or came; 0 where nobody took it."""

    @classmethod
    def from_wire(cls, data: bytes, time_s: float) -> Self:
        """A received datagram."""
        return cls(sent=False, text=data.decode(errors="replace").replace("\r\n", "\n"), time_s=time_s)

    @property
    def start_line(self) -> str:
        """`INVITE sip:... SIP/2.0` or `SIP/2.0 200 OK`."""
        return self.text.split("\n", 1)[0]

    @property
    def status(self) -> int | None:
        """The status code of an answer, None for a request."""
        parts = self.start_line.split(" ", 2)
        return int(parts[1]) if parts[0] == "SIP/2.0" else None

    @property
    def method(self) -> str:
        """The request's method; of an answer, the method that it answers."""
        return self.start_line.split(" ", 1)[0] if self.status is None else self.cseq[1]

    @property
    def cseq(self) -> tuple[int, str]:
        """Number and method of CSeq."""
        number, _, method = (self.header("CSeq") or "0 ").partition(" ")
        return int(number), method.strip()

    @property
    def head(self) -> str:
        """Start line and headers."""
        return self.text.split("\n\n", 1)[0]

    @property
    def body(self) -> str:
        """What follows the empty line, such as SDP."""
        return self.text.partition("\n\n")[2]

    def headers(self, name: str) -> tuple[str, ...]:
        """All values of a header, by its name in any case, in order."""
        found = re.findall(rf"^{re.escape(name)}[ \t]*:[ \t]*(.*)$", self.head, re.MULTILINE | re.IGNORECASE)
        return tuple(value.strip() for value in found)

    def header(self, name: str) -> str | None:
        """The first value of a header, None if it is not there."""
        return next(iter(self.headers(name)), None)

    @property
    def to_tag(self) -> str | None:
        """The tag in To."""
        found = re.search(r";tag=([^;>\s]+)", self.header("To") or "")
        return found[1] if found else None

    @property
    def contact_uri(self) -> str | None:
        """The URI in Contact."""
        found = re.search(r"<([^>]+)>", self.header("Contact") or "")
        return found[1] if found else None

    def wire(self) -> bytes:
        """The message as bytes."""
        return self.text.replace("\n", "\r\n").encode(errors="surrogateescape")


def compose(start_line: str, headers: Iterable[tuple[str, str]], body: str, time_s: float) -> SipMessage:
    """A message to send; Content-Length is added, and Content-Type where there is a body (SDP) and no type."""
    lines = [start_line, *(f"{name}: {value}" for name, value in headers)]
    if body and not any(line.startswith("Content-Type:") for line in lines):
        lines.append("Content-Type: application/sdp")
    length = len(body.replace("\n", "\r\n").encode(errors="surrogateescape"))
    return SipMessage(sent=True, text="\n".join([*lines, f"Content-Length: {length}", "", body]), time_s=time_s)


def media_address(sdp: str) -> tuple[str, int] | None:
    """Address and port of the first audio line that was not refused (port 0), None if there is none."""
    port = re.search(r"^m=audio ([1-9]\d*)", sdp, re.MULTILINE)
    address = re.search(r"^c=IN IP4 (\S+)", sdp[port.start() :] if port else "", re.MULTILINE) or re.search(
        r"^c=IN IP4 (\S+)", sdp, re.MULTILINE
    )
    if port is None or address is None:
        return None
    return address[1], int(port[1])


def direction(sdp: str) -> str:
    """The first direction attribute; sendrecv when there is none (RFC 8866 section 6.7)."""
    found = re.search(r"^a=(sendrecv|sendonly|recvonly|inactive)\s*$", sdp, re.MULTILINE)
    return found[1] if found else "sendrecv"


def payload_types(sdp: str) -> tuple[int, ...]:
    """The payload types of the first audio line, in order."""
    found = re.search(r"^m=audio \d+ \S+ (.*)$", sdp, re.MULTILINE)
    return tuple(int(number) for number in found[1].split()) if found else ()
