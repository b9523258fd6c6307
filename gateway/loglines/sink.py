"""Writes lines to standard output or error on its own thread: callers never wait and never fail."""

from __future__ import annotations

import io
import os
import queue
import select
import threading
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import ReadableBuffer

LINES_MAX = 1000
LINE_BYTES_MAX = 40_000
"""journald splits lines at 48 KiB (LineMax=), and the parts are not valid JSON."""
REPORT_S = 5.0
"""How long losses are counted before a line reports them, in seconds."""
CLOSE_S = 2.0
"""How long `close` waits for lines that are not written yet, in seconds."""


class Notices(Protocol):
    """Makes lines that report lost lines."""

    def pending(self) -> bool:
        """Whether there is a loss to report."""

    def tell(self, lost: int, why: str, write: Callable[[bytes], bool]) -> bool:
        """Write the report; False when that failed, and `lost` must be reported again."""


class Writer(threading.Thread):
    """The thread that writes to one file descriptor. Only it waits for a slow reader, or fails on a full disk."""

    def __init__(self, fd: int, name: str, notices: Notices) -> None:
        super().__init__(name=name, daemon=True)
        self._fd = os.dup(fd)  # an agent that closes standard error must not make us write into a socket
        self._notices = notices
        # Its put is reentrant, for example when a finalizer logs during a put; a deque with a lock would not be.
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._lock = threading.RLock()
        self._lost = 0
        self._why = ""
        self._torn = False
        self._direct = False

    # ---- any thread ----------------------------------------------------------------------------------------

    def put(self, line: bytes) -> None:
        """Queue a line, without its newline. When a thousand lines are waiting it is dropped and counted."""
        if self._direct:
            self._write(line)
        elif self._lines.qsize() >= LINES_MAX:
            self._lose(1, "the reader is too slow")
        else:
            self._lines.put(line)

    def wake(self) -> None:
        """Wake the thread: there is a loss to report."""
        self._lines.put(b"")

    @property
    def waiting(self) -> bool:
        """Whether lines are still in the queue."""
        return not self._lines.empty()

    def close(self) -> None:
        """Write the lines that wait, for two seconds at most, and end the thread."""
        self._lines.put(None)
        self.join(CLOSE_S)

    def after_fork(self) -> None:
        """In a child process, which does not have this thread: write directly, and replace the lock."""
        self._lock = threading.RLock()
        self._direct = True

    # ---- this thread ---------------------------------------------------------------------------------------

    def run(self) -> None:
        """Write lines until `close`."""
        due_s: float | None = None
        while True:
            line = self._next(due_s)
            if line:
                self._write(line)
            if not self._lost and not self._notices.pending():
                due_s = None
            elif due_s is None:
                due_s = time.monotonic() + REPORT_S
            if due_s is not None and (line is None or time.monotonic() >= due_s):
                self._tell()
                due_s = None if line is None else time.monotonic() + REPORT_S
            if line is None:
                return

    def _next(self, due_s: float | None) -> bytes | None:
        try:
            return self._lines.get(timeout=None if due_s is None else max(due_s - time.monotonic(), 0.0))
        except queue.Empty:
            return b""

    def _tell(self) -> None:
        with self._lock:
            lost, why = self._lost, self._why
        if self._notices.tell(lost, why, self._write_whole):
            self._lose(-lost, "")

    def _lose(self, lines: int, why: str) -> None:
        with self._lock:
            self._lost += lines
            self._why = why or self._why

    def _write(self, line: bytes) -> None:
        try:
            self._write_all(line)
        except OSError as error:
            self._lose(1, error.strerror or str(error))

    def _write_whole(self, line: bytes) -> bool:
        try:
            self._write_all(line)
        except OSError:
            return False
        return True

    def _write_all(self, line: bytes) -> None:
        """Write a line. After an OSError a part may have been written; the next call then begins a new line."""
        rest = memoryview((b"\n" if self._torn else b"") + line + b"\n")
        while rest:
            try:
                written = os.write(self._fd, rest)
            except BlockingIOError:  # the process that started us gave us a pipe that does not block
                _wait_writable(self._fd)
                continue
            rest = rest[written:]
            self._torn = bool(rest)


def _wait_writable(fd: int) -> None:
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    poll.poll()


class RawStream(io.RawIOBase):
    """A standard stream: what Python and agents print becomes lines of a `Writer`."""

    def __init__(self, fd: int, name: str, put: Callable[[bytes], None]) -> None:
        super().__init__()
        self.name = name
        self._stream_fd = fd
        self._put = put
        self._lock = threading.RLock()
        self._rest = b""

    def write(self, data: ReadableBuffer, /) -> int:
        """Write all of the data; a line without an end is kept until its newline."""
        written = bytes(data)
        with self._lock:
            *lines, self._rest = (self._rest + written).split(b"\n")
            if len(self._rest) > LINE_BYTES_MAX:
                lines, self._rest = [*lines, self._rest], b""
        for line in lines:
            self._put(line)
        return len(written)

    def writable(self) -> bool:
        """Always True."""
        return True

    def fileno(self) -> int:
        """The file descriptor of the stream that it replaces."""
        return self._stream_fd

    def isatty(self) -> bool:
        """Whether the replaced stream is a terminal."""
        return os.isatty(self._stream_fd)

    def finish(self) -> None:
        """Write a line that has no newline yet."""
        if self._rest:
            self.write(b"\n")
