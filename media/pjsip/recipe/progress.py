"""Progress on stderr, and subprocesses that report while they run and explain themselves when they fail."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from recipe.errors import BuildError

HEARTBEAT_S = 10.0
TAIL_LINES = 30

_started = time.monotonic()


def say(text: str) -> None:
    """One line on stderr, stamped with the seconds since the recipe started."""
    # One write, so that lines of two threads stay whole.
    sys.stderr.write(f"[{time.monotonic() - _started:6.1f} s] {text}\n")
    sys.stderr.flush()


def run(
    label: str,
    argv: Sequence[str | Path],
    *,
    log: Path,
    cwd: Path,
    env: Mapping[str, str] | None = None,
) -> None:
    """Run `argv` with its output in `log`, a line every ten seconds; BuildError with the log's tail if it fails."""
    say(label)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as out:
        try:
            process = subprocess.Popen(
                [str(part) for part in argv],
                cwd=cwd,
                env={**os.environ, **(env or {}), "LC_ALL": "C.UTF-8"},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        except FileNotFoundError as error:
            raise BuildError(f"{label}: the program {argv[0]} is missing") from error
        code = _wait(process, label, log)
    if code:
        raise BuildError(f"{label}: failed with exit status {code}. The last lines of {log}:\n\n{tail(log)}")


def _wait(process: subprocess.Popen[bytes], label: str, log: Path) -> int:
    began = time.monotonic()
    try:
        while True:
            try:
                return process.wait(timeout=HEARTBEAT_S)
            except subprocess.TimeoutExpired:
                lines = sum(1 for _ in log.open("rb"))
                took = time.monotonic() - began
                say(f"  {label}: still at it after {took:.0f} s, {lines} lines of log")
    except BaseException:
        process.terminate()
        process.wait()
        raise


def output(argv: Sequence[str | Path], *, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    """What `argv` prints on stdout; BuildError with its stderr if it fails."""
    try:
        done = subprocess.run(
            [str(part) for part in argv],
            cwd=cwd,
            env={**os.environ, **(env or {}), "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",  # as Python's own for file names
            check=False,
        )
    except FileNotFoundError as error:
        raise BuildError(f"the program {argv[0]} is missing") from error
    if done.returncode:
        command = " ".join(str(part) for part in argv)
        raise BuildError(f"{command}: exit status {done.returncode}\n\n{done.stdout}{done.stderr}".rstrip())
    return done.stdout


def tail(log: Path) -> str:
    """The last lines of a log, indented."""
    with log.open(errors="replace") as lines:
        return "".join(f"    {line}" for line in deque(lines, TAIL_LINES)).rstrip()
