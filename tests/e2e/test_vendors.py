"""Real calls to agents of vendors that are no server of OpenAI's shape: scripted servers, checked by vendors' types."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, cast

import numpy as np
import pytest

from media.g711 import mulaw_decoded, mulaw_encoded
from tests import deepgram_server, elevenlabs_server
from tests.bot import Bot, Message, Stream
from tests.deepgram_server import DeepgramStream
from tests.e2e.gateway_process import GatewayProcess, Json, Setup, to_agent
from tests.e2e.listening import assert_heard
from tests.e2e.peers.process import wait_until
from tests.e2e.peers.sound import silence, tone
from tests.elevenlabs_server import ElevenLabsStream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.peers.caller import Caller


VendorStream: TypeAlias = DeepgramStream | ElevenLabsStream


async def deepgram(stream: Stream, message: Message) -> None:
    """It says a tone of 600 Hz as its greeting."""
    assert isinstance(stream, DeepgramStream)
    await deepgram_server.accepts(stream, message)
    if message["type"] == "Settings":
        await stream.answer(message["agent"]["greeting"], tone(600, 400))


async def elevenlabs(stream: Stream, message: Message) -> None:
    """As above."""
    assert isinstance(stream, ElevenLabsStream)
    await elevenlabs_server.accepts(stream, message)
    if message.get("type") == "conversation_initiation_client_data":
        await stream.answer("Hello!", tone(600, 400))


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, Bot]]:
    with Bot(deepgram, stream=DeepgramStream) as first, Bot(elevenlabs, stream=ElevenLabsStream) as second:
        yield {"deepgram": first, "elevenlabs": second}


@pytest.fixture(scope="module")
def gateway(servers: dict[str, Bot]) -> Iterator[GatewayProcess]:
    agents: dict[str, Json] = {
        "deepgram": {"kind": "deepgram", "url": servers["deepgram"].url},
        "elevenlabs": {"kind": "elevenlabs", "url": servers["elevenlabs"].url, "agent_id": "agent_1"},
    }
    with GatewayProcess(Setup([to_agent(name, name) for name in agents], agents)) as running:
        yield running


@pytest.mark.parametrize("vendor", ["deepgram", "elevenlabs"])
def test_an_agent_greets_hears_and_is_interrupted(vendor: str, servers: dict[str, Bot], caller: Caller) -> None:
    call = caller.dial(vendor)
    call.wait_answered()
    assert_heard(call.wait_heard(600)[: 8 * 600], [600])
    sent = np.concatenate((tone(440, 500), tone(1_000, 400)))
    call.send(np.concatenate((sent, silence(2_500))))
    server = servers[vendor]
    stream = cast("VendorStream", server.stream)
    wire = mulaw_decoded(mulaw_encoded(sent))

    def heard() -> np.ndarray[tuple[int], np.dtype[np.int16]]:
        sound = stream.heard
        loud = np.flatnonzero(sound)
        return sound[int(loud[0]) - 1 :] if len(loud) else sound[:0]

    wait_until(lambda: len(heard()) >= len(wire), "the whole of it", 5)
    np.testing.assert_array_equal(heard()[: len(wire)], wire)

    async def answers(_: Stream) -> None:
        await stream.said("It is a long story.")
        await stream.audio(tone(900, 10_000))

    async def interrupts(_: Stream) -> None:
        await stream.caller_begins()

    server.do(answers)
    wait_until(lambda: np.abs(call.heard()[-1_600:].astype(int)).max() > 1_000, "the answer", 5)
    server.do(interrupts)
    wait_until(lambda: not np.any(call.heard()[-800:]), "silence", 5)
    assert call.hangup() == 200
    wait_until(lambda: stream.ended_with == 1000, "the end of the session", 5)
