"""Registrars that answer anything at all."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.gateway_process import ROUTES, GatewayProcess, Json, Object, Setup
from tests.hostile.budget import SECONDS, dice
from tests.hostile.conftest import sanitized
from tests.hostile.mutation import Mutator
from tests.udp_server import UdpServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.hostile.canary import Canary

TRUNKS = 8
ANSWERS = (
    (200, "OK", "Contact: {contact};expires=2"),
    (200, "OK", "Contact: {contact};expires=1, <sip:other@127.0.0.1>;expires=7200"),
    (200, "OK", "Contact: *"),
    (200, "OK", "Contact: {contact};expires=0"),
    (200, "OK", "Expires: 1\r\nService-Route: <sip:127.0.0.1;lr>\r\nPath: <sip:127.0.0.1;lr>"),
    (401, "Unauthorized", 'WWW-Authenticate: Digest realm="{random}",nonce="{random}",qop="auth",stale=true'),
    (407, "Proxy", 'Proxy-Authenticate: Basic realm="x"\r\nProxy-Authenticate: Digest realm="y",nonce="{random}"'),
    (423, "Too brief", "Min-Expires: 4294967295"),
    (423, "Too brief", "Min-Expires: 3"),
    (301, "Moved", "Contact: <sip:127.0.0.1:9>"),
    (503, "Busy", "Retry-After: 1"),
    (100, "Trying", "Subject: none"),
)


class BrokenRegistrar(UdpServer):
    """Answers every REGISTER on one UDP port with a damaged answer, and with a good one once it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.good = False
        self.asked = 0
        self._choices = dice("registrar")
        self._mutator = Mutator(self._choices)

    @property
    def address(self) -> str:
        host, port = self.bound
        return f"{host}:{port}"

    def answers(self, data: bytes) -> Iterator[bytes]:
        if data.startswith(b"REGISTER"):
            self.asked += 1
            yield self._answer(data.decode(errors="replace"))

    def _answer(self, request: str) -> bytes:
        lines = request.split("\r\n")
        contact = next((line[9:] for line in lines if line.startswith("Contact: ")), "<sip:nobody@127.0.0.1>")
        code, reason, extra = (
            (200, "OK", "Contact: {contact};expires=60") if self.good else self._choices.choice(ANSWERS)
        )
        copied = [line for line in lines if line.partition(":")[0] in {"Via", "From", "To", "Call-ID", "CSeq"}]
        head = [f"SIP/2.0 {code} {reason}", *copied, extra.format(contact=contact, random=self._choices.random())]
        answer = "\r\n".join([*head, "Content-Length: 0", "", ""]).encode()
        return answer if self.good or self._choices.random() < 0.3 else self._mutator.mutate(answer)


@pytest.fixture
def registrar() -> Iterator[BrokenRegistrar]:
    with BrokenRegistrar() as one:
        yield one


@pytest.fixture
def gateway(registrar: BrokenRegistrar) -> Iterator[GatewayProcess]:
    one: Object = {
        "registrar": registrar.address,
        "password": "b",
        "expires": "60s",
        "retry": {"first": "100ms", "max": "300ms"},
    }
    names = ("carrier", *(f"trunk-{number}" for number in range(TRUNKS)))
    trunks: dict[str, Json] = {name: {**one, "user": name} for name in names}
    with GatewayProcess(Setup(ROUTES, trunks=trunks, environment=sanitized())) as running:
        yield running


def test_answers(registrar: BrokenRegistrar, gateway: GatewayProcess, canary: Canary) -> None:
    """Nothing of it hurts a call, and a registrar that comes to its senses is registered with."""
    time.sleep(2 * SECONDS)
    registrar.good = True
    gateway.wait_trunk("registered", deadline_s=60.0)
    asked = registrar.asked
    assert asked < 2 * SECONDS * 100 * (TRUNKS + 1), f"{asked} requests"
