"""Callers who do everything at once: requests of a dialog in any order, without waiting for any answer."""

from __future__ import annotations

import secrets
import select
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.e2e.gateway_process import ROUTES, GatewayProcess, Json, Object, Setup, python_agent, to_agent
from tests.e2e.peers.sip_message import SipMessage, compose
from tests.hostile.budget import SECONDS, dice, rounds
from tests.hostile.conftest import GROWTH_KB, REFUSED, sanitized
from tests.hostile.corpus import SDP

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from tests.hostile.canary import Canary

DIALOGS_PER_S = 40
DELAYS_S = (0.0, 0.0, 0.0, 0.002, 0.010, 0.050, 0.200)
METHODS = (
    "ACK", "ACK", "ACK", "BYE", "BYE", "CANCEL", "CANCEL", "INVITE", "INVITE", "UPDATE", "UPDATE", "PRACK", "INFO",
    "OPTIONS", "REFER", "NOTIFY",
)  # fmt: skip
ANSWERS = ("200 OK", "200 OK", "481 Gone", "408 Too late", "491 Pending", "500 Broken", None)
NUMBERS = ("600", "600", "601", "refused", "ringing", "early", "raises", "slow", "blocks", "leaves")
AGENTS: dict[str, Json] = {
    "raises": python_agent("Raises"),
    "slow": python_agent("SlowStart", start_timeout="2s"),
    "blocks": python_agent("Blocks", max_calls=8, cancel_deadline="500ms", hangup_grace="100ms"),
    "leaves": python_agent("HangsUp"),
}
MORE_ROUTES: tuple[Object, ...] = (
    {"name": "ringing", "match": {"to": "ringing"}, "steps": ["ring", {"pause": "50ms"}, {"agent": "echo"}]},
    {
        "name": "early",
        "match": {"to": "early"},
        "steps": [{"ring": {"early": True}}, {"pause": "50ms"}, "answer", {"pause": "20ms"}, "hangup"],
    },
    *(to_agent(name, name) for name in AGENTS),
)
RELOADS_PER_S = 20
STANDING_KB = GROWTH_KB + 2_500 * max(0.0, min(SECONDS, 32) - 5)
"""Transactions and dialogs stand for 32 s: in a longer attack memory grows by so much (92 MB after 45 s, 102 MB after
90 s), and is level from then on."""


@pytest.fixture
def gateway() -> Iterator[GatewayProcess]:
    setup = Setup((*ROUTES, *MORE_ROUTES, REFUSED), AGENTS, limits={"calls": 400}, environment=sanitized())
    with GatewayProcess(setup) as running:
        yield running
        running.finish()  # what was never acknowledged would stand for a minute


@dataclass
class Dialog:
    """One that was begun, and what is known of it."""

    number: str
    call_id: str = field(default_factory=lambda: secrets.token_hex(8))
    branch: str = field(default_factory=lambda: "z9hG4bK" + secrets.token_hex(8))
    to_tag: str = ""
    target: str = ""
    cseq: int = 1
    rack: str = "1 1 INVITE"


class Racer:
    """Has many dialogs on one UDP socket."""

    def __init__(self, gateway: GatewayProcess, choices: random.Random) -> None:
        self._gateway = gateway
        self._choices = choices
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.66", 0))
        self._socket.setblocking(False)
        self._dialogs: dict[str, Dialog] = {}
        self._due: list[tuple[float, Dialog, str]] = []

    def race(self, seconds: float = SECONDS) -> None:
        """Begin dialogs and answer what comes of them, for so long and a little more."""
        begin_s = now_s = time.monotonic()
        begun = 0
        while now_s < begin_s + seconds + max(DELAYS_S) + 1:
            if now_s < begin_s + seconds and now_s >= begin_s + begun / DIALOGS_PER_S:
                begun += 1
                self._begin(Dialog(self._choices.choice(NUMBERS)))
            for entry in [entry for entry in self._due if entry[0] <= now_s]:
                self._due.remove(entry)
                self._send(entry[1], entry[2])
            select.select([self._socket], [], [], 0.002)
            self._receive()
            now_s = time.monotonic()

    def close(self) -> None:
        """Leave without a word."""
        self._socket.close()

    def _begin(self, dialog: Dialog) -> None:
        self._dialogs[dialog.call_id] = dialog
        self._send(dialog, "INVITE")
        if self._choices.random() < 0.2:
            self._plan(dialog, "CANCEL")
        if self._choices.random() < 0.1:
            dialog.branch = "z9hG4bK" + secrets.token_hex(8)  # the same request by another way (RFC 3261 8.2.2.2)
            self._send(dialog, "INVITE")

    def _plan(self, dialog: Dialog, method: str) -> None:
        self._due.append((time.monotonic() + self._choices.choice(DELAYS_S), dialog, method))

    def _send(self, dialog: Dialog, method: str) -> None:
        host, port = self._socket.getsockname()
        first = not dialog.to_tag or method == "CANCEL"
        if method not in {"ACK", "CANCEL"} and not first:
            dialog.cseq += 1
        branch = dialog.branch if first else "z9hG4bK" + secrets.token_hex(8)
        uri = f"sip:{dialog.number}@{self._gateway.target}"
        described = method in {"INVITE", "UPDATE"} and self._choices.random() < 0.8
        headers = [
            ("Via", f"SIP/2.0/UDP {host}:{port};branch={branch};rport"),
            ("Max-Forwards", "70"),
            ("From", f"<sip:racer@{host}:{port}>;tag={dialog.call_id[:6]}"),
            ("To", f"<{uri}>" + (f";tag={dialog.to_tag}" if dialog.to_tag and method != "CANCEL" else "")),
            ("Call-ID", dialog.call_id),
            ("CSeq", f"{1 if first or method == 'ACK' else dialog.cseq} {method}"),
            ("Contact", f"<sip:racer@{host}:{port}>"),
            ("Supported", self._choices.choice(("100rel, timer", "timer", "100rel"))),
            *([("RAck", dialog.rack)] if method == "PRACK" else []),
            *([("Refer-To", "<sip:600@127.0.0.1>")] if method == "REFER" else []),
            *([("Session-Expires", "90;refresher=uac")] if self._choices.random() < 0.2 else []),
        ]
        sdp = SDP.replace("o=- 1 1", f"o=- 1 {self._choices.randint(1, 3)}") if described else ""
        start = f"{method} {uri if first else dialog.target or uri} SIP/2.0"
        self._socket.sendto(compose(start, headers, sdp, 0.0).wire(), self._gateway.address)

    def _receive(self) -> None:
        for _ in range(200):
            try:
                message = SipMessage.from_wire(self._socket.recv(65_536), 0.0)
            except BlockingIOError:
                return
            dialog = self._dialogs.get(message.header("Call-ID") or "")
            if dialog is None:
                continue
            if message.status is None:
                self._answer(message)
            else:
                self._learn(dialog, message)

    def _learn(self, dialog: Dialog, answer: SipMessage) -> None:
        if message_is_of_the_first(answer) and answer.to_tag and not dialog.to_tag:
            dialog.to_tag = answer.to_tag
            dialog.target = answer.contact_uri or ""
            dialog.rack = f"{answer.header('RSeq') or 1} 1 INVITE"
            for _ in range(self._choices.randint(1, 6)):
                self._plan(dialog, self._choices.choice(METHODS))
            self._due.append((time.monotonic() + 0.5, dialog, "ACK"))  # or it stands for a minute
            self._due.append((time.monotonic() + 0.6, dialog, "BYE"))

    def _answer(self, request: SipMessage) -> None:
        status = self._choices.choice(ANSWERS)
        if status is None or request.start_line.startswith("ACK"):
            return
        copied = [(name, value) for name in ("Via", "From", "To", "Call-ID", "CSeq") for value in request.headers(name)]
        self._socket.sendto(compose(f"SIP/2.0 {status}", copied, "", 0.0).wire(), self._gateway.address)


def message_is_of_the_first(answer: SipMessage) -> bool:
    """Whether it answers the INVITE that began its dialog."""
    return answer.method == "INVITE" and answer.cseq[0] == 1


@pytest.mark.parametrize("growth_kb", [STANDING_KB], ids=["of-dialogs"])
def test_all_at_once(gateway: GatewayProcess, canary: Canary) -> None:
    """Each call has one record, none is left, and nothing was the gateway's own fault."""
    racer = Racer(gateway, dice("races"))
    try:
        racer.race()
    finally:
        racer.close()


def test_reloads_and_the_end_in_the_middle_of_it(gateway: GatewayProcess) -> None:
    """It ends in time, and every call that it took has a record."""
    racer = Racer(gateway, dice("signals"))
    racing = threading.Thread(target=racer.race, args=(SECONDS + 1,))
    racing.start()
    try:
        for _ in rounds(RELOADS_PER_S):
            gateway.reload()
        gateway.finish()
    finally:
        racing.join()
        racer.close()
