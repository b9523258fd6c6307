"""Errors of the SIP endpoint that we or the administrator must fix."""

from __future__ import annotations

import errno

_SS = {"udp": "-lnup", "tcp": "-lntp"}


class SipStartError(Exception):
    """The endpoint could not start: a port is in use, an address is not this machine's, a limit is too high.

    The message names the setting, its value and the fix.
    """


def listen_fix(number: int, transport: str, port: int) -> str:
    """The fix when the system refuses to listen on an address, by its error number; empty for other errors."""
    match number:
        case errno.EADDRINUSE:
            command = f"sudo ss {_SS[transport]} 'sport = :{port}'"
            return f"{command} shows which program uses it; stop it, or choose another port"
        case errno.EADDRNOTAVAIL:
            return "this machine has no such address; run ip address to see its addresses"
        case errno.EACCES:
            return "only root may use ports below 1024; choose another port"
        case _:
            return ""
