"""One gateway at all addresses of two networks: run in a network of its own by test_addresses.py."""

from __future__ import annotations

import subprocess

from tests.e2e.gateway_process import GatewayProcess, Setup
from tests.e2e.own_network import have, loopback
from tests.e2e.peers.process import free_port
from tests.e2e.test_addresses import ROUTES, over_tcp, over_udp, told

NETWORKS = (("198.51.100.1", "198.51.100.7"), ("203.0.113.1", "203.0.113.7"))
"""The gateway's address in each, and a caller's."""


def route(caller: str, ours: str) -> None:
    """Reach a caller from one of our addresses; the kernel chooses the caller's own for what is at this host."""
    subprocess.run(["ip", "route", "add", "local", caller, "dev", "lo", "src", ours], check=True)


def main() -> None:
    """Each caller is told the address in its own network, whichever way it calls."""
    loopback("up")
    for ours, caller in NETWORKS:
        have(ours)
        route(caller, ours)
    port = free_port("0.0.0.0")
    gateway = GatewayProcess(Setup(ROUTES, sip={"listen": [f"udp:0.0.0.0:{port}", f"tcp:0.0.0.0:{port}"]}))
    with gateway:
        for exchange in (over_udp, over_tcp):
            for ours, caller in NETWORKS:
                contact = f"<sip:caller@{caller}:9;transport={'udp' if exchange is over_udp else 'tcp'}>"
                assert told(exchange((ours, port), contact, caller)) == (ours, ours)


if __name__ == "__main__":
    main()
