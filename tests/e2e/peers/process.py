"""Processes that a test starts: their log, their end, and waiting with a deadline."""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

T = TypeVar("T")

LOOPBACK = "127.0.0.1"
LOG_TAIL_CHARS = 6000
# Below the kernel's ephemeral range (32768 and up), so that no outgoing socket takes a port between choice and use.
FIRST_PORT, LAST_PORT = 20000, 32000


class PeerError(AssertionError):
    """A peer did not do what the test needs; the message ends with the tail of its log."""


def free_port(host: str = LOOPBACK, span: int = 1) -> int:
    """An even port that is free on `host` for UDP and TCP, and the `span - 1` ports after it as well."""
    for _ in range(200):
        port = random.randrange(FIRST_PORT, LAST_PORT - span, 2)
        if all(_is_free(host, port + offset) for offset in range(span)):
            return port
    raise PeerError(f"no free port found on {host} between {FIRST_PORT} and {LAST_PORT}")


def _is_free(host: str, port: int) -> bool:
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind((host, port))
            except OSError:
                return False
    return True


def wait_until(condition: Callable[[], T | None], what: str, deadline_s: float, every_s: float = 0.02) -> T:
    """The first true value of `condition()`.

    Raises:
        PeerError: it was still false after `deadline_s`; the message says `what` was waited for.
    """
    end = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise PeerError(f"{what}: not within {deadline_s:g} s")
        time.sleep(every_s)


class Process:
    """One program started by a test; its output goes to a file.

    A context manager: on leaving, the program is ended if it still runs.
    """

    def __init__(self, name: str, argv: Sequence[str], log_path: Path, env: Mapping[str, str] | None = None) -> None:
        """Describe the program; nothing runs before `start`. `env` is added to the test's own environment."""
        self.name = name
        self.log_path = log_path
        self._argv = list(argv)
        self._env = {**os.environ, **env} if env else None
        self._popen: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start it in a session of its own, so that a Ctrl-C for pytest does not reach it first.

        Raises:
            PeerError: the program is not installed.
        """
        if shutil.which(self._argv[0]) is None:
            raise PeerError(f"{self._argv[0]} is not installed; tests/packages.txt names the Debian packages")
        with self.log_path.open("ab") as log:
            self._popen = subprocess.Popen(
                self._argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.log_path.parent,
                env=self._env,
                start_new_session=True,
            )
        return self

    @property
    def pid(self) -> int:
        """Its process id; PeerError when it was never started."""
        if self._popen is None:
            raise PeerError(f"{self.name} was not started")
        return self._popen.pid

    @property
    def running(self) -> bool:
        """True from `start` until the program has ended."""
        return self._popen is not None and self._popen.poll() is None

    def wait(self, deadline_s: float) -> int:
        """Its exit code (negative: the signal that ended it).

        Raises:
            PeerError: it still runs after `deadline_s`; it is killed first.
        """
        if self._popen is None:
            raise PeerError(f"{self.name} was not started")
        try:
            return self._popen.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self.stop(signal.SIGKILL)
            raise PeerError(self.explain(f"still running after {deadline_s:g} s")) from None

    def stop(self, sign: signal.Signals = signal.SIGTERM, deadline_s: float = 5.0) -> int:
        """End the program and its children; returns the exit code, 0 if it never ran."""
        if self._popen is None:
            return 0
        if self._popen.poll() is None:
            self._signal(sign)
            try:
                self._popen.wait(deadline_s)
            except subprocess.TimeoutExpired:
                self._signal(signal.SIGKILL)
        code = self._popen.wait(deadline_s)
        # Children that outlive their parent are still in its session's process group, and nobody else is.
        self._signal(signal.SIGKILL)
        return code

    def _signal(self, sign: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, sign)

    def log(self) -> str:
        """Everything it printed so far."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def wait_for_log(self, pattern: str, deadline_s: float) -> re.Match[str]:
        """The first place in its log that matches the regular expression `pattern`."""

        def look() -> re.Match[str] | None:
            found = re.search(pattern, self.log())
            if found is None and not self.running:
                raise PeerError(self.explain(f"ended before it printed {pattern!r}"))
            return found

        try:
            return wait_until(look, f"{self.name} prints {pattern!r}", deadline_s)
        except PeerError as error:
            raise PeerError(self.explain(str(error))) from None

    def explain(self, what: str) -> str:
        """`what`, followed by the end of the log: the text of a failure."""
        return f"{self.name}: {what}\n--- {self.log_path} ---\n{self.log()[-LOG_TAIL_CHARS:]}"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if error is not None:
            error.add_note(self.explain("log"))
