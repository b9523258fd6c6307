"""Real calls to a model behind the Gemini Live API: a scripted server that checks each message by Google's types."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

from media.resample import Resampler
from tests.bot import Bot, Message, Stream
from tests.e2e.gateway_process import GatewayProcess, Json, Setup, to_agent
from tests.e2e.listening import assert_heard
from tests.e2e.peers.process import wait_until
from tests.e2e.peers.sound import tone
from tests.fake_leg import voice
from tests.gemini_server import GeminiStream, accepts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from media.leg import Pcm
    from tests.e2e.peers.caller import Caller


def at_24k(hz: int, length_ms: int) -> Pcm:
    return Resampler(8_000, 24_000).process(tone(hz, length_ms))


async def greets(stream: Stream, message: Message) -> None:
    """It says a tone of 600 Hz as its greeting."""
    assert isinstance(stream, GeminiStream)
    await accepts(stream, message)
    if "text" in message.get("realtimeInput", {}):
        await stream.audio(at_24k(600, 400))
        await stream.finish()


@pytest.fixture(scope="module")
def server() -> Iterator[Bot]:
    with Bot(greets, stream=GeminiStream) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(server: Bot) -> Iterator[GatewayProcess]:
    agents: dict[str, Json] = {"model": {"kind": "gemini-live", "url": server.url}}
    with GatewayProcess(Setup([to_agent("model", "model")], agents)) as running:
        yield running


def do(server: Bot, work: Callable[[GeminiStream], Awaitable[None]]) -> None:
    server.do(cast("Callable[[Stream], Awaitable[None]]", work))


def test_a_model_greets_and_hears_the_caller_at_16_khz(server: Bot, caller: Caller) -> None:
    call = caller.dial("model")
    call.wait_answered()
    assert_heard(call.wait_heard(600)[: 8 * 600], [600])
    call.send(np.concatenate((tone(440, 500), tone(1_000, 500))))
    call.stream.wait_sent()
    stream = cast("GeminiStream", server.streams[-1])

    def loud() -> Pcm:
        heard = stream.heard
        found: Pcm = heard[np.abs(heard.astype(int)) > 300]
        return found

    def peak_hz(pcm: Pcm) -> float:
        spectrum = np.abs(np.fft.rfft(pcm * np.hanning(len(pcm))))
        return float(np.argmax(spectrum)) * 16_000 / len(pcm)

    wait_until(lambda: len(loud()) > 0.9 * 16_000, "the whole of it", 5)
    begin = int(np.flatnonzero(np.abs(stream.heard.astype(int)) > 300)[0])
    first, second = (stream.heard[begin + start : begin + start + 4_800] for start in (1_600, 9_600))
    assert peak_hz(first) == pytest.approx(440, abs=10)
    assert peak_hz(second) == pytest.approx(1_000, abs=10)
    assert call.hangup() == 200
    wait_until(lambda: stream.ended_with == 1000, "the end of the session", 5)


def test_a_caller_who_speaks_interrupts_the_model(server: Bot, caller: Caller) -> None:
    call = caller.dial("model")
    call.wait_answered()
    call.wait_heard(600)

    async def answers(stream: GeminiStream) -> None:
        await stream.audio(at_24k(900, 10_000))

    do(server, answers)
    wait_until(lambda: np.abs(call.heard()[-1_600:].astype(int)).max() > 1_000, "the answer", 5)
    call.send(voice(8_000, 2_000))
    stream = cast("GeminiStream", server.streams[-1])
    heard = len(stream.heard)
    wait_until(lambda: len(stream.heard) - heard > 16_000 * 0.6, "the caller's voice", 5)
    do(server, GeminiStream.interrupt)
    wait_until(lambda: not np.any(call.heard()[-800:]), "silence", 5)
    assert call.hangup() == 200
