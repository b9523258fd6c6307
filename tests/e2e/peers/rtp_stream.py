"""One side of a call's sound: PCMU packets, paced to 20 ms, and every packet that comes, with its time."""

from __future__ import annotations

import collections
import contextlib
import random
import socket
import struct
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .process import LOOPBACK, free_port, wait_until
from .rtp import FRAME_SAMPLES, PCMU, TELEPHONE_EVENT, RtpPacket, dtmf_payloads, encode_ulaw, parse_rtp

if TYPE_CHECKING:
    from .sound import Pcm

FRAME_S = 0.02
SO_TIMESTAMPNS = 35
SILENT_FRAME = bytes([0xFF]) * FRAME_SAMPLES
POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class _Outgoing:
    payload_type: int
    payload: bytes
    marker: bool
    age_frames: int
    """How far its timestamp is behind the stream's: a key press keeps the timestamp of its first packet."""


class RtpStream:
    """A UDP port that speaks and hears.

    `phone=True` sends silence while nothing is queued, as a phone does; otherwise there are packets only for what
    `send` and `press` queue. Times are the kernel's for what comes (exact under any load of Python), and taken just
    before the call for what is sent.
    """

    def __init__(self, host: str = LOOPBACK, *, phone: bool = True) -> None:
        """Bind a free even port and listen at once; nothing is sent before `start`."""
        self.remote: tuple[str, int] | None = None
        self._phone = phone
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._queue: collections.deque[_Outgoing] = collections.deque()
        self._sent: list[RtpPacket] = []
        self._received: list[RtpPacket] = []
        self._stopped = threading.Event()
        self._halted = threading.Event()
        self._ssrc = random.getrandbits(32)
        self._paced = False
        self._listen(host)

    @property
    def address(self) -> tuple[str, int]:
        """Where it hears, and what the SDP offers."""
        host, port = self._sockets[0].getsockname()
        return host, port

    @property
    def received(self) -> tuple[RtpPacket, ...]:
        """All packets that came, in order of arrival."""
        return tuple(self._received)

    @property
    def sent(self) -> tuple[RtpPacket, ...]:
        """All packets that left."""
        return tuple(self._sent)

    def start(self, remote: tuple[str, int]) -> None:
        """Send to `remote` from now on; calling it again changes the address only."""
        self.remote = remote
        if not self._paced:
            self._paced = True
            self._start(threading.Thread(target=self._pace, name="rtp pace", daemon=True))

    def send(self, pcm: Pcm) -> None:
        """Queue sound at 8 kHz; the last frame is filled up with zeros."""
        padded = np.concatenate((pcm, np.zeros(-len(pcm) % FRAME_SAMPLES, np.int16)))
        voice = encode_ulaw(padded)
        frames = [voice[i : i + FRAME_SAMPLES] for i in range(0, len(voice), FRAME_SAMPLES)]
        self._queue.extend(_Outgoing(PCMU, frame, marker=i == 0, age_frames=0) for i, frame in enumerate(frames))

    def press(self, digit: str, length_ms: int = 100) -> None:
        """Queue a key press as telephone events (RFC 4733), payload type 101."""
        payloads = dtmf_payloads(digit, length_ms)
        self._queue.extend(_Outgoing(TELEPHONE_EVENT, payload, i == 0, i) for i, payload in enumerate(payloads))

    def send_raw(self, datagram: bytes, target: tuple[str, int]) -> None:
        """Send any bytes from the media port."""
        with contextlib.suppress(ConnectionRefusedError):
            self._sockets[-1].sendto(datagram, target)

    def wait_sent(self, deadline_s: float = 30.0) -> None:
        """Return when everything queued has left."""
        wait_until(lambda: not self._queue, "all sound is sent", deadline_s, every_s=0.005)

    def drop_queued(self) -> None:
        """Stop speaking: forget what has not left yet."""
        self._queue.clear()

    def halt(self) -> None:
        """Send nothing more; hear on."""
        self._halted.set()

    def send_from(self, host: str) -> tuple[str, int]:
        """Send from another address from now on, as behind a NAT, and hear there as well; returns the address.

        Loopback has all of 127.0.0.0/8.
        """
        return self._listen(host)

    def close(self) -> None:
        """Stop both directions and free the port."""
        self._stopped.set()
        self.halt()
        for sock in self._sockets:
            with contextlib.suppress(ConnectionRefusedError):
                sock.sendto(b"", sock.getsockname())  # so that nobody waits for a packet any more
        for thread in self._threads:
            thread.join()
        for sock in self._sockets:
            sock.close()

    def _listen(self, host: str) -> tuple[str, int]:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        address = host, free_port(host)
        sock.bind(address)
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        sock.settimeout(POLL_S)
        self._sockets.append(sock)
        self._start(threading.Thread(target=self._receive, args=(sock, address), name="rtp receive", daemon=True))
        return address

    def _start(self, thread: threading.Thread) -> None:
        self._threads.append(thread)
        thread.start()

    def _pace(self) -> None:
        sequence, timestamp = random.getrandbits(15), random.getrandbits(31)
        due_s = time.monotonic()
        while not self._halted.wait(max(0.0, due_s - time.monotonic())):
            silent = _Outgoing(PCMU, SILENT_FRAME, marker=False, age_frames=0) if self._phone else None
            outgoing = self._queue.popleft() if self._queue else silent
            if outgoing is not None:
                sequence = sequence + 1 & 0xFFFF
                self._emit(outgoing, sequence, timestamp - outgoing.age_frames * FRAME_SAMPLES)
            timestamp += FRAME_SAMPLES
            due_s += FRAME_S

    def _emit(self, outgoing: _Outgoing, sequence: int, timestamp: int) -> None:
        packet = RtpPacket(
            time_s=time.monotonic(),
            sequence=sequence,
            timestamp=timestamp & 0xFFFFFFFF,
            ssrc=self._ssrc,
            payload_type=outgoing.payload_type,
            marker=outgoing.marker,
            payload=outgoing.payload,
        )
        self._sent.append(packet)
        # Refused: the other side closed its port, and its BYE is on the way.
        with contextlib.suppress(ConnectionRefusedError):
            self._sockets[-1].sendto(packet.pack(), self.remote or self.address)

    def _receive(self, sock: socket.socket, address: tuple[str, int]) -> None:
        while not self._stopped.is_set():
            try:
                data, ancillary, _, source = sock.recvmsg(4096, 64)
            except (TimeoutError, ConnectionRefusedError):
                continue
            packet = parse_rtp(data, arrival_s(ancillary), source, address)
            if packet is not None:
                self._received.append(packet)


def arrival_s(ancillary: list[tuple[int, int, bytes]]) -> float:
    """The kernel's time of arrival, on CLOCK_MONOTONIC; the present where the kernel gave none."""
    now_s = time.monotonic()
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
            seconds, nanoseconds = struct.unpack("qq", data[:16])
            age_s: float = time.time() - (seconds + nanoseconds / 1e9)
            return now_s - age_s
    return now_s
