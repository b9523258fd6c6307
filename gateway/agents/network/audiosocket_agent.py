"""Connects one call to a server that was written for Asterisk's AudioSocket."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import cast

import structlog

from gateway.agents.agent import Call
from gateway.agents.errors import AgentUnavailableError
from gateway.agents.network.audiosocket import (
    KINDS_OF_AUDIO,
    RATES_HZ,
    FrameKind,
    FrameReader,
    dtmf_frame,
    frame,
    uuid_frame,
)
from gateway.agents.network.errors import BackendError
from gateway.agents.network.voice import Voice, carry
from media.conversation.events import Dtmf, OffHold, OnHold
from media.leg import Pcm
from media.pcm_bytes import pcm16_decoded, pcm16_encoded
from media.resample import Resampler

BUFFER_MS = 10_000
"""How much of the server's audio is kept at most. Servers send in real time; after a burst, reading pauses earlier."""
AHEAD_MAX_MS = 2_000
"""With more than this queued, reading pauses for `PAUSE_S`: the protocol cannot take back audio that was sent."""
PAUSE_S = 0.2
UNREAD_S = 10.0
"""A server that does not read for this long has failed."""

_log = structlog.get_logger("agents")


@dataclass(frozen=True, slots=True)
class AudioSocketOptions:
    """The options that all connections of one agent share."""

    host: str
    port: int
    rate_hz: int
    """The rate of the audio that the server receives; it may send any rate that the protocol has."""
    connect_timeout_s: float


class AudioSocketAgent(asyncio.Protocol):
    """Connects while the call rings, then passes audio and keys between the call and the server.

    The server ends its part with a hang-up frame, or by closing the connection.
    """

    def __init__(self, options: AudioSocketOptions) -> None:
        self._options = options
        self._shown = f"{options.host}:{options.port}"
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[BackendError | None] = self._loop.create_future()
        """Done when the connection has ended, or the server has ended its part."""
        self._transport: asyncio.Transport | None = None
        self._reader = FrameReader()
        self._voice = Voice(RATES_HZ[0x10], BUFFER_MS)
        self._voice_hz = RATES_HZ[0x10]
        self._call: Call | None = None
        self._to_server: Resampler | None = None
        self._kind = KINDS_OF_AUDIO[options.rate_hz]
        self._clogged: asyncio.TimerHandle | None = None
        self._on_hold = False
        """Whether the caller has put the call on hold: what the server sends is not heard."""
        self._dropped = 0
        self._ignored = 0

    async def prepare(self) -> None:
        """Connect.

        Raises:
            BackendError: the server cannot be reached.
        """
        options = self._options
        try:
            async with asyncio.timeout(options.connect_timeout_s):
                await self._loop.create_connection(lambda: self, options.host, options.port)
        except TimeoutError:
            raise BackendError(f"{self._shown} did not answer within {options.connect_timeout_s:g} s") from None
        except OSError as error:
            raise BackendError(f"cannot connect to {self._shown}: {error.strerror or error}") from error

    def discard(self) -> None:
        """Close a connection that no call will use."""
        if self._transport is not None:
            self._transport.abort()

    async def run(self, call: Call) -> None:
        """Pass audio both ways until the caller hangs up or the server ends its part.

        Raises:
            BackendError: the connection was lost, or the server reported an error.
        """
        if self._transport is None:
            raise AgentUnavailableError("not connected: prepare() comes first")
        self._call = call
        if call.rate_hz != self._options.rate_hz:
            self._to_server = Resampler(call.rate_hz, self._options.rate_hz)
        self._voice.begin(call)
        self._write(uuid_frame(call.info.id))
        call.on_audio(self._on_frame)
        try:
            error = await carry(call, self._voice, self._listen(call), self._over)
        finally:
            call.on_audio(None)
            self._call = None
            self._close()
            self._report(call)
        if error is not None:
            raise error

    def _close(self) -> None:
        """Close the connection after sending what was written; abort it if the server does not read."""
        if self._transport is not None and self._clogged is None:
            self._transport.close()
        self._forget_clog()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.abort()

    # -- the caller is heard ------------------------------------------------------------------------------------------

    def _on_frame(self, pcm: Pcm) -> None:
        if self._to_server is not None:
            pcm = self._to_server.process(pcm)
        self._write(frame(self._kind, pcm16_encoded(pcm)))

    async def _listen(self, call: Call) -> None:
        async for event in call.events(speech=False):
            match event:
                case Dtmf():
                    self._write(dtmf_frame(event.digit))
                case OnHold():
                    self._on_hold = True
                case OffHold():
                    self._on_hold = False
                case _:
                    self._voice.on_event(event, self._loop.time())
        self._write(frame(FrameKind.HANG_UP))
        self._end(None)

    def _write(self, data: bytes) -> None:
        if self._clogged is not None or self._transport is None or self._transport.is_closing():
            self._dropped += 1
        else:
            self._transport.write(data)

    def pause_writing(self) -> None:
        """The server does not read: from now on data is dropped, and after `UNREAD_S` the server has failed."""
        if self._clogged is None:
            error = BackendError(f"{self._shown} has read nothing for {UNREAD_S:g} s")
            self._clogged = self._loop.call_later(UNREAD_S, self._end, error)

    def resume_writing(self) -> None:
        """The server reads again."""
        self._forget_clog()

    def _forget_clog(self) -> None:
        if self._clogged is not None:
            self._clogged.cancel()
            self._clogged = None

    # -- the server is heard ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is open."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's class does not derive from it

    def data_received(self, data: bytes) -> None:
        """Handle the frames received; if too much audio is queued, stop reading for a while."""
        for kind, payload in self._reader.feed(data):
            if self._over.done():
                return
            self._obey(kind, payload)
        call = self._call
        if (call is None or call.queued_ms > AHEAD_MAX_MS) and self._transport is not None:
            self._transport.pause_reading()
            self._loop.call_later(PAUSE_S, self._read_on)

    def _read_on(self) -> None:
        call, transport = self._call, self._transport
        if transport is None or transport.is_closing() or self._over.done():
            return
        if call is not None and call.queued_ms <= AHEAD_MAX_MS:
            transport.resume_reading()
        else:
            self._loop.call_later(PAUSE_S, self._read_on)

    def _obey(self, kind: int, payload: bytes) -> None:
        rate_hz = RATES_HZ.get(kind)
        if rate_hz is not None:
            if rate_hz != self._voice_hz:
                self._voice_hz = rate_hz
                self._voice.use_rate(rate_hz)
            if not self._on_hold:  # servers send without a pause: audio kept during a hold would delay all that follows
                self._voice.play(pcm16_decoded(payload))
        elif kind == FrameKind.HANG_UP:
            self._end(None)
        elif kind == FrameKind.ERROR:
            self._end(BackendError(f"{self._shown} reported error {payload[:16].hex() or 'without a code'}"))
        else:
            self._ignored += 1

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        self._forget_clog()
        self._transport = None  # it refers to us: only a rare full garbage collection would free this cycle
        self._end(None if exc is None else BackendError(f"the connection to {self._shown} was lost: {exc}"))

    def _end(self, error: BackendError | None) -> None:
        if not self._over.done():
            self._over.set_result(error)

    def _report(self, call: Call) -> None:
        lost = {
            "messages_ignored": self._ignored,
            "messages_not_sent": self._dropped,
            "bot_dropped_ms": self._voice.dropped_ms,
        }
        if any(lost.values()):
            _log.warning("agent.stream_impaired", call_id=call.info.call_id, **lost)
