"""Real calls to bots that were written for Twilio: one that the tests script, and pipecat's own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from media.g711 import mulaw_decoded, mulaw_encoded
from tests.bot import Bot, Message, Stream, listens, parrots
from tests.e2e.gateway_process import GatewayProcess, Json, Setup, to_agent
from tests.e2e.listening import assert_heard, echo_delays_ms
from tests.e2e.peers.call import Manner
from tests.e2e.peers.caller import Caller
from tests.e2e.peers.pipecat_process import PipecatBot
from tests.e2e.peers.process import wait_until
from tests.e2e.peers.sound import silence, tone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PACKET_MS = 20.0
SORRY_HZ = 700.0


def streams(url: str, **options: Json) -> dict[str, Json]:
    return {"kind": "media-streams", "url": url, **options}


async def answers_keys(stream: Stream, message: Message) -> None:
    """On 1 it speaks for ten seconds in one burst, on 2 it clears, on 3 it breaks off, on 4 it closes."""
    match message.get("dtmf", {}).get("digit"):
        case "1":
            await stream.say(tone(1_000, 10_000))
            await stream.mark("end")
        case "2":
            await stream.clear()
        case "3":
            stream.connection.transport.abort()
        case "4":
            await stream.say(tone(600, 300))
            await stream.close()
        case _:
            await parrots(stream, message)


@pytest.fixture(scope="module")
def bot() -> Iterator[Bot]:
    with Bot(answers_keys) as running:
        yield running


@pytest.fixture(scope="module")
def mute() -> Iterator[Bot]:
    with Bot(listens) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(bot: Bot, mute: Bot) -> Iterator[GatewayProcess]:
    fallback: list[Json] = [{"play": "sorry.wav"}, {"hangup": "error"}]
    agents: dict[str, Json] = {
        "bot": streams(bot.url, parameters={"tier": "{header:X-Tier}", "number": "{to}", "who": "{from}"}),
        "gone": streams("ws://127.0.0.1:9/"),
        "mute": streams(mute.url),
    }
    routes = [to_agent(name, name, fallback=fallback) for name in agents]
    with GatewayProcess(Setup(routes, agents, sounds={"sorry.wav": tone(SORRY_HZ, 500)})) as running:
        yield running


def test_a_bot_hears_and_speaks_and_nothing_is_transcoded(bot: Bot, gateway: GatewayProcess, caller: Caller) -> None:
    call = caller.dial("bot", Manner(user="+4930123", headers={"X-Tier": "gold"}))
    call.wait_answered()
    sent = np.concatenate((tone(440, 500), silence(200), tone(1000, 400)))
    call.send(sent)
    assert_heard(call.wait_heard(1400), [440, 1000])
    delays_ms = echo_delays_ms(call)
    assert float(np.median(delays_ms)) < 60
    assert call.hangup() == 200
    stream = bot.streams[-1]
    wait_until(lambda: stream.ended_with is not None, "the stream's end", 5)
    assert stream.ended_with == 1000
    assert stream.received[-1]["event"] == "stop"
    parameters = stream.of("start")[0]["start"]["customParameters"]
    assert parameters == {"tier": "gold", "number": "bot", "who": "+4930123"}
    heard, wire = stream.heard, mulaw_decoded(mulaw_encoded(sent))
    start = int(np.flatnonzero(heard)[0]) - int(np.flatnonzero(wire)[0])
    np.testing.assert_array_equal(heard[start : start + len(wire)], wire, "what PCMU brought is what the bot got")
    assert gateway.record(call.call_id)["agents"] == ["bot"]


def test_clear_is_heard_at_once_and_the_marks_tell_what_was(bot: Bot, caller: Caller) -> None:
    call = caller.dial("bot")
    call.wait_answered()
    call.send(silence(200))
    call.press("1", 100)
    call.send(silence(1_500))
    call.stream.wait_sent()
    stream = bot.streams[-1]
    assert stream.marks == []
    call.press("2", 100)
    wait_until(lambda: stream.marks == ["end"], "the mark", 5)
    cleared_s = time.monotonic()
    time.sleep(0.5)
    (said,) = assert_heard(call.heard(), [1_000])
    assert said.length_ms < 2_500
    assert not np.any(np.abs(call.heard(cleared_s + 0.060).astype(int)) > 100), "nothing comes after the mark came back"
    assert call.hangup() == 200


def test_a_bot_that_breaks_off_leads_to_the_fallback(gateway: GatewayProcess, caller: Caller) -> None:
    call = caller.dial("bot")
    call.wait_answered()
    call.press("3", 100)
    assert call.wait_ended() == "them"
    assert_heard(call.heard(), [SORRY_HZ])
    failures = str(gateway.record(call.call_id)["failures"])
    assert "agent-failed: " in failures
    assert "was lost" in failures


def test_a_bot_that_closes_has_finished(gateway: GatewayProcess, caller: Caller) -> None:
    call = caller.dial("bot")
    call.wait_answered()
    call.press("4", 100)
    assert call.wait_ended() == "them"
    (said,) = assert_heard(call.heard(), [600])
    assert said.length_ms == pytest.approx(300, abs=45)
    assert gateway.record(call.call_id)["cause"] == "steps-ran-out"


def test_a_bot_that_is_not_there(gateway: GatewayProcess, caller: Caller) -> None:
    call = caller.dial("gone")
    call.wait_answered()
    assert call.wait_ended() == "them"
    assert_heard(call.heard(), [SORRY_HZ])
    failures = str(gateway.record(call.call_id)["failures"])
    assert "agent-busy: " in failures
    assert "cannot connect to ws://127.0.0.1:9/" in failures


def test_pipecats_own_bot_takes_a_call(tmp_path: Path) -> None:
    with PipecatBot(tmp_path) as bot:
        bot.wait_ready()
        agents: dict[str, Json] = {"pipecat": streams(bot.url, parameters={"who": "{from}"})}
        with GatewayProcess(Setup([to_agent("600", "pipecat")], agents)) as gateway, Caller(gateway.address) as caller:
            call = caller.dial("600", Manner(user="+4930123"))
            call.wait_answered()
            call.send(np.concatenate((silence(500), tone(440, 600), silence(200), tone(900, 500), silence(500))))
            assert_heard(call.wait_heard(2_500), [440, 900])
            heard = len(call.heard())
            call.press("1", 100)
            call.send(silence(1_500))
            call.stream.wait_sent()
            call.press("2", 100)
            call.send(silence(1_500))
            call.stream.wait_sent()
            (said,) = assert_heard(call.heard()[heard:], [1_000])
            assert 800 < said.length_ms < 2_500, "five seconds were to come when it interrupted itself"
            assert call.hangup() == 200
            wait_until(lambda: "disconnected" in bot.log(), "pipecat sees the end", 10)
        assert "provider twilio body {'who': '+4930123'}" in bot.log()
