"""What PJSIP says, in the gateway's log. For the asyncio thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from media import _engine

if TYPE_CHECKING:
    import asyncio

_log = structlog.get_logger("sip")

_EVENTS = {1: "error", 2: "warning"}
"""PJSIP's information (3) tells each call's life anew; the gateway has its own words for that."""
_ACCOUNTS = {"pjsua_acc.c", "account.cpp"}
"""Who in PJSIP says that a REGISTER failed: `trunk.failed` says so too, with the cause and the fix."""
_COUNT_S = 5.0
"""How long dropped lines are counted before a line tells of them."""


class PjLog:
    """Hands PJSIP's lines on as they come. Between `start` and `stop`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._dropped = 0
        self._count: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to read."""
        self._loop.add_reader(_engine.pjlog_fileno(), self._drain)

    def stop(self) -> None:
        """Read the rest."""
        self._loop.remove_reader(_engine.pjlog_fileno())
        self._drain()
        if self._count is not None:
            self._count.cancel()
        self._tell_dropped()

    def _drain(self) -> None:
        lines, dropped = _engine.take_pjlog()
        self._dropped += dropped
        for level, said in lines:
            # Bytes that are no UTF-8 are a stranger's, and show what they are.
            sender, _, text = said.decode(errors="backslashreplace").strip().partition(" ")
            known = sender in _ACCOUNTS and "regist" in text.lower()
            getattr(_log, "debug" if known else _EVENTS.get(level, "debug"))(
                "pjsip.said", sender=sender, text=text.strip()
            )
        if self._count is None and (lines or dropped):
            # Lines that are dropped wake nobody: look once more when a flood may be over.
            self._count = self._loop.call_later(_COUNT_S, self._on_counted)

    def _on_counted(self) -> None:
        self._count = None
        self._drain()
        self._tell_dropped()

    def _tell_dropped(self) -> None:
        if self._dropped:
            _log.warning("pjsip.log_overflow", dropped=self._dropped, always=True)
            self._dropped = 0
