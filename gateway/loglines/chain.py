"""structlog's processors, between the code that logs a line and the thread that writes it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, MutableMapping
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from gateway.loglines.sink import LINE_BYTES_MAX
from gateway.loglines.values import TIGHT, Bounds, cut, key, plain, trace

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.loglines.limiter import Limiter
    from gateway.loglines.values import ExceptionInfo

ALWAYS = "always"
"""`always=True` in a line: no rate limit drops it. Only for lines that no stranger can cause with one packet."""
_PRIORITIES = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}
"""sd-daemon(3), syslog(3)."""

Line = MutableMapping[str, Any]


class Encode(Protocol):
    """Turns a line into the bytes that are written."""

    def __call__(self, logger: object, level: str, line: Mapping[str, Any]) -> bytes:
        """`level` is the name of structlog's method."""


def prefixed(text: bytes, level: str) -> bytes:
    """The text with the priority at the beginning of each line, where journald reads it (sd-daemon(3))."""
    priority = b"<%d>" % _PRIORITIES.get(level, 6)
    return b"\n".join(priority + line for line in text.split(b"\n"))


class Limit:
    """Drops a line when there were too many of its kind: with the same event, and the same `sender` if it has one."""

    def __init__(self, limiter: Limiter, on_dropped: Callable[[], None]) -> None:
        self._limiter = limiter
        self._on_dropped = on_dropped

    def __call__(self, _logger: object, _level: str, line: Line) -> Line:
        """Return the line; raise structlog's DropEvent when its kind is over its limit."""
        if line.pop(ALWAYS, False):
            return line
        kind, sender = cut(str(line.get("event")), 100), line.get("sender")
        kind = kind if sender is None else f"{kind} {cut(str(sender), 100)}"
        first = not self._limiter.dropped
        if self._limiter.admits(kind):
            return line
        if first:
            self._on_dropped()
        raise structlog.DropEvent


class Render:
    """Makes a line short and printable, as JSON or for a terminal. Never raises, for any values."""

    def __init__(self, renderer: structlog.typing.Processor, *, for_journal: bool) -> None:
        self._renderer = renderer
        self._for_journal = for_journal

    def __call__(self, logger: object, level: str, line: Mapping[str, Any]) -> bytes:
        """Turn a line into bytes; structlog's last processor."""
        text = self._rendered(logger, level, line, Bounds())
        if len(text) > LINE_BYTES_MAX:
            text = self._rendered(logger, level, line, TIGHT)
        return prefixed(text, level) if self._for_journal else text

    def _rendered(self, logger: object, level: str, line: Mapping[str, Any], bounds: Bounds) -> bytes:
        info = _exception_info(line.get("exc_info"))
        items = islice(((name, value) for name, value in line.items() if name != "exc_info"), bounds.items)
        kept: dict[str, object] = {key(name, bounds): plain(value, bounds) for name, value in items}
        if info is not None:
            kept["exception"] = trace(info, bounds)
        rendered = self._renderer(logger, level, kept)
        return rendered if isinstance(rendered, bytes) else str(rendered).encode(errors="backslashreplace")


def _exception_info(given: object) -> ExceptionInfo | None:
    if isinstance(given, BaseException):
        return type(given), given, given.__traceback__
    match given if isinstance(given, tuple) else sys.exc_info() if given else ():
        case (type() as kind, BaseException() as error, trace_):
            return kind, error, trace_
    return None


class Libraries(logging.Handler):
    """Takes the records of Python's own logging, unless an agent's author has configured logging differently."""

    def emit(self, record: logging.LogRecord) -> None:
        """Turn the record into a line of structlog."""
        try:
            text = record.getMessage()
        except Exception as error:  # noqa: BLE001 - the library's error, reported in the text
            text = f"{record.msg!r}, whose arguments do not fit: {error}"
        log = structlog.get_logger("libraries")
        # structlog knows only Python's own levels, but a library may use one between them.
        level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)
        log.log(level, "library.said", sender=record.name, text=text, exc_info=record.exc_info)
