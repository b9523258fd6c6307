"""Real calls to an application that was written for Asterisk's WebSocket channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from media.g711 import mulaw_decoded, mulaw_encoded
from tests.bot import Bot, Message, Stream
from tests.chan_websocket_application import MediaStream, parrots
from tests.e2e.gateway_process import GatewayProcess, Json, Setup, to_agent
from tests.e2e.listening import assert_heard, echo_delays_ms
from tests.e2e.peers.process import wait_until
from tests.e2e.peers.sound import silence, tone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.peers.caller import Caller


async def answers(stream: Stream, message: Message) -> None:
    """On 1 it says a tone, and hangs up when all was heard; else it is a parrot."""
    assert isinstance(stream, MediaStream)
    match message["event"]:
        case "DTMF_END":
            await stream.say(tone(600, 300))
            await stream.command("REPORT_QUEUE_DRAINED")
        case "QUEUE_DRAINED":
            await stream.command("HANGUP")
        case _ if not stream.of("DTMF_END"):
            await parrots(stream, message)


@pytest.fixture(scope="module")
def application() -> Iterator[Bot]:
    with Bot(answers, stream=MediaStream) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(application: Bot) -> Iterator[GatewayProcess]:
    agents: dict[str, Json] = {"bot": {"kind": "chan-websocket", "url": application.url}}
    with GatewayProcess(Setup([to_agent("600", "bot")], agents)) as running:
        yield running


def test_an_application_hears_and_speaks(application: Bot, gateway: GatewayProcess, caller: Caller) -> None:
    call = caller.dial("600")
    call.wait_answered()
    sent = np.concatenate((tone(440, 500), silence(200), tone(1000, 400)))
    call.send(sent)
    assert_heard(call.wait_heard(1400), [440, 1000])
    assert float(np.median(echo_delays_ms(call))) < 60
    assert call.hangup() == 200
    stream = application.stream
    assert isinstance(stream, MediaStream)
    wait_until(lambda: stream.ended_with is not None, "the end of the connection", 5)
    assert stream.of("MEDIA_START")[0]["channel_id"] == gateway.record(call.call_id)["id"]
    heard, wire = stream.heard, mulaw_decoded(mulaw_encoded(sent))
    start = int(np.flatnonzero(heard)[0]) - int(np.flatnonzero(wire)[0])
    np.testing.assert_array_equal(heard[start : start + len(wire)], wire)


def test_an_application_that_hangs_up_has_finished(gateway: GatewayProcess, caller: Caller) -> None:
    call = caller.dial("600")
    call.wait_answered()
    call.press("1", 100)
    assert call.wait_ended() == "them"
    assert_heard(call.heard(), [600])
    assert gateway.record(call.call_id)["cause"] == "steps-ran-out"
