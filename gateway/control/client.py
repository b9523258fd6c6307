"""Sends a command to the running gateway over its control socket."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.control.status import Json

_ANSWER_BYTES_MAX = 16 * 1024 * 1024
_CHUNK_BYTES = 65_536


class NoAnswerError(Exception):
    """No gateway answers, or it refuses. The message names the socket, and the fix if one is known."""


def ask(path: Path, command: str, *, deadline_s: float = 5.0) -> dict[str, Json]:
    """Send a command to the gateway that listens on this socket; returns its answer.

    Raises:
        NoAnswerError: there is no gateway, it did not answer in time, or it refused.
    """
    try:
        answer = json.loads(_ask(path, json.dumps({"command": command}).encode() + b"\n", deadline_s))
    except (OSError, ValueError, RecursionError) as error:
        hint = "is it running?"
        if isinstance(error, PermissionError):
            hint = "run this with sudo"
        elif isinstance(error, FileNotFoundError):
            hint = "start it, or name its settings with --config"
        reason = (isinstance(error, OSError) and error.strerror) or error
        msg = f"no gateway answers on {path}: {reason}; {hint}"
        raise NoAnswerError(msg) from error
    if not isinstance(answer, dict):
        msg = f"the program that answers on {path} is not a gateway"
        raise NoAnswerError(msg)
    if "error" in answer:
        msg = f"the gateway on {path} refuses: {answer['error']}"
        raise NoAnswerError(msg)
    return answer


def _ask(path: Path, line: bytes, deadline_s: float) -> bytes:
    """The answer up to the end of its first line. The deadline is for all of it, even if it comes byte by byte."""
    end_s = time.monotonic() + deadline_s
    answer = bytearray()
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(deadline_s)
        peer.connect(os.fspath(path))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            peer.sendall(line)  # if the server refused us before we asked, its reason can still be read
        while b"\n" not in answer[-_CHUNK_BYTES:]:
            left_s = end_s - time.monotonic()
            if left_s <= 0:
                raise TimeoutError("timed out")
            peer.settimeout(left_s)
            chunk = peer.recv(_CHUNK_BYTES)
            if not chunk:
                break
            answer += chunk
            if len(answer) > _ANSWER_BYTES_MAX:
                raise ValueError("the answer is too long")
    return bytes(answer)
