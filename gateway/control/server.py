"""The control socket: one JSON object asked, one answered, on a line each."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import stat
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gateway.control.status import Json

_log = structlog.get_logger("control")

_ASK_S = 5.0
_MAX_LINE = 4096
_MAX_PEERS = 8


class ControlError(Exception):
    """The control socket cannot be opened, or nobody answers on it. The message says which and what mends it."""


class ControlServer:
    """Listens on a Unix socket that only the gateway's user and group may use."""

    def __init__(self, path: Path, status: Callable[[], dict[str, Json]]) -> None:
        self._path = path
        self._status = status
        self._server: asyncio.Server | None = None
        self._peers = 0

    async def start(self) -> None:
        """Bind.

        Raises:
            ControlError: another gateway has the socket, or the directory cannot be written, or is a stranger's.
        """
        try:
            self._path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            _require_own(self._path.parent)
            await asyncio.to_thread(self._clear_stale)
            self._server = await asyncio.start_unix_server(self._serve, self._path, limit=_MAX_LINE)
            self._path.chmod(0o660)
        except OSError as error:
            msg = f"control.socket: {self._path}: {error.strerror or error}; choose another path, or stop who has it"
            raise ControlError(msg) from error

    def _clear_stale(self) -> None:
        """A killed gateway leaves its socket behind."""
        try:
            mode = self._path.stat().st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(mode):
            raise FileExistsError(17, "it is there, and no socket", str(self._path))
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1.0)
            try:
                probe.connect(str(self._path))
            except (ConnectionRefusedError, FileNotFoundError):
                with contextlib.suppress(FileNotFoundError):
                    self._path.unlink()
            else:
                raise FileExistsError(17, "another gateway answers on it", str(self._path))

    async def stop(self) -> None:
        """Close, and remove the socket."""
        if self._server is not None:
            self._server.close()
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._peers += 1
        try:
            if self._peers <= _MAX_PEERS:
                async with asyncio.timeout(_ASK_S):
                    writer.write(self._answer(await reader.readline()))
                    await writer.drain()
        except (TimeoutError, OSError, ValueError) as error:
            _log.debug("control.peer_lost", error=repr(error))
        finally:
            self._peers -= 1
            writer.close()

    def _answer(self, line: bytes) -> bytes:
        try:
            asked = json.loads(line)
        except ValueError:
            asked = None
        if isinstance(asked, dict) and asked.get("command") == "status":
            return json.dumps(self._status()).encode() + b"\n"
        return json.dumps({"error": 'ask {"command": "status"}'}).encode() + b"\n"


def _require_own(directory: Path) -> None:
    """A directory's owner may put a socket of its own in the place of ours, and answer for us."""
    owner = directory.stat().st_uid
    if owner not in {0, os.geteuid()}:
        msg = (
            f"control.socket: {directory} belongs to user {owner}, neither to root nor to the gateway's user; "
            "choose another path, or chown the directory"
        )
        raise ControlError(msg)


def ask_status(path: Path) -> dict[str, Json]:
    """The status of the gateway that listens there.

    Raises:
        ControlError: no gateway answers.
    """
    try:
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(_ASK_S)
            peer.connect(os.fspath(path))
            peer.sendall(b'{"command": "status"}\n')
            with peer.makefile("rb") as answer:
                status = json.loads(answer.readline())
    except (OSError, ValueError) as error:
        mend = "run this with sudo" if isinstance(error, PermissionError) else "is it running?"
        msg = f"no gateway answers on {path}: {error}; {mend}"
        raise ControlError(msg) from error
    if not isinstance(status, dict):
        msg = f"what answers on {path} is no gateway"
        raise ControlError(msg)
    return status
