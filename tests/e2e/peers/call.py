"""One call that a `Caller` made: its dialog (RFC 3261 sections 12 to 15) and its sound."""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from .process import PeerError, wait_until
from .rtp import timeline
from .rtp_stream import RtpStream
from .sip_message import SipMessage, compose, media_address

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping, Sequence

    from .rtp import RtpPacket
    from .sound import Pcm
    from .wire import RtpRelay

T = TypeVar("T")

RETRANSMIT_S = (0.5, 1.0, 2.0, 4.0)
RTPMAP = {
    0: "PCMU/8000", 8: "PCMA/8000", 9: "G722/8000", 18: "G729/8000", 96: "opus/48000/2", 101: "telephone-event/8000"
}  # fmt: skip
OK_STATUS, REDIRECT_STATUS = 200, 300


@dataclass(frozen=True, slots=True)
class Manner:
    """What is special about a call; by default nothing is."""

    user: str = "caller"
    """The user in From and Contact."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Added to the INVITE."""
    contact: str | None = None
    """The whole Contact of every request, instead of our own address; "" for none."""
    codecs: Sequence[int] = (0, 101)
    """Payload types offered; only PCMU is spoken."""
    direction: str = "sendrecv"
    sdp: str | None = None
    """The whole body of the INVITE, instead of the offer made from the above; in it, `$ADDRESS` and `$PORT` stand for
    where the caller hears."""
    challenge: str | None = None
    """Answer 407 to what comes in the call without an answer to this Proxy-Authenticate."""
    foreign_body: str = ""
    """With `late_offer`: a body of the INVITE that is none of SDP; `headers` have its type."""
    late_offer: bool = False
    """The INVITE has no offer: the answer to the offer in the 200 comes with the ACK (RFC 3261 section 13.2.1)."""
    answer_late: bool = True
    """False: the ACK to a late offer has no answer either."""
    invites: int = 1
    """How many times the INVITE is sent at once: more than 1 is a retransmission without need."""
    deaf_to_oks: int = 0
    """So many 200s count as lost on the way: they are neither acknowledged nor acted upon."""
    ack: bool = True
    """False: no ACK is ever sent."""
    bye_at_once: bool = False
    """BYE right behind the ACK."""
    crossing_bye: bool = False
    """When a BYE comes, send our own before answering it, as if both hung up at the same time."""
    options_status: int = 200
    """What OPTIONS in the call is answered with."""
    refusals: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """Statuses by method: what the first requests in the call are answered with."""
    unanswered: Container[str] = ()
    """Methods of requests in the call that count as lost on the way."""
    speak: bool = True
    """False: no RTP packet ever leaves, though there is an address in the SDP."""
    phone: bool = True
    """Send silence while there is nothing to say."""
    relay: RtpRelay | None = None
    """Media through this relay instead of directly."""


class Call:
    """A call from its INVITE on. Made by `Caller.dial`; used from the test's thread.

    `messages` holds every SIP message in order. All waits raise PeerError with the messages when the time is over.
    """

    def __init__(
        self, transmit: Callable[[SipMessage], None], uri: str, local: tuple[str, int], manner: Manner
    ) -> None:
        """Prepare; `invite` begins. `transmit` sends a message to the gateway or proxy."""
        self.manner = manner
        self.call_id = secrets.token_hex(12)
        self.messages: list[SipMessage] = []
        self.ended_by: str | None = None
        """`us` or `them` once a BYE is answered or sent, `rejected` after a final answer that is no 200."""
        self.stream = RtpStream(local[0], phone=manner.phone)
        self._transmit = transmit
        self._uri = uri
        self._target = uri
        self._routes: tuple[str, ...] = ()
        self._local = local
        self._local_tag = secrets.token_hex(6)
        self._remote_tag: str | None = None
        self._answer: SipMessage | None = None
        self._cseq = 0
        self._sdp_version = 0
        self._sdp = ""
        self._deaf_to = manner.deaf_to_oks
        self._refusals = {method: list(statuses) for method, statuses in manner.refusals.items()}
        self._branches: dict[int, str] = {}
        self._closed = False
        self._repeaters: list[threading.Thread] = []
        self._changed = threading.Condition(threading.RLock())

    # --- what a test does ---

    def invite(self) -> None:
        """Send the first INVITE."""
        if self.manner.late_offer:
            body = self.manner.foreign_body
        elif self.manner.sdp is not None:
            body = self.fill_in(self.manner.sdp)
        else:
            body = self.offer(self.manner.direction)
        message = self._request("INVITE", self.manner.headers, body)
        for _ in range(self.manner.invites):
            self._put(message)
        self._retransmit_until_answered(message)

    def cancel(self) -> None:
        """Give up before the answer; 487 is acknowledged like any final answer. Wait with `wait_ended`."""
        number = self._cseq
        headers = [("Via", self._via(self._branches[number])), *self._dialog_headers(number, "CANCEL", tagged=False)]
        self._put(compose(f"CANCEL {self._uri} SIP/2.0", headers, "", time.monotonic()))

    def hangup(self, deadline_s: float = 5.0) -> int | None:
        """End the call; the status of the answer to BYE, None when the call was over before."""
        if self.ended_by is not None:
            return None
        self.ended_by = "us"
        self.stream.halt()
        return self._transact("BYE", {}, "", deadline_s).status

    def reinvite(
        self,
        direction: str = "sendrecv",
        *,
        address: tuple[str, int] | None = None,
        codecs: Sequence[int] | None = None,
        deadline_s: float = 5.0,
    ) -> SipMessage:
        """Send a new offer in the call (hold, resume, another media address) and acknowledge; returns the answer."""
        return self._transact("INVITE", {}, self.offer(direction, address, codecs), deadline_s)

    def request(
        self, method: str, headers: Mapping[str, str] | None = None, body: str = "", deadline_s: float = 5.0
    ) -> SipMessage:
        """Any request in the call; returns the final answer."""
        return self._transact(method, headers or {}, body, deadline_s)

    def offer(
        self,
        direction: str = "sendrecv",
        address: tuple[str, int] | None = None,
        codecs: Sequence[int] | None = None,
    ) -> str:
        """An SDP body for our media address and codecs, or for others."""
        codecs = self.manner.codecs if codecs is None else codecs
        relay = self.manner.relay
        host, port = address or (relay.gateway_side if relay else self.stream.address)
        self._sdp_version += 1
        lines = ["v=0", f"o=caller 1 {self._sdp_version} IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0"]
        lines.append(f"m=audio {port} RTP/AVP {' '.join(map(str, codecs))}")
        lines += [f"a=rtpmap:{codec} {RTPMAP[codec]}" for codec in codecs]
        self._sdp = "\n".join([*lines, f"a={direction}", ""])
        return self._sdp

    def fill_in(self, sdp: str) -> str:
        """An SDP body with our media address in place of `$ADDRESS` and `$PORT`."""
        host, port = self.stream.address
        return sdp.replace("$ADDRESS", host).replace("$PORT", str(port))

    def send(self, pcm: Pcm) -> None:
        """Queue sound at 8 kHz behind what is queued; it leaves in 20 ms packets once the call is answered."""
        self.stream.send(pcm)

    def press(self, digit: str, length_ms: int = 100) -> None:
        """Queue a key press (RFC 4733)."""
        self.stream.press(digit, length_ms)

    @property
    def received(self) -> tuple[RtpPacket, ...]:
        """Every RTP packet heard, with the kernel's time of arrival."""
        return self.stream.received

    def heard(self, since_s: float = 0.0) -> Pcm:
        """What was heard since a monotonic time, as one sound at 8 kHz, by RTP timestamps."""
        return timeline([packet for packet in self.stream.received if packet.time_s >= since_s])

    # --- what a test waits for ---

    def wait_status(self, status: int, method: str = "INVITE", deadline_s: float = 5.0) -> SipMessage:
        """The first answer with this status."""
        return self._wait(
            lambda: self._find(lambda m: m.status == status and m.method == method), str(status), deadline_s
        )

    def wait_answered(self, deadline_s: float = 5.0) -> SipMessage:
        """The 200 to the first INVITE that was acted upon."""
        self._wait(lambda: self._answer or self.ended_by, "200 OK", deadline_s)
        if self._answer is None:
            raise PeerError(self.explain("not answered but rejected"))
        return self._answer

    def wait_rejected(self, deadline_s: float = 5.0) -> SipMessage:
        """The final answer that refused the call."""
        return self._wait(
            lambda: self._find(lambda m: m.method == "INVITE" and (m.status or 0) >= REDIRECT_STATUS),
            "a final answer that is no 200", deadline_s
        )  # fmt: skip

    def wait_final(self, deadline_s: float = 5.0) -> SipMessage:
        """The first final answer, whatever it is."""
        return self._wait(
            lambda: self._find(lambda m: m.method == "INVITE" and (m.status or 0) >= OK_STATUS), "an answer", deadline_s
        )

    def wait_ended(self, deadline_s: float = 10.0) -> str:
        """Return when the call is over: `us`, `them` or `rejected`."""
        return self._wait(lambda: self.ended_by, "the end of the call", deadline_s)

    def wait_heard(self, length_ms: float, since_s: float = 0.0, deadline_s: float = 10.0) -> Pcm:
        """What was heard since a time, once it is so long."""
        try:
            wait_until(lambda: len(self.heard(since_s)) >= length_ms * 8, f"{length_ms:g} ms of sound", deadline_s)
        except PeerError as error:
            raise PeerError(self.explain(f"{error}; it was {len(self.heard(since_s)) / 8:g} ms")) from None
        return self.heard(since_s)

    def explain(self, what: str) -> str:
        """`what` and all messages: the text of a failure."""
        first_s = self.messages[0].time_s if self.messages else 0.0
        log = "\n".join(f"{'>' if m.sent else '<'} {m.time_s - first_s:7.3f} {m.text.strip()}\n" for m in self.messages)
        return f"call {self._uri}: {what}; {len(self.received)} RTP packets came\n{log}"

    def close(self) -> None:
        """Hang up if the call lives, and free the media port."""
        try:
            if self._answer is not None and self.ended_by is None:
                self.hangup(deadline_s=2.0)
        finally:
            with self._changed:
                self._closed = True
                self._changed.notify_all()
            for thread in self._repeaters:
                thread.join()
            self.stream.close()

    # --- what the network does, on the caller's SIP thread ---

    def on_message(self, message: SipMessage) -> None:
        """Take a message of this call."""
        with self._changed:
            self.messages.append(message)
            if message.status is None:
                self._on_request(message)
            elif message.method == "INVITE":
                self._on_invite_answer(message, message.status)
            self._changed.notify_all()

    def _on_invite_answer(self, answer: SipMessage, status: int) -> None:
        if status < OK_STATUS:
            self._learn_media(answer)
        elif status < REDIRECT_STATUS:
            if self._deaf_to > 0:
                self._deaf_to -= 1
                return
            self._on_ok(answer)
        else:
            headers = [("Via", self._via(self._branches[answer.cseq[0]])), ("To", answer.header("To") or "")]
            headers += [pair for pair in self._dialog_headers(answer.cseq[0], "ACK") if pair[0] != "To"]
            in_dialog = self._answer is not None
            self._put(compose(f"ACK {self._target if in_dialog else self._uri} SIP/2.0", headers, "", time.monotonic()))
            if not in_dialog and self.ended_by is None:
                self.ended_by = "rejected"

    def _on_ok(self, answer: SipMessage) -> None:
        first = self._answer is None
        if first:
            self._answer = answer
            self._remote_tag = answer.to_tag
            self._target = answer.contact_uri or self._uri
            self._routes = tuple(reversed(answer.headers("Record-Route")))
        if self.manner.ack:
            body = self.offer() if self.manner.late_offer and self.manner.answer_late and first else ""
            self._put(self._request("ACK", {}, body, number=answer.cseq[0]))
        self._learn_media(answer)
        if first and self.manner.bye_at_once:
            self.ended_by = "us"
            self._put(self._request("BYE", {}, ""))
        elif self.manner.speak and self.stream.remote is not None:
            self.stream.start(self.stream.remote)

    def _learn_media(self, answer: SipMessage) -> None:
        remote = media_address(answer.body)
        relay = self.manner.relay
        if remote is None:
            return
        if relay is not None:
            relay.to_gateway.target, relay.to_caller.target = remote, self.stream.address
            remote = relay.caller_side
        self.stream.remote = remote

    def _on_request(self, request: SipMessage) -> None:
        if request.method == "ACK" or request.method in self.manner.unanswered:
            return
        copied = [("Via", via) for via in request.headers("Via")]
        copied += [(name, request.header(name) or "") for name in ("From", "To", "Call-ID", "CSeq")]
        if self.manner.challenge is not None and request.header("Proxy-Authorization") is None:
            copied.append(("Proxy-Authenticate", self.manner.challenge))
            self._put(compose("SIP/2.0 407 Proxy Authentication Required", copied, "", time.monotonic()))
            if request.method == "BYE":
                self.ended_by = self.ended_by or "them"
                self.stream.halt()
            return
        if self._refusals.get(request.method):
            status = self._refusals[request.method].pop(0)
            self._put(compose(f"SIP/2.0 {status} No", copied, "", time.monotonic()))
            return
        if request.method == "BYE":
            if self.manner.crossing_bye and self.ended_by is None:
                self._put(self._request("BYE", {}, ""))
            self.ended_by = self.ended_by or "them"
            self.stream.halt()
        headers, body = copied, ""
        if request.method in {"INVITE", "UPDATE"}:
            headers.append(("Contact", f"<{self._own_uri}>"))
            self._target = request.contact_uri or self._target  # RFC 3261 section 12.2.2
            self._learn_media(request)
            body = self._sdp if request.body or request.method == "INVITE" else ""
        status = self.manner.options_status if request.method == "OPTIONS" else OK_STATUS
        self._put(compose(f"SIP/2.0 {status} {'OK' if status == OK_STATUS else 'No'}", headers, body, time.monotonic()))

    # --- requests ---

    def _transact(self, method: str, headers: Mapping[str, str], body: str, deadline_s: float) -> SipMessage:
        message = self._request(method, headers, body)
        self._put(message)
        self._retransmit_until_answered(message)
        number = message.cseq[0]
        return self._wait(
            lambda: self._find(lambda m: m.cseq == (number, method) and (m.status or 0) >= OK_STATUS),
            f"an answer to {method}", deadline_s
        )  # fmt: skip

    def _retransmit_until_answered(self, message: SipMessage) -> None:
        """Timers A and E of RFC 3261 section 17.1, on a thread of its own that ends with the answer or the call."""

        def answers(other: SipMessage) -> bool:
            return other.status is not None and other.cseq == message.cseq

        def repeat() -> None:
            for wait_s in RETRANSMIT_S:
                with self._changed:
                    if self._changed.wait_for(lambda: self._closed or self._find(answers), wait_s):
                        return
                    self._put(message)

        self._repeaters.append(threading.Thread(target=repeat, name="sip retransmit", daemon=True))
        self._repeaters[-1].start()

    def _request(self, method: str, extra: Mapping[str, str], body: str, number: int | None = None) -> SipMessage:
        with self._changed:
            if number is None:
                self._cseq += 1
                number = self._cseq
            branch = f"z9hG4bK{secrets.token_hex(8)}"
            if method != "ACK":
                self._branches[number] = branch
            headers = [("Via", self._via(branch)), *self._dialog_headers(number, method)]
            contact = f"<{self._own_uri}>" if self.manner.contact is None else self.manner.contact
            headers += [("Contact", contact)] if contact else []
            headers += [("User-Agent", "Caller"), *extra.items()]
            return compose(f"{method} {self._target} SIP/2.0", headers, body, time.monotonic())

    def _dialog_headers(self, number: int, method: str, *, tagged: bool = True) -> list[tuple[str, str]]:
        tag = f";tag={self._remote_tag}" if self._remote_tag and tagged else ""
        return [
            ("Max-Forwards", "70"),
            *(("Route", route) for route in self._routes),
            ("From", f"<{self._own_uri}>;tag={self._local_tag}"),
            ("To", f"<{self._uri}>{tag}"),
            ("Call-ID", self.call_id),
            ("CSeq", f"{number} {method}"),
        ]

    @property
    def _own_uri(self) -> str:
        return f"sip:{self.manner.user}@{self._local[0]}:{self._local[1]}"

    def _via(self, branch: str) -> str:
        return f"SIP/2.0/UDP {self._local[0]}:{self._local[1]};branch={branch};rport"

    def _put(self, message: SipMessage) -> None:
        with self._changed:
            self.messages.append(message)
            self._transmit(message)

    def _wait(self, look: Callable[[], T | None], what: str, deadline_s: float) -> T:
        with self._changed:
            found = self._changed.wait_for(look, deadline_s)
            if not found:
                raise PeerError(self.explain(f"{what}: not within {deadline_s:g} s"))
            return found

    def _find(self, wanted: Callable[[SipMessage], bool]) -> SipMessage | None:
        return next((message for message in self.messages if not message.sent and wanted(message)), None)
