"""A bot behind `media-streams`, over a real WebSocket: what it is sent, what is heard of it, what its faults do."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

import numpy as np
import pytest
import structlog

from gateway.agents import (
    AgentBusyError,
    AgentError,
    AgentFailedError,
    AgentSpec,
    BargeInOptions,
    MediaStreamsSettings,
    let_talk,
    prepare,
)
from gateway.agents.network import websocket
from gateway.agents.network.early import EarlyMessages
from gateway.agents.network.voice import Voice
from media.conversation.conversation import Conversation
from media.conversation.events import CallInfo
from media.conversation.floor import BargeIn, Keys
from media.g711 import mulaw_decoded, mulaw_encoded
from tests.backend_call import PATIENCE, CallOfAgent, call_of, nothing_left, run, tone, until
from tests.bot import DEADLINE_S, Bot, Message, Stream, listens, parrots
from tests.conformance.agent import AGENT_CHECKS, AgentCase
from tests.fake_leg import FakeLeg, caller_sends, silence, voice

INFO = CallInfo(
    call_id="c1",
    id="01899b2a-0000-7000-8000-0123456789ab",
    to="600",
    from_="+4930123",
    route="sales",
    headers={"x-tier": ("gold", "silver")},
    results={"customer": "4711"},
)
TWILIO_HEX = "01899b2a000070008000" + "0123456789ab"


def settings(url: str, **written: object) -> MediaStreamsSettings:
    return MediaStreamsSettings.model_validate({"url": url, **PATIENCE, **written})


def in_call(
    bot: Bot, rate_hz: int = 8_000, *, made: Callable[[AgentSpec], None] = lambda _: None, **written: object
) -> CallOfAgent:
    """A call with the bot, whose stream has begun."""
    spec = AgentSpec("bot", settings(bot.url, **written))
    made(spec)
    return call_of(spec, lambda: bot.until(lambda stream: stream.of("start") or stream.of("connected")), rate_hz, INFO)


@pytest.mark.slow  # in real time: there is a network
@pytest.mark.parametrize("check", AGENT_CHECKS, ids=lambda check: check.__name__)
def test_it_keeps_the_contract_of_an_agent(check: Callable[[AgentCase], Awaitable[None]]) -> None:
    with Bot(parrots) as bot:

        async def checked() -> None:
            await check(AgentCase("media-streams", lambda: AgentSpec("bot", settings(bot.url))))

        run(checked())


def test_the_bot_is_told_what_a_provider_tells_it() -> None:
    parameters = {"caller": "{from}", "line": "{route} {to}", "tier": "{header:X-Tier}", "who": "{result:customer}"}

    async def talked(bot: Bot) -> None:
        async with in_call(bot, parameters=parameters) as (leg, _, _):
            sent = voice(8_000, 100)
            await caller_sends(leg, sent)
            await bot.until(lambda stream: len(stream.of("media")) >= 5)
            assert leg.listener is not None
            leg.listener.on_dtmf("7", 100)
            await bot.until(lambda stream: stream.of("dtmf"))
        await bot.until(lambda stream: stream.ended_with is not None)
        heard = bot.stream.heard[: len(sent)]
        np.testing.assert_array_equal(heard, mulaw_decoded(mulaw_encoded(sent)))

    with Bot() as bot:
        run(talked(bot))
    connected, start, *media = bot.stream.received
    assert connected == {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    assert start == {
        "event": "start",
        "sequenceNumber": "1",
        "streamSid": f"MZ{TWILIO_HEX}",
        "start": {
            "accountSid": "AC" + 32 * "0",
            "callSid": f"CA{TWILIO_HEX}",
            "streamSid": f"MZ{TWILIO_HEX}",
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {"caller": "+4930123", "line": "sales 600", "tier": "gold", "who": "4711"},
        },
    }
    frames = [message for message in media if message["event"] == "media"]
    assert [frame["media"]["chunk"] for frame in frames[:3]] == ["1", "2", "3"]
    assert [frame["media"]["timestamp"] for frame in frames[:3]] == ["0", "20", "40"]
    assert [message["sequenceNumber"] for message in media] == [str(2 + at) for at in range(len(media))]
    assert bot.stream.of("dtmf")[0]["dtmf"] == {"track": "inbound_track", "digit": "7"}
    assert bot.stream.received[-1]["stop"] == {"accountSid": "AC" + 32 * "0", "callSid": f"CA{TWILIO_HEX}"}
    assert bot.stream.ended_with == 1000


@pytest.mark.parametrize("rate_hz", [8_000, 16_000])
def test_what_the_bot_says_is_heard_and_marks_come_back_when_it_was(rate_hz: int) -> None:
    async def talked(bot: Bot) -> None:
        async with in_call(bot, rate_hz) as (leg, _, _):
            said = tone(400)

            async def say(stream: Stream) -> None:
                await stream.mark("before")
                await stream.say(said)
                await stream.mark("middle")
                await stream.say(tone(200, hz=900))
                await stream.mark("end")

            bot.do(say)
            await bot.until(lambda stream: "before" in stream.marks)
            await bot.until(lambda stream: "middle" in stream.marks)
            assert 400 <= len(leg.wire) * 20 <= 600, "the mark came when its audio was heard"
            await bot.until(lambda stream: stream.marks == ["before", "middle", "end"])
            if rate_hz == 8_000:
                heard = leg.heard()
                first = int(np.flatnonzero(heard)[0])
                start = int(np.flatnonzero(mulaw_decoded(mulaw_encoded(said)))[0])
                np.testing.assert_array_equal(
                    heard[first - start : first - start + len(said)], mulaw_decoded(mulaw_encoded(said))
                )

    with Bot() as bot:
        run(talked(bot))


def test_clear_silences_it_at_once_and_brings_its_marks_back() -> None:
    async def talked(bot: Bot) -> None:
        async with in_call(bot) as (leg, call, _):

            async def say(stream: Stream) -> None:
                await stream.say(tone(30_000))  # more than is handed to the call at once
                await stream.mark("one")
                await stream.mark("one")

            bot.do(say)
            await until(lambda: call.queued_ms > 5_000)
            await asyncio.sleep(0.1)
            bot.do(Stream.clear)
            await bot.until(lambda stream: stream.marks == ["one", "one"])
            assert call.queued_ms == 0
            leg.wire.clear()
            await asyncio.sleep(0.1)
            assert not leg.heard().any()
            bot.do(lambda stream: stream.say(tone(100)))
            bot.do(lambda stream: stream.mark("two"))
            await bot.until(lambda stream: stream.marks == ["one", "one", "two"])
            assert np.count_nonzero(leg.heard()) > 700

    with Bot() as bot:
        run(talked(bot))


def test_a_minute_in_one_burst_is_kept_and_the_rest_dropped_and_counted() -> None:
    async def talked(bot: Bot) -> None:
        async with in_call(bot, buffer=12_000) as (_, call, _):
            for _ in range(3):
                bot.do(lambda stream: stream.say(tone(10_000)))
            bot.do(lambda stream: stream.mark("end"))
            await until(lambda: call.queued_ms > 5_000)
            bot.do(Stream.clear)
            await bot.until(lambda stream: stream.marks == ["end"])

    with structlog.testing.capture_logs() as lines, Bot() as bot:
        run(talked(bot))
    (impaired,) = [line for line in lines if line["event"] == "agent.stream_impaired"]
    # Of 30 s, 10 to 16 are handed to the call and 12 are kept.
    assert 2_000 <= impaired["bot_dropped_ms"] <= 8_000


def test_the_bots_first_words_are_kept_that_come_before_its_call() -> None:
    async def talked(bot: Bot) -> None:
        spec = AgentSpec("bot", settings(bot.url))
        run_ = await prepare(spec, "c1")
        await until(lambda: bot.streams)
        bot.do(lambda stream: stream.say(tone(100)))
        await asyncio.sleep(0.05)
        leg = FakeLeg()
        call = Conversation(leg, INFO, spec.settings.effective_barge_in)
        talking = asyncio.create_task(let_talk(spec, call, run_))
        await until(lambda: np.count_nonzero(leg.heard()) > 700)
        call.on_call_over()
        await talking
        call.close()
        leg.stop_clock()

    with Bot() as bot:
        run(talked(bot))


def test_a_bot_that_floods_before_its_call_costs_no_memory() -> None:
    early = EarlyMessages()
    for _ in range(5_000):
        early.keep(b"x" * 1_000)
    for _ in range(5_000):
        early.keep(b"")
    kept = early.take()
    assert len(kept) == 1_000
    assert early.lost == 9_000
    assert early.take() == []
    early.keep(b"x" * 2_000_000)
    assert early.take() == []


def test_a_connection_that_no_call_gets_is_closed() -> None:
    async def prepared(bot: Bot) -> None:
        run_ = await prepare(AgentSpec("bot", settings(bot.url)), "c1")
        await until(lambda: bot.streams)
        run_.discard()
        await bot.until(lambda stream: stream.ended_with is not None)

    with Bot() as bot:
        run(prepared(bot))


def test_a_bot_that_closes_has_finished_and_is_heard_to_the_end() -> None:
    async def talked(bot: Bot) -> None:
        async with in_call(bot) as (leg, _, talking):

            async def say(stream: Stream) -> None:
                await stream.say(tone(300))
                await stream.close()

            bot.do(say)
            await asyncio.wait_for(talking, DEADLINE_S)
            assert np.count_nonzero(leg.heard()) > 2_300

    with Bot() as bot:
        run(talked(bot))


@pytest.mark.parametrize(("code", "said"), [(1011, "closed the connection with 1011: broken"), (None, "was lost")])
def test_a_bot_that_breaks_off_has_failed(code: int | None, said: str) -> None:
    async def breaks(stream: Stream) -> None:
        if code is None:
            stream.connection.transport.abort()
        else:
            await stream.close(code, "broken")

    async def talked(bot: Bot) -> None:
        async with in_call(bot) as (_, _, talking):
            bot.do(breaks)
            with pytest.raises(AgentFailedError, match=said) as failed:
                await asyncio.wait_for(talking, DEADLINE_S)
            assert failed.value.retryable

    with Bot() as bot:
        run(talked(bot))


async def connected(url: str, **written: object) -> AgentError:
    with pytest.raises(AgentError) as refused:
        await prepare(AgentSpec("bot", settings(url, **written)), "c1")
    return refused.value


@pytest.mark.parametrize(
    ("status", "headers", "said", "busy"),
    [
        (HTTPStatus.UNAUTHORIZED, {}, "answered 401: check the key or token", False),
        (HTTPStatus.NOT_FOUND, {}, "answered 404: check the path", False),
        (HTTPStatus.TOO_MANY_REQUESTS, {"Retry-After": "30"}, "answered 429, Retry-After 30", True),
        (HTTPStatus.BAD_GATEWAY, {}, "answered 502", True),
        (
            HTTPStatus.FOUND,
            {"Location": "wss://me:secret@other.example/a?token=secret"},
            "a redirect to wss://other.example/a:",
            False,
        ),
        (HTTPStatus.FOUND, {"Location": "//[secret"}, "a redirect to elsewhere", False),
    ],
)
def test_a_bot_that_refuses(status: HTTPStatus, headers: dict[str, str], said: str, busy: bool) -> None:
    with Bot(refuse=(status, headers)) as bot:
        error = asyncio.run(connected(bot.url + "?token=secret"))
    assert said in str(error)
    assert "secret" not in str(error)
    assert isinstance(error, AgentBusyError) is busy


def test_a_bot_that_is_not_there() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    error = asyncio.run(connected(f"ws://127.0.0.1:{port}/"))
    assert isinstance(error, AgentBusyError)
    assert f"cannot connect to ws://127.0.0.1:{port}/" in str(error)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "did not answer within 0.3 s"),
        (b"SSH-2.0-OpenSSH_9\r\n\r\n", "did not answer as a WebSocket server"),
        (b"HTTP/1.1 101 Swi", "closed the connection without an answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "answered 200"),
    ],
)
def test_a_server_that_is_no_bot(answer: bytes, said: str) -> None:
    async def tried() -> None:
        async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(answer)
            if not answer.endswith(b"Swi"):
                await over.wait()
            writer.close()

        over = asyncio.Event()
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        error = await connected(f"ws://127.0.0.1:{port}/", connect_timeout=0.3)
        over.set()
        server.close()
        await server.wait_closed()
        assert said in str(error)

    run(tried())


async def babbles(stream: Stream, message: Message) -> None:
    if message["event"] != "start":
        return
    for nonsense in (
        "",
        "{",
        "[]",
        '{"event": 7}',
        '{"event": "media"}',
        '{"event": "media", "media": {"payload": "%%%"}}',
        '{"event": "mark", "mark": {}}',
        '{"event": "hello", "more": [1, 2, 3]}',
        '{"event": "hello", "more": ' + 50_000 * "[",
        b"\x00\x01",
        '{"event": "media", "media": {"payload": ""}}',
    ):
        await stream.send(nonsense)
    await stream.connection.send([b'{"event": "cl', b'ear"}'], text=True)  # in two frames
    await stream.mark("still here")


def test_nonsense_is_counted_and_does_no_harm() -> None:
    async def talked(bot: Bot) -> None:
        async with in_call(bot) as (_, _, talking):
            await bot.until(lambda stream: stream.marks == ["still here"])
            assert not talking.done()

    with structlog.testing.capture_logs() as lines, Bot(babbles) as bot:
        run(talked(bot))
    (impaired,) = [line for line in lines if line["event"] == "agent.stream_impaired"]
    assert (impaired["messages_malformed"], impaired["messages_ignored"]) == (9, 1)


def test_a_bot_that_does_not_read_has_failed_and_costs_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "UNREAD_S", 0.3)

    async def talked(bot: Bot) -> None:
        spec = AgentSpec("bot", settings(bot.url))
        leg = FakeLeg()
        call = Conversation(leg, INFO, spec.settings.effective_barge_in)
        talking = asyncio.create_task(let_talk(spec, call))
        await until(lambda: bot.streams)
        frame = voice(8_000, 20)
        while not talking.done():
            for _ in range(500):
                call.on_frame(frame)
            await asyncio.sleep(0.001)
        with pytest.raises(AgentFailedError, match="has read nothing for"):
            await talking
        call.close()
        leg.stop_clock()

    with structlog.testing.capture_logs() as lines, Bot(reads=False) as bot:
        run(talked(bot))
    (impaired,) = [line for line in lines if line["event"] == "agent.stream_impaired"]
    assert impaired["messages_not_sent"] > 0


async def floods(stream: Stream, message: Message) -> None:
    if message["event"] == "start":
        payload = {"payload": "/" * 216}
        for _ in range(3_000):
            await stream.send({"event": "media", "media": payload})
        await stream.mark("end")


def test_a_flood_must_wait() -> None:
    """At most so many messages are taken within a window: 3,000 need a second and a half, whatever the machine."""

    async def talked(bot: Bot) -> None:
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        async with in_call(bot):
            bot_waits = asyncio.create_task(bot.until(lambda stream: stream.received and stream.of("mark")))
            await until(lambda: loop.time() - started_s > 0.5)
            assert not bot_waits.done()
            bot_waits.cancel()

    with Bot(floods) as bot:
        run(talked(bot))


@pytest.mark.parametrize("clears", [False, True])
def test_the_gateway_may_silence_it(clears: bool) -> None:
    """What the bot still sends is dropped until it clears, or until the caller has finished."""

    async def speaks_on(stream: Stream, message: Message) -> None:
        if message["event"] == "start":
            await stream.say(tone(2_000))
            await stream.mark("end")
        if message["event"] == "media":
            await stream.say(tone(20, hz=900))

    async def talked(bot: Bot) -> None:
        barge_in = BargeInOptions(mode=BargeIn.CUT)
        async with in_call(bot, barge_in=barge_in) as (leg, call, _):
            await caller_sends(leg, silence(8_000, 400))
            await caller_sends(leg, voice(8_000, 600))
            assert call.counters.barge_ins_confirmed == 1
            await bot.until(lambda stream: stream.marks == ["end"])
            leg.wire.clear()
            await caller_sends(leg, voice(8_000, 200))
            assert not leg.heard().any(), "it is silent while the caller speaks"
            assert call.refused_ms > 0
            if clears:
                bot.do(Stream.clear)
            else:
                await caller_sends(leg, silence(8_000, 800))
            leg.wire.clear()
            await caller_sends(leg, silence(8_000, 200))
            await until(lambda: leg.heard().any())

    with Bot(speaks_on) as bot:
        run(talked(bot))


def test_a_key_silences_it_and_what_it_says_next_is_heard() -> None:
    async def talked(bot: Bot) -> None:
        async with in_call(bot, barge_in=BargeInOptions(mode=BargeIn.OFF, keys=Keys.ALWAYS)) as (leg, call, _):
            bot.do(lambda stream: stream.say(tone(3_000)))
            bot.do(lambda stream: stream.mark("end"))
            await until(lambda: leg.heard().any())
            assert leg.listener is not None
            leg.listener.on_dtmf("1", 100)
            await bot.until(lambda stream: stream.of("dtmf") and stream.marks == ["end"])
            assert call.queued_ms == 0
            leg.wire.clear()
            bot.do(lambda stream: stream.say(tone(200)))
            await until(lambda: np.count_nonzero(leg.heard()) > 1_500)

    with Bot() as bot:
        run(talked(bot))


def test_a_mark_behind_what_was_interrupted_comes_back_at_once() -> None:
    """It may come after the interruption, and before the bot is told."""

    async def talked() -> None:
        leg = FakeLeg()
        call = Conversation(leg, INFO)
        voice_ = Voice(8_000, 60_000)
        voice_.begin(call)
        pumping = asyncio.create_task(voice_.pump())
        assert voice_.play(tone(30_000)) == 30_000
        await asyncio.sleep(0.05)  # the pump waits for room
        call.stop()
        assert voice_.mark("late") == ["late"]
        assert voice_.play(tone(20)) == 0
        assert voice_.interrupted() == []
        voice_.reopen()
        assert voice_.play(tone(20)) == 20
        pumping.cancel()
        await asyncio.wait({pumping})
        call.on_call_over()
        call.close()
        leg.stop_clock()

    run(talked())


def test_what_waits_is_limited_in_time_whatever_its_rate() -> None:
    voice_ = Voice(8_000, 10_000)
    voice_.use_rate(24_000)
    assert voice_.play(tone(9_000, rate_hz=24_000)) == 9_000
    voice_.use_rate(8_000)
    assert voice_.play(tone(2_000)) == 1_000
    assert voice_.dropped_ms == 1_000


def test_the_request_is_signed_and_has_the_headers(tmp_path: Any) -> None:
    token = tmp_path / "token"
    token.write_text("12345\n")

    async def talked(bot: Bot) -> None:
        headers = {"Authorization": {"file": str(token)}, "X-Plain": "yes"}
        async with in_call(bot, auth_token={"file": str(token)}, headers=headers):
            pass

    with Bot(listens) as bot:
        run(talked(bot))
        told = bot.stream.headers
    assert (told["Authorization"], told["X-Plain"]) == ("12345", "yes")
    # By another implementation of HMAC: openssl dgst -sha1 -hmac.
    import base64  # noqa: PLC0415
    import subprocess  # noqa: PLC0415

    made = subprocess.run(
        ["openssl", "dgst", "-sha1", "-hmac", "12345", "-binary"],
        input=bot.url.encode(),
        capture_output=True,
        check=True,
    )
    assert told["X-Twilio-Signature"] == base64.b64encode(made.stdout).decode()


def test_nothing_is_left_of_a_call_without_a_garbage_collection() -> None:
    async def talked(bot: Bot) -> None:
        async with in_call(bot, made=keep) as (leg, _, _):
            await caller_sends(leg, voice(8_000, 200))

    with nothing_left() as keep, Bot(parrots) as bot:
        run(talked(bot))
