"""Real calls to agents of vendors that are no server of OpenAI's shape: scripted servers, checked by vendors' types."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

from media.g711 import mulaw_decoded, mulaw_encoded
from tests.bot import Bot, Message, Stream
from tests.deepgram_server import DeepgramStream, accepts
from tests.e2e.gateway_process import GatewayProcess, Setup, to_agent
from tests.e2e.listening import assert_heard
from tests.e2e.peers.process import wait_until
from tests.e2e.peers.sound import silence, tone

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from tests.e2e.peers.caller import Caller


async def greets(stream: Stream, message: Message) -> None:
    """It says a tone of 600 Hz as its greeting."""
    assert isinstance(stream, DeepgramStream)
    await accepts(stream, message)
    if message["type"] == "Settings":
        await stream.answer(message["agent"]["greeting"], tone(600, 400))


@pytest.fixture(scope="module")
def server() -> Iterator[Bot]:
    with Bot(greets, stream=DeepgramStream) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(server: Bot) -> Iterator[GatewayProcess]:
    routes = [to_agent("deepgram", "deepgram")]
    with GatewayProcess(Setup(routes, {"deepgram": {"kind": "deepgram", "url": server.url}})) as running:
        yield running


def test_deepgram_greets_hears_and_is_interrupted(server: Bot, caller: Caller) -> None:
    call = caller.dial("deepgram")
    call.wait_answered()
    assert_heard(call.wait_heard(600)[: 8 * 600], [600])
    sent = np.concatenate((tone(440, 500), tone(1_000, 400)))
    call.send(np.concatenate((sent, silence(2_500))))
    stream = cast("DeepgramStream", server.stream)
    wire = mulaw_decoded(mulaw_encoded(sent))

    def heard() -> np.ndarray[tuple[int], np.dtype[np.int16]]:
        loud = np.flatnonzero(stream.heard)
        return stream.heard[int(loud[0]) - 1 :] if len(loud) else stream.heard[:0]

    wait_until(lambda: len(heard()) >= len(wire), "the whole of it", 5)
    np.testing.assert_array_equal(heard()[: len(wire)], wire)

    def do(work: Callable[[DeepgramStream], Awaitable[None]]) -> None:
        server.do(cast("Callable[[Stream], Awaitable[None]]", work))

    async def answers(stream: DeepgramStream) -> None:
        await stream.said("It is a long story.")
        await stream.audio(tone(900, 10_000))

    do(answers)
    wait_until(lambda: np.abs(call.heard()[-1_600:].astype(int)).max() > 1_000, "the answer", 5)
    do(DeepgramStream.caller_begins)
    wait_until(lambda: not np.any(call.heard()[-800:]), "silence", 5)
    assert call.hangup() == 200
    wait_until(lambda: stream.ended_with == 1000, "the end of the session", 5)
