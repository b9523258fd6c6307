"""Checks whether the addresses to listen on are free on this machine."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING

from gateway.settings import service_socket
from gateway.sip.errors import listen_fix

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gateway.settings.document import Document
    from gateway.settings.model import Listen, Settings
    from gateway.settings.problem import Problem

_ANSWER_S = 2.0
_KINDS = {"udp": socket.SOCK_DGRAM, "tcp": socket.SOCK_STREAM}


def unavailable(settings: Settings, document: Document, path: Path | None) -> Iterator[Problem]:
    """Warn of addresses that another program has, or that are not this machine's.

    Nothing is said while the gateway of these settings runs: then it is the one that has them.
    """
    if _answers(service_socket(path, settings.control)):
        return
    for index, one in enumerate(settings.sip.listen):
        found = _obstacle(one)
        if found is not None:
            message, fix = found
            yield document.problem(("sip", "listen", index), f"warning: {message}", fix)


def _obstacle(one: Listen) -> tuple[str, str] | None:
    with socket.socket(socket.AF_INET, _KINDS[one.transport]) as probe:
        if one.transport == "tcp":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of the past are no obstacle
        try:
            probe.bind((str(one.address), one.port))
        except OSError as error:
            match error.errno:
                case errno.EADDRINUSE:
                    return f"another program has {one}", listen_fix(error.errno, one.transport, one.port)
                case errno.EADDRNOTAVAIL:
                    return f"this machine has no address {one.address}", "ip address shows those that it has"
    return None


def _answers(control: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_ANSWER_S)
        try:
            probe.connect(str(control))
        except PermissionError:
            return True  # others may not ask it
        except OSError:
            return False
    return True
