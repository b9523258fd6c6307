"""A server for Asterisk's AudioSocket, in threads of its own, with a reading of the protocol of its own."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Self, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from types import TracebackType

    from media.leg import Pcm

DEADLINE_S = 5.0
HANG_UP, UUID, DTMF, SLIN_8, SLIN_16, ERROR = 0x00, 0x01, 0x03, 0x10, 0x12, 0xFF


class Session:
    """One connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.received: list[tuple[int, bytes]] = []
        """Every frame, in order."""
        self.closed = threading.Event()

    def send(self, kind: int, payload: bytes = b"") -> None:
        """Send a frame, in two parts as TCP may bring it."""
        whole = struct.pack("!BH", kind, len(payload)) + payload
        self.connection.sendall(whole[:2])
        self.connection.sendall(whole[2:])

    def say(self, pcm: Pcm, kind: int = SLIN_8) -> None:
        """Send audio, 20 ms in a frame, as fast as can be."""
        size = 160 if kind == SLIN_8 else 320
        for start in range(0, len(pcm), size):
            self.send(kind, pcm[start : start + size].astype("<i2").tobytes())

    def of(self, kind: int) -> list[bytes]:
        """The payloads of one kind."""
        return [payload for one, payload in list(self.received) if one == kind]

    @property
    def heard(self) -> Pcm:
        """The caller's voice so far."""
        return np.frombuffer(b"".join(self.of(SLIN_8) + self.of(SLIN_16)), "<i2")

    def reset(self) -> None:
        """End the connection as a crash does; for a behaviour, since a thread that still reads would keep it open."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def read(self, behave: Behaviour) -> None:
        """Until the end."""
        with contextlib.suppress(OSError):
            while header := self._exactly(3):
                kind, length = struct.unpack("!BH", header)
                payload = self._exactly(length)
                self.received.append((kind, payload))
                behave(self, kind, payload)
        self.closed.set()

    def _exactly(self, size: int) -> bytes:
        """So many bytes; none at the end."""
        data = b""
        while len(data) < size:
            more = self.connection.recv(size - len(data))
            if not more:
                return b""
            data += more
        return data


Behaviour: TypeAlias = Callable[[Session, int, bytes], None]


def listens(session: Session, kind: int, payload: bytes) -> None:
    """A server that says nothing."""


def parrots(session: Session, kind: int, payload: bytes) -> None:
    """A server that says what it hears."""
    if kind in (SLIN_8, SLIN_16):
        session.send(kind, payload)


class AudioSocketServer:
    """`with AudioSocketServer(behaviour) as server:` listens on a free port of loopback."""

    def __init__(self, behave: Behaviour = listens, *, reads: bool = True) -> None:
        self.sessions: list[Session] = []
        self._behave = behave
        self._reads = reads
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._serve, name="audiosocket")]

    @property
    def session(self) -> Session:
        """The newest connection, once there is one."""
        deadline_s = time.monotonic() + DEADLINE_S
        while not self.sessions:
            if time.monotonic() > deadline_s:
                raise TimeoutError("nobody has connected")
            time.sleep(0.005)
        return self.sessions[-1]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for session in self.sessions:
            with contextlib.suppress(OSError):
                session.connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(DEADLINE_S)
        for session in self.sessions:
            session.connection.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                session = Session(self._listening.accept()[0])
                self.sessions.append(session)
                if self._reads:
                    thread = threading.Thread(target=session.read, args=(self._behave,), name="audiosocket")
                    self._threads.append(thread)
                    thread.start()
