"""Connections that strangers make and leave idle: they keep nobody out, and a trunk least of all."""

from __future__ import annotations

import resource
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.e2e.gateway_process import GatewayProcess, Json, Setup
from tests.e2e.peers.process import LOOPBACK, wait_until
from tests.e2e.peers.registrar import Registrar
from tests.e2e.peers.sip_message import SipMessage, compose

if TYPE_CHECKING:
    from collections.abc import Iterator

PER_SOURCE, ALL = 64, 768
NEEDED_FILES = 4096


@pytest.fixture(autouse=True)
def _files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, NEEDED_FILES)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def connect(stack: ExitStack, gateway: GatewayProcess, source: str, count: int) -> list[socket.socket]:
    made = []
    for _ in range(count):
        connection = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        connection.bind((source, 0))
        connection.settimeout(5)
        connection.connect(gateway.address)
        connection.setblocking(False)
        made.append(connection)
    return made


def is_open(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
    except ConnectionResetError:
        return False


def asked(connection: socket.socket, number: int) -> int | None:
    """The status of the answer to OPTIONS over a connection."""
    host, port = connection.getsockname()
    headers = [
        ("Via", f"SIP/2.0/TCP {host}:{port};branch=z9hG4bK{port}{number};rport"),
        ("Max-Forwards", "70"),
        ("From", "<sip:caller@127.0.0.1>;tag=caller"),
        ("To", "<sip:600@127.0.0.1>"),
        ("Call-ID", f"{port}-{number}"),
        ("CSeq", "1 OPTIONS"),
    ]
    connection.settimeout(5)
    connection.sendall(compose("OPTIONS sip:600@127.0.0.1 SIP/2.0", headers, "", 0).wire())
    return SipMessage.from_wire(connection.recv(65536), 0).status


def test_one_source_may_have_so_many() -> None:
    with GatewayProcess() as gateway, ExitStack() as stack:
        made = connect(stack, gateway, LOOPBACK, PER_SOURCE + 100)
        wait_until(lambda: len([one for one in made if is_open(one)]) == PER_SOURCE, "the rest is closed", 10)
        assert is_open(made[0])
        assert asked(made[0], 1) == 200
        (other,) = connect(stack, gateway, "127.0.0.2", 1)
        assert asked(other, 1) == 200


def test_a_trunks_connection_is_made_all_the_same() -> None:
    registrar = Registrar("tcp", 300)
    trunk: dict[str, Json] = {
        "registrar": registrar.address,
        "user": "gateway",
        "transport": "tcp",
        "retry": {"first": "500ms", "max": "1s"},
    }
    with GatewayProcess(Setup(trunks={"carrier": trunk})) as gateway, ExitStack() as stack:
        gateway.wait_trunk("failed")
        (used,) = connect(stack, gateway, "127.0.0.9", 1)
        made = [one for n in range(22) for one in connect(stack, gateway, f"127.0.1.{n + 1}", 50)]
        assert len(made) > 1024
        wait_until(lambda: len([one for one in made if is_open(one)]) <= ALL, "the rest is closed", 10)
        assert not is_open(used), "the one that was idle for longest goes"
        stack.enter_context(registrar)
        gateway.wait_trunk("registered")
        (caller,) = connect(stack, gateway, "127.0.0.9", 1)
        assert asked(caller, 1) == 200


def test_a_flood_of_connections_leaves_room_for_a_trunks() -> None:
    """PJSIP keeps the place of a connection for half a second after its end."""
    registrar = Registrar("tcp", 300)
    trunk: dict[str, Json] = {
        "registrar": registrar.address,
        "user": "gateway",
        "transport": "tcp",
        "retry": {"first": "500ms", "max": "1s"},
    }
    with GatewayProcess(Setup(trunks={"carrier": trunk})) as gateway:
        gateway.wait_trunk("failed")
        for n in range(20):
            with ExitStack() as stack:
                connect(stack, gateway, f"127.0.1.{n + 1}", 100)
        with registrar:
            gateway.wait_trunk("registered")
        assert not gateway.events("pjsip.said")


@pytest.mark.slow
def test_a_connection_over_which_nothing_comes_is_closed() -> None:
    """After half a minute; one over which a request came has ten."""
    with GatewayProcess() as gateway, ExitStack() as stack:
        silent, used = connect(stack, gateway, LOOPBACK, 2)
        assert asked(used, 1) == 200
        used.setblocking(False)
        wait_until(lambda: not is_open(silent), "it is closed", 60)
        assert is_open(used)
