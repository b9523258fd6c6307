"""Errors of the SIP endpoint that are our side's or the administrator's to fix."""

from __future__ import annotations

import errno

_SS = {"udp": "-lnup", "tcp": "-lntp"}


class SipStartError(Exception):
    """The endpoint could not start: a transport is taken, an address is not ours, a limit is too high.

    The message names the setting, its value and the fix.
    """


def listen_fix(number: int, transport: str, port: int) -> str:
    """What to do when an address cannot be listened on, by the system's error number; empty when that is not known."""
    match number:
        case errno.EADDRINUSE:
            who = f"sudo ss {_SS[transport]} 'sport = :{port}'"
            return f"{who} tells which program has it; stop it, or choose another port"
        case errno.EADDRNOTAVAIL:
            return "this machine has no such address; ip address shows those that it has"
        case errno.EACCES:
            return "ports below 1024 are root's; choose another port"
        case _:
            return ""
