"""PJSIP's log lines, in the gateway's log. For the asyncio thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from media import _engine

if TYPE_CHECKING:
    import asyncio

_log = structlog.get_logger("sip")

_LEVELS = {1: "error", 2: "warning"}
"""All other levels are debug: PJSIP's level 3 reports the events of each call, which the gateway logs itself."""
_REPORTED = {"pjsua_acc.c": "regist", "account.cpp": "regist", "pjsua_call.c": "request verification failed"}
"""What the gateway reports itself, with the cause, by PJSIP's sender and a part of the text in lower case: a failed
REGISTER (`trunk.failed`), an offer that cannot be answered (`call.refused`)."""
_COUNT_S = 5.0
"""How long dropped lines are counted before a line reports them."""


class PjLog:
    """Passes PJSIP's lines on as they come, between `start` and `stop`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._dropped = 0
        self._count: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Start reading."""
        self._loop.add_reader(_engine.pjlog_fileno(), self._drain)

    def stop(self) -> None:
        """Read the lines that are left, and stop."""
        self._loop.remove_reader(_engine.pjlog_fileno())
        self._drain()
        if self._count is not None:
            self._count.cancel()
        self._tell_dropped()

    def _drain(self) -> None:
        lines, dropped = _engine.take_pjlog()
        self._dropped += dropped
        for level, said in lines:
            # Bytes that are not UTF-8 come from a stranger: they are escaped, so that the log shows them.
            sender, _, text = said.decode(errors="backslashreplace").strip().partition(" ")
            known = sender in _REPORTED and _REPORTED[sender] in text.lower()
            getattr(_log, "debug" if known else _LEVELS.get(level, "debug"))(
                "pjsip.said", sender=sender, text=text.strip()
            )
        if self._count is None and (lines or dropped):
            # A dropped line does not wake us: look again when a flood may be over.
            self._count = self._loop.call_later(_COUNT_S, self._on_counted)

    def _on_counted(self) -> None:
        self._count = None
        self._drain()
        self._tell_dropped()

    def _tell_dropped(self) -> None:
        if self._dropped:
            _log.warning("pjsip.log_overflow", dropped=self._dropped, always=True)
            self._dropped = 0
