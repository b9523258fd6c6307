"""Errors of the SIP endpoint that are our side's or the administrator's to mend."""

from __future__ import annotations


class SipStartError(Exception):
    """The endpoint could not start: a transport is taken, an address is not ours, a limit is too high.

    The message names the setting, its value and the mend.
    """
