"""An application behind `chan-websocket`, over a real connection: what it is sent, what is heard of it, its faults."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np
import pytest
import structlog

from gateway.agents import (
    AgentBusyError,
    AgentFailedError,
    AgentSpec,
    BargeInOptions,
    ChanWebSocketSettings,
    prepare,
)
from media.conversation.floor import BargeIn, Keys
from media.g711 import mulaw_decoded, mulaw_encoded
from media.leg import Pcm
from media.pcm_bytes import pcm16_encoded
from tests.backend_call import PATIENCE, CallOfAgent, call_of, info, nothing_left, run, tone, until
from tests.bot import DEADLINE_S, Behaviour, Bot, Message, Stream, listens
from tests.chan_websocket_application import MediaStream, parrots
from tests.conformance.agent import AGENT_CHECKS, AgentCase
from tests.fake_leg import caller_sends, silence, voice


def application(behave: Behaviour = listens) -> Bot:
    return Bot(behave, stream=MediaStream)


def settings(url: str, **written: object) -> ChanWebSocketSettings:
    return ChanWebSocketSettings.model_validate({"url": url, **PATIENCE, **written})


def in_call(
    bot: Bot, rate_hz: int = 8_000, *, made: Callable[[AgentSpec], None] = lambda _: None, **written: object
) -> CallOfAgent:
    """A call whose application knows that media can flow."""
    spec = AgentSpec("application", settings(bot.url, **written))
    made(spec)
    return call_of(spec, lambda: bot.until(lambda stream: stream.of("MEDIA_START")), rate_hz)


def media(bot: Bot) -> MediaStream:
    assert isinstance(bot.stream, MediaStream)
    return bot.stream


async def do(bot: Bot, work: Callable[[MediaStream], Awaitable[None]]) -> None:
    def now(stream: Stream) -> Awaitable[None]:
        assert isinstance(stream, MediaStream)
        return work(stream)

    await asyncio.to_thread(bot.do, now)


def sounding(pcm: Pcm) -> int:
    return int(np.count_nonzero(pcm))


@pytest.mark.slow  # in real time: there is a network
@pytest.mark.parametrize("check", AGENT_CHECKS, ids=lambda check: check.__name__)
def test_it_keeps_the_contract_of_an_agent(check: Callable[[AgentCase], Awaitable[None]]) -> None:
    with application(parrots) as bot:

        async def checked() -> None:
            await check(AgentCase("chan-websocket", lambda: AgentSpec("application", settings(bot.url))))

        run(checked())


@pytest.mark.parametrize("control", ["plain-text", "json"])
def test_both_ways(control: str) -> None:
    async def talked(bot: Bot) -> None:
        async with in_call(bot, control=control) as (leg, _, _):
            said = voice(8_000, 200)
            await caller_sends(leg, said)
            await bot.until(lambda _: len(media(bot).heard) == len(said))
            np.testing.assert_array_equal(media(bot).heard, mulaw_decoded(mulaw_encoded(said)))
            assert leg.listener is not None
            leg.listener.on_dtmf("7", 100)

            async def answers(stream: MediaStream) -> None:
                await stream.command("ANSWER")
                await stream.say(tone(300))
                await stream.command("MARK_MEDIA", "one")
                await stream.command("REPORT_QUEUE_DRAINED")

            await do(bot, answers)
            await bot.until(lambda stream: stream.of("QUEUE_DRAINED"))
            assert 2_300 < sounding(leg.heard()) <= 2_400

    with application() as bot:
        run(talked(bot))
    stream = media(bot)
    begun = stream.of("MEDIA_START")[0]
    assert begun["channel_id"] == begun["connection_id"] == info().id
    assert begun.get("channel_variables") == ({"FROM": "+4930123", "TO": "600"} if control == "json" else None)
    assert stream.events == ["MEDIA_START", "DTMF_END", "MEDIA_MARK_PROCESSED", "QUEUE_DRAINED"]
    assert stream.of("DTMF_END")[0]["digit"] == "7"
    assert stream.of("MEDIA_MARK_PROCESSED")[0]["correlation_id"] == "one"
    assert {len(message["data"]) for message in stream.of("media")} == {160}
    assert stream.headers["Sec-WebSocket-Protocol"] == "media"
    assert stream.ended_with == 1000


@pytest.mark.parametrize(
    ("name", "rate_hz"), [("slin", 8_000), ("slin16", 16_000), ("slin44", 44_100), ("slin48", 48_000)]
)
def test_linear_audio_of_any_rate(name: str, rate_hz: int) -> None:
    """A line of 8 kHz; buffered media may be cut anywhere, in the middle of a sample too."""

    async def talked(bot: Bot) -> None:
        async with in_call(bot, format=name) as (leg, _, _):
            await caller_sends(leg, voice(8_000, 400))
            frame = rate_hz // 50 * 2
            await bot.until(lambda stream: len(stream.of("media")) >= 18)
            assert {len(message["data"]) for message in bot.stream.of("media")} == {frame}

            async def says(stream: MediaStream) -> None:
                data = pcm16_encoded(tone(400, rate_hz))
                await stream.command("START_MEDIA_BUFFERING")
                for start in range(0, len(data), 1_001):
                    await stream.send(data[start : start + 1_001])
                await stream.command("STOP_MEDIA_BUFFERING", "all")

            await do(bot, says)
            await bot.until(lambda stream: stream.of("MEDIA_BUFFERING_COMPLETED"))
            heard = leg.heard()[np.flatnonzero(leg.heard())[0] :]
            assert 3_000 < sounding(heard) <= 3_300
            # A sample that is put together wrongly is noise, and no tone of 440 Hz.
            spectrum = np.abs(np.fft.rfft(heard[400:2_800].astype(float)))
            assert np.argmax(spectrum) == pytest.approx(440 * 2_400 / 8_000, abs=1)
            assert spectrum[120:140].sum() > 0.5 * spectrum.sum()

    with application() as bot:
        run(talked(bot))
    assert bot.stream.of("MEDIA_BUFFERING_COMPLETED") == [
        {"event": "MEDIA_BUFFERING_COMPLETED", "correlation_id": "all"}
    ]


def test_a_flush_silences_it_and_its_marks() -> None:
    async def talked(bot: Bot) -> None:
        async with in_call(bot) as (leg, call, _):

            async def says(stream: MediaStream) -> None:
                await stream.say(tone(3_000))
                await stream.command("MARK_MEDIA", "never")
                await stream.command("REPORT_QUEUE_DRAINED")

            await do(bot, says)
            await until(lambda: leg.heard().any())
            await do(bot, lambda stream: stream.command("FLUSH_MEDIA"))
            await bot.until(lambda stream: stream.of("QUEUE_DRAINED"))
            assert not call.speaking
            assert sounding(leg.heard()) < 2 * 8_000
            await do(bot, lambda stream: stream.say(tone(200)))
            leg.wire.clear()
            await until(lambda: sounding(leg.heard()) > 1_500)

    with application() as bot:
        run(talked(bot))
    assert not bot.stream.of("MEDIA_MARK_PROCESSED")


@pytest.mark.parametrize("how", ["HANGUP", "close"])
def test_how_it_ends_its_part(how: str) -> None:
    async def talked(bot: Bot) -> None:
        async with in_call(bot) as (leg, call, talking):

            async def leaves(stream: MediaStream) -> None:
                await stream.say(tone(3_000))
                await (stream.command("HANGUP") if how == "HANGUP" else stream.close())

            await do(bot, leaves)
            await asyncio.wait_for(talking, DEADLINE_S)
            assert not call.over, "the dialplan goes on"
            heard = sounding(leg.heard())
            assert heard < 16_000 if how == "HANGUP" else heard > 23_500

    with application() as bot:
        run(talked(bot))
    assert bot.stream.ended_with == 1000


def test_an_application_that_sends_far_ahead_is_asked_to_wait_and_to_go_on() -> None:
    async def talked(bot: Bot) -> None:
        async with in_call(bot):

            async def bursts(stream: MediaStream) -> None:
                for _ in range(17):
                    await stream.say(tone(1_000))
                while not stream.of("MEDIA_XOFF"):  # it is played meanwhile
                    await stream.say(tone(100))
                    await asyncio.sleep(0.01)
                await stream.command("GET_STATUS")

            await do(bot, bursts)
            await bot.until(lambda stream: stream.of("STATUS"))
            await bot.until(lambda stream: stream.of("MEDIA_XON"))

    with application() as bot:
        run(talked(bot))
    assert bot.stream.of("MEDIA_XOFF")
    status = bot.stream.of("STATUS")[0]
    assert 850 < int(status["queue_length"]) <= 950
    assert (status["queue_full"], status["xoff_level"], status["media_paused"]) == ("true", "900", "false")


def test_what_it_cannot_do_and_what_is_no_command() -> None:
    async def talked(bot: Bot) -> None:
        async with in_call(bot, control="json") as (leg, _, _):

            async def errs(stream: MediaStream) -> None:
                await stream.command("PAUSE_MEDIA")
                await stream.send("HANGUP")
                await stream.command("DANCE")
                await stream.say(tone(100))

            await do(bot, errs)
            await until(lambda: sounding(leg.heard()) > 700)

    with structlog.testing.capture_logs() as lines, application() as bot:
        run(talked(bot))
    errors = [message["error_text"] for message in bot.stream.of("ERROR")]
    assert errors == ["PAUSE_MEDIA not supported", "Unable to parse JSON command"]
    (impaired,) = [line for line in lines if line["event"] == "agent.stream_impaired"]
    assert (impaired["messages_ignored"], impaired["messages_malformed"]) == (1, 2)


def test_what_comes_before_the_call_is_kept() -> None:
    class Eager(MediaStream):
        async def greet(self) -> None:
            await self.say(tone(200))
            await self.send("MARK_MEDIA early")

    async def talked(bot: Bot) -> None:
        async with in_call(bot) as (leg, _, _):
            await bot.until(lambda stream: stream.of("MEDIA_MARK_PROCESSED"))
            assert sounding(leg.heard()) > 1_500

    with Bot(stream=Eager) as bot:
        run(talked(bot))


def test_the_gateway_may_silence_it() -> None:
    async def speaks_on(stream: Stream, message: Message) -> None:
        if message["event"] == "media":
            await stream.say(tone(20))

    async def talked(bot: Bot) -> None:
        async with in_call(bot, barge_in=BargeInOptions(mode=BargeIn.CUT)) as (leg, call, _):
            await caller_sends(leg, silence(8_000, 400))
            await caller_sends(leg, voice(8_000, 600))
            assert call.counters.barge_ins_confirmed == 1
            leg.wire.clear()
            await caller_sends(leg, voice(8_000, 200))
            assert not leg.heard().any(), "it is silent while the caller speaks"
            await caller_sends(leg, silence(8_000, 800))
            leg.wire.clear()
            await caller_sends(leg, silence(8_000, 200))
            await until(lambda: leg.heard().any())

    with application(speaks_on) as bot:
        run(talked(bot))


def test_a_key_silences_it_and_what_it_says_next_is_heard() -> None:
    async def talked(bot: Bot) -> None:
        keys = BargeInOptions(mode=BargeIn.OFF, keys=Keys.ALWAYS)
        async with in_call(bot, barge_in=keys) as (leg, call, _):

            async def says(stream: MediaStream) -> None:
                await stream.say(tone(3_000))
                await stream.command("MARK_MEDIA", "cut")

            await do(bot, says)
            await until(lambda: call.speaking)
            assert leg.listener is not None
            leg.listener.on_dtmf("1", 100)
            assert not call.speaking
            await bot.until(lambda stream: stream.of("DTMF_END"))
            await bot.until(lambda stream: stream.of("MEDIA_MARK_PROCESSED"))
            await do(bot, lambda stream: stream.say(tone(200)))
            await until(lambda: call.speaking)

    with application() as bot:
        run(talked(bot))


def test_a_connection_that_is_lost_is_a_failure() -> None:
    async def talked(bot: Bot) -> None:
        async with in_call(bot) as (_, _, talking):

            async def breaks(stream: MediaStream) -> None:
                stream.connection.transport.abort()

            await do(bot, breaks)
            with pytest.raises(AgentFailedError, match="was lost") as failed:
                await asyncio.wait_for(talking, DEADLINE_S)
            assert failed.value.retryable

    with application() as bot:
        run(talked(bot))


def test_an_application_that_is_not_there() -> None:
    async def refused() -> None:
        with pytest.raises(AgentBusyError, match=r"cannot connect to ws://127\.0\.0\.1:9"):
            await prepare(AgentSpec("application", settings("ws://127.0.0.1:9/")), "c1")

    run(refused())


def test_nothing_is_left_of_a_call_without_a_garbage_collection() -> None:
    async def talked(bot: Bot) -> None:
        async with in_call(bot, made=keep) as (leg, _, _):
            await caller_sends(leg, voice(8_000, 200))
        await bot.until(lambda stream: stream.ended_with is not None)
        await asyncio.sleep(0.05)

    with nothing_left() as keep, application(parrots) as bot:
        run(talked(bot))
