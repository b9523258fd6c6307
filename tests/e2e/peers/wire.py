"""Looking at RTP between two peers: a relay that can lose and delay, and a sniffer on loopback."""

from __future__ import annotations

import heapq
import itertools
import selectors
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from .process import LOOPBACK, free_port
from .rtp import RtpPacket, parse_rtp
from .rtp_stream import SO_TIMESTAMPNS, arrival_s

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

ETH_P_IP = 0x0800
PACKET_OUTGOING = 4
POLL_S = 0.05


def pass_all(_number: int) -> float | None:
    """The policy of a good network: every packet at once."""
    return 0.0


@dataclass
class Direction:
    """One direction of a relay."""

    policy: Callable[[int], float | None] = pass_all
    """Takes the packet's number (0, 1, ...), returns its delay in seconds, or None to lose it."""
    target: tuple[str, int] | None = None
    """Where packets go; until it is known they are lost."""
    seen: list[RtpPacket] = field(default_factory=list)
    """Every RTP packet that came, lost or not, with its time."""
    count: int = 0


class RtpRelay:
    """A UDP relay between a caller and the gateway that records both directions.

    Each side sends to the relay's port for it, and gets the other side's packets from that port.
    """

    def __init__(self, host: str = LOOPBACK) -> None:
        """Bind a port for each side and begin to relay."""
        self.to_gateway = Direction()
        self.to_caller = Direction()
        self._sockets = [self._bind(host), self._bind(host)]
        self._late: list[tuple[float, int, bytes, Direction]] = []
        self._order = itertools.count()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rtp relay", daemon=True)
        self._thread.start()

    @property
    def gateway_side(self) -> tuple[str, int]:
        """The address to put into the SDP that the gateway sees."""
        host, port = self._sockets[0].getsockname()
        return host, port

    @property
    def caller_side(self) -> tuple[str, int]:
        """The address to which the caller sends."""
        host, port = self._sockets[1].getsockname()
        return host, port

    def close(self) -> None:
        """Stop; packets that are still delayed are lost."""
        self._stopped.set()
        self._thread.join()
        for sock in self._sockets:
            sock.close()

    @staticmethod
    def _bind(host: str) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((host, free_port(host)))
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        sock.setblocking(False)
        return sock

    def _run(self) -> None:
        gateway_socket, caller_socket = self._sockets
        # What arrives on the gateway's side goes out of the caller's side, and the other way round.
        out = {id(self.to_caller): caller_socket, id(self.to_gateway): gateway_socket}
        with selectors.DefaultSelector() as selector:
            sides = {gateway_socket.fileno(): (gateway_socket, self.to_caller)}
            sides[caller_socket.fileno()] = (caller_socket, self.to_gateway)
            for number in sides:
                selector.register(number, selectors.EVENT_READ)
            while not self._stopped.is_set():
                wait_s = max(0.0, min(POLL_S, self._late[0][0] - time.monotonic())) if self._late else POLL_S
                for key, _ in selector.select(wait_s):
                    self._take(*sides[key.fd])
                while self._late and self._late[0][0] <= time.monotonic():
                    _, _, data, direction = heapq.heappop(self._late)
                    self._forward(out[id(direction)], data, direction)

    def _take(self, sock: socket.socket, direction: Direction) -> None:
        try:
            data, ancillary, _, source = sock.recvmsg(4096, 64)
        except (BlockingIOError, ConnectionRefusedError):
            return
        packet = parse_rtp(data, arrival_s(ancillary), source)
        delay_s: float | None = 0.0
        if packet is not None:
            direction.seen.append(packet)
            delay_s = direction.policy(direction.count)
            direction.count += 1
        if delay_s is not None:
            heapq.heappush(self._late, (time.monotonic() + delay_s, next(self._order), data, direction))

    @staticmethod
    def _forward(sock: socket.socket, data: bytes, direction: Direction) -> None:
        if direction.target is not None:
            try:
                sock.sendto(data, direction.target)
            except (BlockingIOError, ConnectionRefusedError):
                return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
