"""A trunk's TCP connection dies without a word: run in a network of its own by test_dead_flow.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.gateway_process import GatewayProcess, Setup
from tests.e2e.own_network import loopback
from tests.e2e.peers.process import wait_until
from tests.e2e.peers.registrar import Registrar

if TYPE_CHECKING:
    from tests.e2e.gateway_process import Json

NOTICED_WITHIN_S = 75.0
"""A keep-alive every 30 s, and 30 s in which it stays unacknowledged; the rest is for the machine."""


def main() -> None:
    """Register, lose every packet, and see that the gateway notices and registers anew over another connection."""
    loopback("up")
    with Registrar("tcp", 3600) as registrar:
        trunk: dict[str, Json] = {
            "registrar": registrar.address,
            "user": "gateway",
            "transport": "tcp",
            "expires": "1h",
            "retry": {"first": "500ms", "max": "1s"},
        }
        with GatewayProcess(Setup(trunks={"carrier": trunk})) as gateway:
            gateway.wait_trunk("registered")
            (first,) = registrar.contacts
            loopback("down")
            wait_until(lambda: gateway.trunk()["state"] != "registered", "it notices", NOTICED_WITHIN_S)
            loopback("up")
            gateway.wait_trunk("registered")
            assert len(registrar.contacts) >= 2
            assert registrar.contacts[-1][1] != first[1], "over a connection of its own"


if __name__ == "__main__":
    main()
