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
    """Warn about addresses that another program uses, or that are not this machine's.

    There are no warnings while the gateway with these settings runs, since it uses the addresses itself.
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
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # old connections do not matter
        try:
            probe.bind((str(one.address), one.port))
        except OSError as error:
            match error.errno:
                case errno.EADDRINUSE:
                    return f"another program uses {one}", listen_fix(error.errno, one.transport, one.port)
                case errno.EADDRNOTAVAIL:
                    return f"this machine has no address {one.address}", "run ip address to see its addresses"
    return None


def _answers(control: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_ANSWER_S)
        try:
            probe.connect(str(control))
        except PermissionError:
            return True  # it may run, but we may not ask it
        except OSError:
            return False
    return True
