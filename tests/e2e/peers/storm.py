"""Many INVITEs in a short time from one socket, each followed to its final answer."""

from __future__ import annotations

import secrets
import select
import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from .process import LOOPBACK, PeerError, free_port
from .sip_message import SipMessage, compose

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

RETRANSMIT_S = 0.5
POLL_S = 0.05


@dataclass
class Attempt:
    """One INVITE and what became of it."""

    number: str
    ack: bool
    """Whether a refusal is acknowledged; a 200 always is, and is followed by a BYE."""
    call_id: str = field(default_factory=lambda: secrets.token_hex(12))
    branch: str = field(default_factory=lambda: f"z9hG4bK{secrets.token_hex(8)}")
    answer: SipMessage | None = None
    """The first final answer."""
    sent_s: float = 0.0
    tries: int = 0


class Storm:
    """Sends INVITEs at a pace; media is never sent, and the address in the SDP takes none."""

    def __init__(self, gateway: tuple[str, int], host: str = LOOPBACK) -> None:
        """Bind a SIP port."""
        self._gateway = gateway
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((host, free_port(host)))
        self._socket.setblocking(False)
        self._host, self._port = self._socket.getsockname()
        self._attempts: dict[str, Attempt] = {}

    def blow(self, attempts: Iterable[Attempt], *, every_s: float = 0.0, deadline_s: float = 20.0) -> list[Attempt]:
        """Send all, one each `every_s`; returns them when each has its final answer.

        Raises:
            PeerError: an INVITE has none by the deadline.
        """
        waiting = list(attempts)
        sent: list[Attempt] = []
        begin_s = time.monotonic()
        while waiting or any(attempt.answer is None for attempt in sent):
            now_s = time.monotonic()
            if now_s > begin_s + deadline_s:
                unanswered = sum(attempt.answer is None for attempt in sent) + len(waiting)
                raise PeerError(f"{unanswered} INVITEs have no final answer after {deadline_s:g} s")
            while waiting and now_s >= begin_s + len(sent) * every_s:
                sent.append(waiting.pop(0))
                self._invite(sent[-1])
                self._receive(0)
            for attempt in sent:
                if attempt.answer is None and now_s > attempt.sent_s + RETRANSMIT_S:
                    self._invite(attempt)
            self._receive(every_s if waiting else POLL_S)
        return sent

    def close(self) -> None:
        """Free the port."""
        self._socket.close()

    def _invite(self, attempt: Attempt) -> None:
        self._attempts[attempt.call_id] = attempt
        attempt.sent_s = time.monotonic()
        attempt.tries += 1
        lines = ["v=0", f"o=storm 1 1 IN IP4 {self._host}", "s=-", f"c=IN IP4 {self._host}", "t=0 0"]
        self._request("INVITE", attempt, "\n".join([*lines, "m=audio 9 RTP/AVP 0", ""]))

    def _request(self, method: str, attempt: Attempt, body: str = "") -> None:
        answer = attempt.answer
        taken = answer is not None and answer.status == 200
        uri = f"sip:{attempt.number}@{self._gateway[0]}:{self._gateway[1]}"
        branch = f"z9hG4bK{secrets.token_hex(8)}" if taken else attempt.branch
        headers = [
            ("Via", f"SIP/2.0/UDP {self._host}:{self._port};branch={branch}"),
            ("Max-Forwards", "70"),
            ("From", f"<sip:storm@{self._host}:{self._port}>;tag={attempt.call_id[:8]}"),
            ("To", f"<{uri}>" if answer is None else answer.header("To") or ""),
            ("Call-ID", attempt.call_id),
            ("CSeq", f"{2 if method == 'BYE' else 1} {method}"),
            ("Contact", f"<sip:storm@{self._host}:{self._port}>"),
        ]
        target = (answer.contact_uri if answer is not None and taken else None) or uri
        message = compose(f"{method} {target} SIP/2.0", headers, body, time.monotonic())
        self._socket.sendto(message.wire(), self._gateway)

    def _receive(self, wait_s: float) -> None:
        select.select([self._socket], [], [], wait_s)
        while True:
            try:
                message = SipMessage.from_wire(self._socket.recv(65536), time.monotonic())
            except BlockingIOError:
                return
            self._take(message)

    def _take(self, message: SipMessage) -> None:
        attempt = self._attempts.get(message.header("Call-ID") or "")
        status = message.status
        if attempt is None or status is None or message.method != "INVITE" or status < 200:
            return
        again = attempt.answer is not None
        attempt.answer = attempt.answer or message
        if status == 200:
            self._request("ACK", attempt)
            if not again:
                self._request("BYE", attempt)
        elif attempt.ack:
            self._request("ACK", attempt)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
