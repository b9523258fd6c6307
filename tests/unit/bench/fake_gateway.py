"""A gateway's other side in a few lines: answers INVITEs, echoes or speaks, and hushes when it is spoken to."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, TypeAlias, cast

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HOST = "127.0.0.1"
SILENCE = bytes([0xFF]) * 160
VOICE = bytes([0x90, 0x10]) * 80
HUSH_AFTER_FRAMES = 25
"""Frames of the caller's voice after which a speaking peer is silent for good."""

QUIETEST_VOICE = 0x60
"""Mu-law codes below this, and the same above 0x80, are loud."""

Address: TypeAlias = tuple[str, int]


class Media(asyncio.DatagramProtocol):
    """One call's RTP: says every packet back after a while, or speaks until it is interrupted."""

    def __init__(self, *, speaks: bool, echo_delay_s: float) -> None:
        self._speaks = speaks
        self._echo_delay_s = echo_delay_s
        self._loud_frames = 0
        self._sequence = 0
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)  # asyncio's own is no subclass before 3.12

    def datagram_received(self, data: bytes, addr: Address) -> None:
        if not self._speaks:
            asyncio.get_running_loop().call_later(self._echo_delay_s, self._send, data, addr)
            return
        self._loud_frames += min(code & 0x7F for code in data[12:]) < QUIETEST_VOICE
        voice = SILENCE if self._loud_frames >= HUSH_AFTER_FRAMES else VOICE
        self._sequence += 1
        self._send(data[:2] + self._sequence.to_bytes(2, "big") + data[4:12] + voice, addr)

    def _send(self, packet: bytes, addr: Address) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.sendto(packet, addr)


class FakeGateway(asyncio.DatagramProtocol):
    """Answers calls over UDP."""

    def __init__(self, *, speaks: bool = False, echo_delay_s: float = 0.0, busy: int = 0, deaf: int = 0) -> None:
        """Refuse the first `busy` calls with 486; do not hear the first `deaf` datagrams at all."""
        self._speaks = speaks
        self._echo_delay_s = echo_delay_s
        self._busy = busy
        self._deaf = deaf
        self._media: dict[str, Media] = {}
        self._answering: set[asyncio.Task[None]] = set()
        self._transport: asyncio.DatagramTransport | None = None
        self.byes = 0

    @property
    def live(self) -> int:
        """Calls answered and not hung up."""
        return len(self._media)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        if self._deaf > 0:
            self._deaf -= 1
            return
        lines = data.decode().split("\r\n")
        method = lines[0].split()[0]
        call_id = next(line for line in lines if line.startswith("Call-ID"))
        if method == "INVITE" and self._busy > 0:
            self._busy -= 1
            self._reply(lines, addr, "486 Busy Here")
        elif method == "INVITE":
            task = asyncio.get_running_loop().create_task(self._answer(lines, addr, call_id))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)
        elif method == "BYE":
            self.byes += 1
            self._hang_up(call_id)
            self._reply(lines, addr, "200 OK")

    async def _answer(self, lines: list[str], addr: Address, call_id: str) -> None:
        if call_id not in self._media:
            made = self._media[call_id] = Media(speaks=self._speaks, echo_delay_s=self._echo_delay_s)
            await asyncio.get_running_loop().create_datagram_endpoint(lambda: made, local_addr=(HOST, 0))
        port = _port(self._media[call_id].transport)
        sdp = f"v=0\r\no=- 1 1 IN IP4 {HOST}\r\ns=-\r\nc=IN IP4 {HOST}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 101\r\n"
        self._reply(lines, addr, "200 OK", sdp)

    def _reply(self, lines: list[str], addr: Address, status: str, sdp: str = "") -> None:
        assert self._transport is not None
        kept = [line for line in lines if line.startswith(("Via:", "From:", "Call-ID:", "CSeq:"))]
        to = next(line for line in lines if line.startswith("To:"))
        to += "" if ";tag=" in to else ";tag=fake"
        contact = f"Contact: <sip:fake@{HOST}:{_port(self._transport)}>"
        head = [f"SIP/2.0 {status}", *kept, to, contact, f"Content-Length: {len(sdp)}"]
        self._transport.sendto(("\r\n".join(head) + "\r\n\r\n" + sdp).encode(), addr)

    def _hang_up(self, call_id: str) -> None:
        media = self._media.pop(call_id, None)
        if media is not None and media.transport is not None:
            media.transport.close()

    def close(self) -> None:
        """Let go of every port."""
        for call_id in list(self._media):
            self._hang_up(call_id)
        if self._transport is not None:
            self._transport.close()


def _port(transport: asyncio.DatagramTransport | None) -> int:
    assert transport is not None
    port: int = transport.get_extra_info("sockname")[1]
    return port


@contextlib.asynccontextmanager
async def serving(fake: FakeGateway) -> AsyncIterator[str]:
    """Serve on a free port; yields host:port."""
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: fake, local_addr=(HOST, 0))
    try:
        yield f"{HOST}:{_port(transport)}"
    finally:
        fake.close()
