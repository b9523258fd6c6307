"""A server on one UDP port of loopback, on a thread of its own while its `with` lasts."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

_POLL_S = 0.1


class UdpServer:
    """Answers each datagram with what `answers` returns."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        """Bind a free port; `with` begins."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((host, 0))
        self._socket.settimeout(_POLL_S)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._serve, name=type(self).__name__, daemon=True)

    @property
    def bound(self) -> tuple[str, int]:
        """Its address and port."""
        host, port = self._socket.getsockname()
        return host, port

    def answers(self, data: bytes) -> Iterable[bytes]:
        """What goes back to where `data` came from; on the server's thread."""
        raise NotImplementedError

    def _serve(self) -> None:
        while not self._stopped.is_set():
            try:
                data, source = self._socket.recvfrom(65536)
            except TimeoutError:
                continue
            for answer in self.answers(data):
                self._socket.sendto(answer, source)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()
        self._socket.close()
