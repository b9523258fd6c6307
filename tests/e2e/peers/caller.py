"""A caller in plain Python whose every packet is known and timed: for what SIPp and baresip cannot do.

```python
    with Caller(("127.0.0.1", 5060)) as caller:
        call = caller.dial("600")
        call.wait_answered()
        call.send(tone(440, 1000))
        assert_tones(call.wait_heard(1500), 8000, [440])
        call.hangup()
```
"""

from __future__ import annotations

import secrets
import socket
import threading
import time
from typing import TYPE_CHECKING, Self

from .call import Call, Manner
from .process import LOOPBACK, PeerError, free_port, wait_until
from .sip_message import SipMessage, compose

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

POLL_S = 0.1


class Caller:
    """A SIP user agent over UDP that makes calls to one address: the gateway's, or a proxy's."""

    def __init__(self, gateway: tuple[str, int], host: str = LOOPBACK, port: int = 0) -> None:
        """Bind the SIP port `host:port` (0: a free one) and listen."""
        self.sources: set[tuple[str, int]] = set()
        """Where anything came from."""
        self._gateway = gateway
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((host, port or free_port(host)))
        self._socket.settimeout(POLL_S)
        self._calls: dict[str, Call] = {}
        self.others: list[SipMessage] = []
        """What came and was of no call."""
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._receive, name="sip receive", daemon=True)
        self._thread.start()

    @property
    def address(self) -> tuple[str, int]:
        """Its own SIP address."""
        host, port = self._socket.getsockname()
        return host, port

    def dial(self, number: str, manner: Manner | None = None, uri: str | None = None) -> Call:
        """Call `sip:number@gateway`, or any `uri` there; returns as soon as the INVITE has left."""
        call = Call(self._transmit, uri or self._uri(number), self.address, manner or Manner())
        self._calls[call.call_id] = call
        call.invite()
        return call

    def request(
        self,
        method: str,
        number: str = "",
        headers: Mapping[str, str] | None = None,
        deadline_s: float = 5.0,
        *,
        via: str = ";rport",
    ) -> SipMessage:
        """A request outside any call, with these parameters in its Via; returns the answer."""
        host, port = self.address
        call_id = secrets.token_hex(12)
        lines = [
            ("Via", f"SIP/2.0/UDP {host}:{port};branch=z9hG4bK{secrets.token_hex(8)}{via}"),
            ("Max-Forwards", "70"),
            ("From", f"<sip:caller@{host}:{port}>;tag={secrets.token_hex(6)}"),
            ("To", f"<{self._uri(number)}>"),
            ("Call-ID", call_id),
            ("CSeq", f"1 {method}"),
            ("Contact", f"<sip:caller@{host}:{port}>"),
            *(headers or {}).items(),
        ]
        self._transmit(compose(f"{method} {self._uri(number)} SIP/2.0", lines, "", time.monotonic()))
        found = wait_until(
            lambda: [message for message in self.others if message.header("Call-ID") == call_id],
            f"an answer to {method}",
            deadline_s,
        )
        return found[0]

    def wait_other(self, method: str, deadline_s: float = 10.0) -> SipMessage:
        """The first request with this method that is of no call."""
        return wait_until(
            lambda: [message for message in self.others if message.start_line.startswith(f"{method} ")],
            f"{method} of no call",
            deadline_s,
        )[0]

    def forget(self, call: Call) -> None:
        """Hang up if it lives, and keep nothing of the call: for who makes thousands of them."""
        call.close()
        del self._calls[call.call_id]

    def send_raw(self, datagram: bytes) -> None:
        """Send any bytes from the SIP port."""
        self._socket.sendto(datagram, self._gateway)

    def close(self) -> None:
        """Hang up all calls and free all ports."""
        try:
            for call in self._calls.values():
                call.close()
        finally:
            self._stopped.set()
            self._thread.join()
            self._socket.close()

    def _uri(self, number: str) -> str:
        user = f"{number}@" if number else ""
        return f"sip:{user}{self._gateway[0]}:{self._gateway[1]}"

    def _transmit(self, message: SipMessage) -> None:
        self._socket.sendto(message.wire(), self._gateway)

    def _receive(self) -> None:
        while not self._stopped.is_set():
            try:
                data, source = self._socket.recvfrom(65536)
            except (TimeoutError, ConnectionRefusedError):
                continue
            self.sources.add(source)
            if not data.strip():
                continue  # a keep-alive
            message = SipMessage.from_wire(data, time.monotonic())
            call = self._calls.get(message.header("Call-ID") or "")
            if call is None:
                self.others.append(message)
            else:
                call.on_message(message)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            for call in self._calls.values():
                error.add_note(call.explain("messages"))
        try:
            self.close()
        except PeerError as unanswered:
            # The test's own failure is the one to report.
            if error is None:
                raise
            error.add_note(str(unanswered))
