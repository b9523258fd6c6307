"""The leg of a real call keeps the contract that every leg keeps: PJSIP, the engine and the wire behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import numpy as np
import pytest
import structlog

from gateway.sip.config import EndpointConfig, ListenAddress
from gateway.sip.endpoint import SipEndpoint
from gateway.sip.events import Confirmed, Incoming, SipEvent
from gateway.sip.trunks.recognition import Recognition
from media import _engine
from media.leg import Leg, Pcm
from media.plane import EngineLeg, MediaPlane
from tests.conformance.leg import LEG_CHECKS, LegRig
from tests.e2e.peers.call import Call
from tests.e2e.peers.caller import Caller
from tests.e2e.peers.process import LOOPBACK, free_port
from tests.e2e.peers.rtp import decode_ulaw

_RTP_PORTS = 64


class Answering:
    """A SIP endpoint of this process that answers every call at once, and has no gateway behind it."""

    def __init__(self) -> None:
        self.port = free_port(LOOPBACK)
        self.sip = SipEndpoint(_config(self.port), Recognition(()), _plane, self._on_event)
        self._legs: dict[int, EngineLeg] = {}
        self.confirmed: asyncio.Queue[EngineLeg] = asyncio.Queue()

    async def start(self) -> None:
        await self.sip.start()
        self.sip.plane.start()

    async def stop(self) -> None:
        self.sip.plane.stop()
        await self.sip.stop()

    def _on_event(self, event: SipEvent) -> None:
        if isinstance(event, Incoming):
            self._legs[event.ref] = event.leg
            self.sip.respond(event.ref, 200)
        elif isinstance(event, Confirmed):
            self.confirmed.put_nowait(self._legs[event.ref])


def _plane() -> MediaPlane:
    return MediaPlane(_engine.Tuning(), clock_threads=1)


def _config(port: int) -> EndpointConfig:
    first = free_port(LOOPBACK, _RTP_PORTS)
    return EndpointConfig(
        transports=(ListenAddress("udp", LOOPBACK, port),),
        public_address=None,
        rtp_address=LOOPBACK,
        rtp_first_port=first,
        rtp_last_port=first + _RTP_PORTS - 1,
        user_agent="leg",
        codecs=("PCMU",),
        jitter_buffer_ms=200,
        calls=4,
        call_places=8,
        places_kept=0,
        retry_after_s=5,
        trunks=(),
        nameservers=(),
        behind_nat="auto",
        trunk_hosts=(),
    )


class SipRig:
    """A leg of the gateway's side; the party is a telephone on loopback."""

    slack_ms = 50

    def __init__(self, leg: Leg, call: Call) -> None:
        self.leg = leg
        self._call = call

    async def elapse(self, duration_ms: int) -> None:
        await asyncio.sleep(duration_ms / 1_000)

    async def party_says(self, pcm: Pcm) -> None:
        self._call.send(pcm)
        await asyncio.to_thread(self._call.stream.wait_sent)

    def party_heard(self) -> Pcm:
        heard = np.concatenate([decode_ulaw(packet.payload) for packet in self._call.stream.received])
        sounding: Pcm = heard[heard != 0]
        return sounding


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


@pytest.fixture(scope="module")
def answering(runner: asyncio.Runner) -> Iterator[Answering]:
    async def make() -> Answering:
        endpoint = Answering()
        await endpoint.start()
        return endpoint

    endpoint = runner.run(make())
    yield endpoint
    runner.run(endpoint.stop())


@pytest.fixture(autouse=True)
def _cheap_log() -> Iterator[None]:
    """Print no tracebacks: structlog's own take longer on a busy machine than a frame may wait for its listener."""
    with structlog.testing.capture_logs():
        yield


@pytest.mark.parametrize("check", LEG_CHECKS, ids=lambda check: check.__name__)
def test_sip_leg(check: Callable[[LegRig], Awaitable[None]], answering: Answering, runner: asyncio.Runner) -> None:
    async def on_a_call(caller: Caller) -> None:
        call = caller.dial("600")
        leg = await answering.confirmed.get()
        try:
            await check(SipRig(leg, call))
        finally:
            leg.close()
            await asyncio.to_thread(call.hangup)

    with Caller((LOOPBACK, answering.port)) as caller:
        runner.run(on_a_call(caller))
