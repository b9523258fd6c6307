"""The control socket: a client sends one JSON object and gets one as the answer, each on one line."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import stat
import struct
from typing import TYPE_CHECKING, TypeAlias

import structlog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from gateway.control.status import Json

_log = structlog.get_logger("control")

_PEER_S = 5.0
"""How long a client may take to send its command, and then to read the answer, in seconds."""
_MAX_LINE = 4096
_MAX_PEERS = 8

OF_ITS_OWN = "a control.socket, sip.listen and media.rtp_ports of its own"
"""What a second gateway on this machine needs."""

Command: TypeAlias = "Callable[[], Awaitable[dict[str, Json]]]"


class ControlError(Exception):
    """The control socket cannot be opened. The message names the socket, the reason and the fix."""


class ControlServer:
    """Listens on a Unix socket that only the gateway's user and group may use."""

    def __init__(self, path: Path, commands: Mapping[str, Command]) -> None:
        """`commands`: the function that answers each command, by name."""
        self._path = path
        self._commands = commands
        self._server: asyncio.Server | None = None
        self._peers = 0

    async def start(self) -> None:
        """Open the socket.

        Raises:
            ControlError: another gateway uses the socket, the directory cannot be written, or others can replace the
                socket in it.
        """
        try:
            self._path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            _require_own(self._path.parent)
            await asyncio.to_thread(self._clear_stale)
            self._server = await asyncio.start_unix_server(self._serve, self._path, limit=_MAX_LINE)
            self._path.chmod(0o660)
        except OSError as error:
            msg = f"control.socket: {self._path}: {error.strerror or error}; choose another path"
            raise ControlError(msg) from error

    def _clear_stale(self) -> None:
        """Remove the socket that a killed gateway has left behind."""
        try:
            mode = self._path.lstat().st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(mode):
            raise FileExistsError(17, "it exists and is not a socket", str(self._path))
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1.0)
            try:
                probe.connect(str(self._path))
            except (ConnectionRefusedError, FileNotFoundError):
                with contextlib.suppress(FileNotFoundError):
                    self._path.unlink()
            else:
                pid, _, _ = struct.unpack("3i", probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
                msg = (
                    f"control.socket: {self._path}: another gateway answers on it, process {pid}; "
                    f"stop that one, or start this one with --config and {OF_ITS_OWN}"
                )
                raise ControlError(msg)

    async def stop(self) -> None:
        """Close, and remove the socket."""
        if self._server is not None:
            self._server.close()
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._peers += 1
        writer.transport.set_write_buffer_limits(high=0)  # drain() returns only when all is sent
        try:
            if self._peers > _MAX_PEERS:
                answer: dict[str, Json] = {"error": f"{_MAX_PEERS} other clients are connected; try again"}
            else:
                async with asyncio.timeout(_PEER_S):
                    line = await reader.readline()
                answer = await self._answer(line)
            async with asyncio.timeout(_PEER_S):
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
            writer.close()
        except (TimeoutError, OSError, ValueError) as error:
            _log.debug("control.peer_lost", error=repr(error))
        except Exception:  # noqa: BLE001 - the edge of a connection: only this client gets no answer
            _log.exception("control.failed")
        finally:
            self._peers -= 1
            if not writer.is_closing():
                writer.transport.abort()  # closing would wait for a peer that does not read

    async def _answer(self, line: bytes) -> dict[str, Json]:
        try:
            asked = json.loads(line)
        except (ValueError, RecursionError):
            asked = None
        name = asked.get("command") if isinstance(asked, dict) else None
        command = self._commands.get(name) if isinstance(name, str) else None
        if command is None:
            known = " or ".join(f'{{"command": "{name}"}}' for name in self._commands)
            return {"error": f"send {known}"}
        return await command()


def _require_own(directory: Path) -> None:
    """Refuse a directory in which another user could replace our socket, and answer instead of us."""
    for where in {directory.lstat().st_uid, directory.stat().st_uid} - {0, os.geteuid()}:
        msg = (
            f"control.socket: {directory} belongs to user {where}, neither to root nor to the gateway's user; "
            "choose another path, or chown the directory"
        )
        raise ControlError(msg)
    resolved = directory.resolve()
    for place in (resolved, *resolved.parents):
        mode = place.stat().st_mode
        # In a sticky directory such as /tmp, users cannot rename or remove the files of others.
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            msg = f"control.socket: every user may write in {place}; choose another path, or chmod o-w {place}"
            raise ControlError(msg)
