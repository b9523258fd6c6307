"""Real calls to a model behind OpenAI's Realtime API: a scripted server that checks each message by OpenAI's types."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

from media.g711 import mulaw_decoded, mulaw_encoded
from tests.bot import Bot, Message, Stream
from tests.e2e.gateway_process import GatewayProcess, Json, Setup, to_agent
from tests.e2e.listening import assert_heard
from tests.e2e.peers.process import wait_until
from tests.e2e.peers.sound import silence, tone
from tests.realtime_server import RealtimeStream, accepts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from tests.e2e.peers.caller import Caller


async def greets(stream: Stream, message: Message) -> None:
    """It says a tone of 600 Hz as its greeting."""
    assert isinstance(stream, RealtimeStream)
    await accepts(stream, message)
    if message["type"] == "response.create":
        await stream.begin()
        await stream.audio("item_greeting", tone(600, 400))
        await stream.finish()


@pytest.fixture(scope="module")
def server() -> Iterator[Bot]:
    with Bot(greets, stream=RealtimeStream) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(server: Bot) -> Iterator[GatewayProcess]:
    agents: dict[str, Json] = {
        "model": {"kind": "openai-realtime", "url": server.url, "tools": {"go_to": {"high": "on request"}}},
        "high": {"kind": "tone", "frequency": 1_500},
    }
    routes = [to_agent("model", "model"), {**to_agent("high", "high"), "name": "high"}]
    with GatewayProcess(Setup(routes, agents)) as running:
        yield running


def do(server: Bot, work: Callable[[RealtimeStream], Awaitable[None]]) -> None:
    server.do(cast("Callable[[Stream], Awaitable[None]]", work))


def test_a_model_greets_and_hears_what_pcmu_brings(server: Bot, caller: Caller) -> None:
    call = caller.dial("model")
    call.wait_answered()
    assert_heard(call.wait_heard(600)[: 8 * 600], [600])
    sent = np.concatenate((tone(440, 500), tone(1_000, 400)))
    call.send(sent)
    call.stream.wait_sent()
    stream = server.streams[-1]
    wire = mulaw_decoded(mulaw_encoded(sent))

    def heard() -> np.ndarray[tuple[int], np.dtype[np.int16]]:
        data = b"".join(base64.b64decode(one["audio"]) for one in stream.of("input_audio_buffer.append"))
        sound = mulaw_decoded(data)
        loud = np.flatnonzero(sound)
        return sound[int(loud[0]) - 1 :] if len(loud) else sound

    wait_until(lambda: len(heard()) >= len(wire), "the whole of it", 5)
    np.testing.assert_array_equal(heard()[: len(wire)], wire)
    assert call.hangup() == 200
    wait_until(lambda: stream.ended_with == 1000, "the end of the session", 5)


def test_the_model_is_told_what_was_heard_to_the_packet(server: Bot, caller: Caller) -> None:
    call = caller.dial("model")
    call.wait_answered()
    call.wait_heard(700)
    call.send(silence(2_500))

    async def answers(stream: RealtimeStream) -> None:
        await stream.begin()
        await stream.audio("item_long", tone(900, 10_000))

    do(server, answers)
    wait_until(lambda: np.abs(call.heard()[-1_600:].astype(int)).max() > 1_000, "the answer", 5)
    call.stream.wait_sent()
    do(server, RealtimeStream.caller_begins)
    stream = server.streams[-1]
    wait_until(lambda: stream.of("conversation.item.truncate"), "what was heard", 5)
    wait_until(lambda: not np.any(call.heard()[-800:]), "silence", 5)
    (told,) = stream.of("conversation.item.truncate")
    loud = [packet for packet in call.received if np.abs(packet.pcm.astype(int)).max(initial=0) > 1_000]
    greeting = 400 // 20
    assert told["audio_end_ms"] == pytest.approx((len(loud) - greeting) * 20, abs=20)
    assert call.hangup() == 200


def test_the_model_hands_the_caller_to_another_route(server: Bot, gateway: GatewayProcess, caller: Caller) -> None:
    async def goes(stream: RealtimeStream) -> None:
        await stream.begin()
        await stream.audio("item_bye", tone(700, 300))
        await stream.call_tool("go_to", '{"route": "high"}')
        await stream.finish()

    call = caller.dial("model")
    call.wait_answered()
    call.wait_heard(700)
    do(server, goes)
    assert_heard(call.wait_heard(2_000), [600, 700, 1_500])
    assert call.hangup() == 200
    assert gateway.record(call.call_id)["agents"] == ["model", "high"]
