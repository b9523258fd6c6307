"""Sets up logging for the process: structlog, readable on a terminal, JSON lines elsewhere.

Writing a line never blocks and never raises, whatever happens to standard error (`loglines/sink.py`). Lines are short
and printable, whatever strangers send or agents raise (`loglines/values.py`). Lines beyond a rate limit are dropped and
counted (`loglines/limiter.py`).
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import select
import sys
from typing import TYPE_CHECKING, Literal

import structlog

from gateway.loglines.chain import Libraries, Limit, Render, prefixed
from gateway.loglines.limiter import Limiter
from gateway.loglines.sink import CLOSE_S, LINE_BYTES_MAX, RawStream, Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TextIO

    from gateway.loglines.chain import Encode, Line

__all__ = ["Logs", "Writer", "complain", "drop_unwritten", "open_missing_streams", "set_up_logs"]

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_STDOUT, _STDERR = 1, 2

_PIECE = 400
"""Characters that fit into a pipe that takes more: 4,096 bytes (PIPE_BUF), each character escaped in up to ten."""

Level = Literal["debug", "info", "warning", "error"]
Style = Literal["auto", "console", "json"]


class Logs:
    """The log and the redirected standard streams while the gateway runs. Made by `set_up_logs`."""

    def __init__(self, level: Level, style: Style) -> None:
        for_journal = _is_journal(_STDERR)
        self._limiter = Limiter()
        self._stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
        self._encode: Encode = Render(_renderer(style), for_journal=for_journal)
        self._errors = Writer(_STDERR, "log", _Notices(self._limiter, self._line))
        self._prints = Writer(_STDOUT, "stdout", _Notices(None, self._line_of_prints))
        structlog.configure(
            processors=[
                Limit(self._limiter, self._errors.wake),
                structlog.contextvars.merge_contextvars,
                structlog.processors.add_log_level,
                self._stamp,
                self._encode,
            ],
            wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
            logger_factory=lambda *_: _Lines(self._errors.put),
            cache_logger_on_first_use=True,
        )
        self._streams = (
            RawStream(_STDOUT, "<stdout>", _printed(self._prints.put, _is_journal(_STDOUT), "info")),
            RawStream(_STDERR, "<stderr>", _printed(self._errors.put, for_journal, "warning")),
        )
        self._before = (sys.stdout, sys.stderr, logging.lastResort)

    def start(self) -> None:
        """Start writing, and redirect Python's standard streams, so that printing does not block either."""
        self._errors.start()
        self._prints.start()
        os.register_at_fork(after_in_child=self._after_fork)
        sys.stdout, sys.stderr = (_text(stream) for stream in self._streams)
        logging.lastResort = Libraries(logging.WARNING)

    def close(self) -> None:
        """Write the waiting lines, for a few seconds at most. Later lines are lost."""
        self._give_back_streams()
        for stream in self._streams:
            stream.finish()
        self._prints.close()
        self._errors.close()

    @property
    def waiting(self) -> bool:
        """Whether there are lines that were not written completely."""
        return self._errors.waiting

    def _give_back_streams(self) -> None:
        sys.stdout, sys.stderr, logging.lastResort = self._before

    def _after_fork(self) -> None:
        self._give_back_streams()
        self._limiter.after_fork()
        self._errors.after_fork()

    def _line(self, event: str, **values: object) -> bytes:
        """Make a log line about lost or dropped lines."""
        line: Line = {**values, "event": event, "level": "warning"}
        return self._encode(None, "warning", self._stamp(None, "warning", line))

    def _line_of_prints(self, event: str, **values: object) -> bytes:
        """Report lost output in the log instead, as standard output cannot be written."""
        self._errors.put(self._line(event, stream="stdout", **values))
        return b""


class _Notices:
    """The `sink.Notices` about both kinds of loss: lines that could not be written, and lines dropped by the limits."""

    def __init__(self, limiter: Limiter | None, line: Callable[..., bytes]) -> None:
        self._limiter = limiter
        self._line = line

    def pending(self) -> bool:
        return self._limiter is not None and self._limiter.dropped

    def tell(self, lost: int, why: str, write: Callable[[bytes], bool]) -> bool:
        if lost:
            line = self._line("log.lost", lines=lost, why=why)
            if line and not write(line):
                return False
        dropped = self._limiter.take_dropped() if self._limiter is not None else {}
        if self._limiter is not None and dropped and not write(self._line("log.limited", dropped=dropped)):
            self._limiter.give_back(dropped)
        return True


class _Lines:
    """The logger at the end of structlog's chain; structlog calls the method with the name of the level."""

    def __init__(self, put: Callable[[bytes], None]) -> None:
        self.debug = self.info = self.warning = self.error = self.critical = put


@contextlib.contextmanager
def set_up_logs(level: Level, style: Style) -> Iterator[Logs]:
    """Set up logging for the whole process until the context is left. All lines go to standard error.

    The style `auto` is `console` if standard error is a terminal, otherwise `json`.
    """
    logs = Logs(level, style)
    logs.start()
    try:
        yield logs
    finally:
        logs.close()


def complain(text: str, level: Level = "error") -> None:
    """Print on standard error why a command failed. If nobody can or does read it, there is still the exit code."""
    if _is_journal(_STDERR):
        text = prefixed(text.rstrip("\n").encode(errors="backslashreplace"), level).decode() + "\n"
    try:
        for start in range(0, len(text), _PIECE):
            if not _takes_more(sys.stderr):
                return
            sys.stderr.write(text[start : start + _PIECE])
            sys.stderr.flush()
    except ValueError:
        return  # standard error is closed
    except OSError:
        drop_unwritten(sys.stderr)


def _takes_more(stream: TextIO) -> bool:
    """Whether a piece can be written without waiting, now or in a few seconds."""
    try:
        fd = stream.fileno()
    except OSError:
        return True  # a test's stream, in memory
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return bool(poll.poll(CLOSE_S * 1000))


def drop_unwritten(stream: TextIO) -> None:
    """Discard what a stream has buffered; otherwise Python tries to write it at exit, and exits with status 120."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def open_missing_streams() -> None:
    """Open standard streams that a shell has closed (`2>&-`) on /dev/null.

    Otherwise the next socket would get the stream's number, and everything that is printed.
    """
    for fd, name, mode in ((0, "stdin", "r"), (_STDOUT, "stdout", "w"), (_STDERR, "stderr", "w")):
        try:
            os.fstat(fd)
        except OSError:
            # open() returns the lowest free number, which is this one: the lower ones are open by now.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # noqa: FBT003 - os has no keyword for it
        if getattr(sys, name) is None:
            setattr(sys, name, open(fd, mode, closefd=False))  # noqa: SIM115 - for the process's life


def _renderer(style: Style) -> structlog.typing.Processor:
    is_terminal = os.isatty(_STDERR)
    if style == "console" or (style == "auto" and is_terminal):
        return structlog.dev.ConsoleRenderer(colors=is_terminal, exception_formatter=structlog.dev.plain_traceback)
    return structlog.processors.JSONRenderer()


def _is_journal(fd: int) -> bool:
    """Whether a stream goes to journald itself (systemd.exec(5), $JOURNAL_STREAM)."""
    try:
        status = os.fstat(fd)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def _printed(put: Callable[[bytes], None], for_journal: bool, level: str) -> Callable[[bytes], None]:  # noqa: FBT001
    def put_line(line: bytes) -> None:
        if len(line) > LINE_BYTES_MAX:
            line = line[:LINE_BYTES_MAX] + b"... (%d bytes)" % len(line)
        put(prefixed(line, level) if for_journal else line)

    return put_line


def _text(stream: RawStream) -> io.TextIOWrapper:
    # Without a buffer, like Python's own standard error: a thread would wait for the lock of another's buffer.
    return io.TextIOWrapper(stream, encoding="utf-8", errors="backslashreplace", write_through=True)
