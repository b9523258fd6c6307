"""Checks whether the addresses to listen on are free on this machine."""

from __future__ import annotations

import errno
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.control.client import NoAnswerError, ask
from gateway.control.server import OF_ITS_OWN
from gateway.loglines.values import printable
from gateway.settings import service_socket
from gateway.sip.errors import listen_fix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.settings.document import Document
    from gateway.settings.model import Listen, Settings
    from gateway.settings.problem import Problem

_ANSWER_S = 2.0
_KINDS = {"udp": socket.SOCK_DGRAM, "tcp": socket.SOCK_STREAM}


def unavailable(settings: Settings, document: Document, path: Path | None) -> Iterator[Problem]:
    """Warn about addresses that another program uses, or that are not this machine's.

    There are no warnings while the gateway with these settings runs, since it uses the addresses itself.
    """
    control = service_socket(path, settings.control)
    if _answers(control):
        other = _other_settings(control, path)
        if other is not None:
            message = f"warning: a gateway with other settings ({other}) answers on {control}"
            fix = f"stop that one, or give this one {OF_ITS_OWN}"
            yield document.problem(("control", "socket"), message, fix)
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


def _other_settings(control: Path, path: Path | None) -> str | None:
    """The settings of the gateway that answers, if they are not those in this file; None also if it does not say."""
    try:
        said = ask(control, "status", deadline_s=_ANSWER_S)
    except NoAnswerError:
        return None
    if "settings" not in said:
        return None
    theirs = said["settings"]
    same = path is None if theirs is None else path is not None and Path(str(theirs)).resolve() == path.resolve()
    return None if same else printable(str(theirs or "embedded default"))


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
