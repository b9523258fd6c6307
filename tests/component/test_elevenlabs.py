"""An agent behind `elevenlabs`: what it is told, what its caller hears, and what its faults do."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import structlog

from gateway.agents import (
    AgentBusyError,
    AgentFailedError,
    AgentSpec,
    BargeInOptions,
    Done,
    ElevenLabsSettings,
    GoTo,
    prepare,
)
from media.conversation.floor import BargeIn
from media.g711 import mulaw_decoded, mulaw_encoded
from tests.backend_call import PATIENCE, CallOfAgent, call_of, nothing_left, run, tone, until
from tests.bot import DEADLINE_S, Bot, Message, Stream
from tests.conformance.agent import AGENT_CHECKS, AgentCase
from tests.elevenlabs_server import ElevenLabsStream, accepts, check, echoes
from tests.fake_leg import caller_sends, silence, voice

BEGIN = "conversation_initiation_client_data"


def settings(url: str, **written: object) -> ElevenLabsSettings:
    return ElevenLabsSettings.model_validate({"url": url, "agent_id": "agent_1", **PATIENCE, **written})


def server(behave: Callable[[Stream, Message], Awaitable[None]] = accepts, **more: Any) -> Bot:
    return Bot(behave, stream=ElevenLabsStream, **more)


def session(bot: Bot) -> ElevenLabsStream:
    return cast("ElevenLabsStream", bot.stream)


def do(bot: Bot, work: Callable[[ElevenLabsStream], Awaitable[None]]) -> None:
    bot.do(cast("Callable[[Stream], Awaitable[None]]", work))


async def sent(bot: Bot, kind: str, count: int = 1) -> list[Message]:
    """The messages of a kind, once there are so many."""
    await bot.until(lambda stream: len(stream.of(kind)) >= count)
    return bot.stream.of(kind)


def in_call(
    bot: Bot, rate_hz: int = 8_000, *, made: Callable[[AgentSpec], None] = lambda _: None, **written: object
) -> CallOfAgent:
    """A call whose session was asked for."""
    spec = AgentSpec("agent", settings(cast("str", written.pop("url", bot.url)), **written))
    made(spec)
    return call_of(spec, lambda: sent(bot, BEGIN), rate_hz)


@pytest.mark.slow  # in real time: there is a network
@pytest.mark.parametrize("contract", AGENT_CHECKS, ids=lambda contract: contract.__name__)
def test_it_keeps_the_contract_of_an_agent(contract: Callable[[AgentCase], Awaitable[None]]) -> None:
    with server(echoes) as bot:

        async def checked() -> None:
            await contract(AgentCase("elevenlabs", lambda: AgentSpec("agent", settings(bot.url))))

        run(checked())


@pytest.mark.parametrize(
    ("written", "override"),
    [
        ({}, None),
        (
            {"instructions": "You help {from}.", "greeting": "Hello, {from}!", "language": "de", "voice": "v1"},
            {
                "agent": {
                    "prompt": {"prompt": "You help +4930123."},
                    "first_message": "Hello, +4930123!",
                    "language": "de",
                },
                "tts": {"voice_id": "v1"},
            },
        ),
    ],
)
def test_only_what_is_written_is_overridden(written: dict[str, Any], override: object) -> None:
    async def talked(bot: Bot) -> None:
        async with in_call(bot, **written) as (leg, _, _):
            voiced = voice(8_000, 100)
            await caller_sends(leg, voiced)
            await sent(bot, "audio", 5)
            np.testing.assert_array_equal(session(bot).heard[: len(voiced)], mulaw_decoded(mulaw_encoded(voiced)))

    with server() as bot:
        run(talked(bot))
    (begun,) = bot.stream.of(BEGIN)
    assert begun.get("conversation_config_override") == override
    assert begun["dynamic_variables"] == {"caller": "+4930123", "called": "600"}
    assert bot.stream.connection.request is not None
    assert bot.stream.connection.request.path == "/stream?agent_id=agent_1"
    assert bot.stream.ended_with == 1000


@pytest.mark.parametrize("rate_hz", [8_000, 16_000])
@pytest.mark.parametrize("audio_format", ["ulaw_8000", "pcm_16000", "pcm_22050"])
def test_both_hear_each_other_at_the_right_speed(rate_hz: int, audio_format: str) -> None:
    """The format is what the agent has at the vendor."""

    async def other(stream: Stream, message: Message) -> None:
        assert isinstance(stream, ElevenLabsStream)
        if message.get("type") == BEGIN:
            await stream.accept(audio_format)

    async def talked(bot: Bot) -> None:
        said_hz = int(audio_format.partition("_")[2])
        async with in_call(bot, rate_hz) as (leg, _, _):
            await caller_sends(leg, voice(rate_hz, 400))
            await bot.until(lambda _: len(session(bot).heard) >= 0.38 * said_hz)
            assert len(session(bot).heard) <= 0.41 * said_hz
            do(bot, lambda stream: stream.answer("Beep.", tone(400, said_hz)))
            await until(lambda: np.count_nonzero(np.abs(leg.heard()) > 100) > 0.38 * rate_hz)
            assert np.count_nonzero(np.abs(leg.heard()) > 100) < 0.42 * rate_hz

    with server(other) as bot:
        run(talked(bot))


def test_an_agent_whose_audio_is_not_spoken_here_is_a_fault() -> None:
    async def other(stream: Stream, message: Message) -> None:
        assert isinstance(stream, ElevenLabsStream)
        await stream.accept("mp3_44100")

    async def talked(bot: Bot) -> None:
        async with in_call(bot) as (_, _, talking):
            with pytest.raises(AgentFailedError, match="audio is mp3_44100: set it to one of ulaw_8000, pcm_8000"):
                await asyncio.wait_for(talking, DEADLINE_S)

    with server(other) as bot:
        run(talked(bot))


@pytest.mark.parametrize("by", ["server", "gateway"])
def test_an_interruption_silences_at_once_and_the_next_answer_is_heard(by: str) -> None:
    barge_in = BargeInOptions(mode=BargeIn.CUT if by == "gateway" else BargeIn.OFF)

    async def late(stream: ElevenLabsStream) -> None:
        if by == "gateway":
            await stream.audio(tone(200))
            await stream.caller_begins()
        await stream.audio(tone(200), event_id=stream.event_id)  # of the answer that was interrupted
        await stream.caller_said("Stop!")
        await stream.answer("Yes?", tone(200))

    async def talked(bot: Bot) -> None:
        async with in_call(bot, barge_in=barge_in) as (leg, call, _):
            await caller_sends(leg, silence(8_000, 100))
            do(bot, lambda stream: stream.answer("It is a long story.", tone(8_000)))
            await until(lambda: leg.heard().any())
            if by == "gateway":
                await caller_sends(leg, voice(8_000, 300))
            else:
                do(bot, ElevenLabsStream.caller_begins)
            await until(lambda: call.queued_ms == 0)
            texts = [text for _, text in call.info.history]
            assert "It is a long story." not in texts, "the next agent must not think that it was heard"
            leg.wire.clear()
            do(bot, late)
            await until(lambda: np.count_nonzero(leg.heard()) > 1_500)
            await until(lambda: not call.speaking)
            assert np.count_nonzero(leg.heard()) < 1_700, "of the old answer nothing comes"

    with server() as bot:
        run(talked(bot))


def test_client_tools_are_used_at_once() -> None:
    async def wants(stream: ElevenLabsStream) -> None:
        await stream.call_tool("note", {"customer": "4711"})
        await stream.call_tool("dance", {})
        await stream.call_tool("go_to", {"route": "nowhere"})
        await stream.call_tool("go_to", [])

    async def goes(stream: ElevenLabsStream) -> None:
        await stream.answer("Goodbye.", tone(300))
        await stream.call_tool("go_to", {"route": "sales"})

    async def talked(bot: Bot) -> None:
        tools = {"go_to": {"sales": "wants to buy"}, "note": {"customer": "the number"}}
        async with in_call(bot, tools=tools) as (leg, _, talking):
            do(bot, wants)
            told = await sent(bot, "client_tool_result", 4)
            assert told[0]["result"] == "noted"
            assert [one["is_error"] for one in told] == [False, True, True, True]
            do(bot, goes)
            assert await asyncio.wait_for(talking, DEADLINE_S) == GoTo("sales", {"customer": "4711"})
            assert np.count_nonzero(leg.heard()) > 2_300

    with server() as bot:
        run(talked(bot))


def test_an_agent_may_hang_up() -> None:
    async def talked(bot: Bot) -> None:
        async with in_call(bot) as (_, call, talking):
            do(bot, lambda stream: stream.call_tool("hang_up", None))
            assert await asyncio.wait_for(talking, DEADLINE_S) == Done()
            assert call.hung_up

    with server() as bot:
        run(talked(bot))


def test_an_agent_that_closes_the_connection_has_ended_its_part() -> None:
    """As its own tool `end_call` does."""

    async def leaves(stream: ElevenLabsStream) -> None:
        await stream.answer("Goodbye.", tone(300))
        await stream.close()

    async def talked(bot: Bot) -> None:
        async with in_call(bot) as (leg, _, talking):
            do(bot, leaves)
            assert await asyncio.wait_for(talking, DEADLINE_S) == Done()
            assert np.count_nonzero(leg.heard()) > 2_300
            assert len(bot.streams) == 1

    with server() as bot:
        run(talked(bot))


def test_a_lost_session_is_followed_by_another_that_knows_what_was_said() -> None:
    async def ends(stream: ElevenLabsStream) -> None:
        await stream.caller_said("What do you have?")
        await stream.answer("We have apples.", tone(40))
        await stream.caller_said("How much is it?")  # and no answer follows
        stream.connection.transport.abort()

    async def talked(bot: Bot) -> None:
        async with in_call(bot, greeting="Hello!") as (leg, _, talking):
            do(bot, ends)
            await until(lambda: len(bot.streams) == 2)
            (begun,) = await sent(bot, BEGIN)
            assert begun["conversation_config_override"]["agent"]["first_message"] == "", "it greets once"
            (told,) = await sent(bot, "contextual_update")
            assert told["text"].endswith("user: What do you have?\nassistant: We have apples.")
            (asked,) = await sent(bot, "user_message")
            assert asked["text"] == "How much is it?", "it is answered"
            await caller_sends(leg, voice(8_000, 100))
            await sent(bot, "audio", 5)
            assert not talking.done()

    with server() as bot:
        run(talked(bot))


def test_a_conversation_that_is_refused_says_why() -> None:
    async def refuses(stream: Stream, message: Message) -> None:
        await stream.close(1008, "Override for field 'voice_id' is not allowed by config.")

    async def talked(bot: Bot) -> None:
        async with in_call(bot, voice="v1") as (_, _, talking):
            with pytest.raises(AgentFailedError, match="closed the connection with 1008: Override for field"):
                await asyncio.wait_for(talking, DEADLINE_S)

    with server(refuses) as bot:
        run(talked(bot))


def test_a_conversation_that_does_not_begin_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.agents.network.model_agent.SESSION_S", 0.2)

    async def waits(stream: Stream, message: Message) -> None:
        check(message)

    async def talked(bot: Bot) -> None:
        async with in_call(bot) as (_, _, talking):
            with pytest.raises(AgentFailedError, match="did not accept a session"):
                await asyncio.wait_for(talking, DEADLINE_S)

    with server(waits) as bot:
        run(talked(bot))


def test_keys_are_told_as_a_number_and_pings_are_answered() -> None:
    async def talked(bot: Bot) -> None:
        async with in_call(bot) as (leg, _, _):
            do(bot, lambda stream: stream.event("ping", event_id=7, ping_ms=20))
            (pong,) = await sent(bot, "pong")
            assert pong["event_id"] == 7
            assert leg.listener is not None
            for digit in "471#":
                leg.listener.on_dtmf(digit, 100)
            (told,) = await sent(bot, "user_message")
            assert told["text"] == "(pressed on the telephone: 471#)"

    with server() as bot:
        run(talked(bot))


def test_nonsense_is_counted_and_does_no_harm() -> None:
    async def babbles(stream: ElevenLabsStream) -> None:
        for nonsense in ("", "[]", '{"type": 7}', '{"type": "audio"}', '{"type": "ping", "ping_event": 3}', b"\x00"):
            await stream.send(nonsense)
        await stream.send({"type": "interruption", "interruption_event": {"event_id": "x"}})
        await stream.send({"type": "vad_score", "vad_score_event": {"vad_score": 0.5}})
        await stream.event("ping", event_id=8, ping_ms=None)

    async def talked(bot: Bot) -> None:
        async with in_call(bot) as (_, _, talking):
            do(bot, babbles)
            await sent(bot, "pong")
            assert not talking.done()

    with structlog.testing.capture_logs() as lines, server() as bot:
        run(talked(bot))
    (impaired,) = [line for line in lines if line["event"] == "agent.stream_impaired"]
    assert impaired["messages_malformed"] == 7


class TestSignedUrl:
    """A key is sent to the web server alone, which says where the WebSocket is."""

    @contextmanager
    def web(self, status: int, body: str, headers: dict[str, str] | None = None) -> Iterator[tuple[str, list[str]]]:
        """A web server; gives its URL as the user writes it, and what it was asked."""
        asked: list[str] = []

        class Answers(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(f"{self.path} {self.headers['xi-api-key']}")
                self.send_response(status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: Any) -> None:
                pass

        with HTTPServer(("127.0.0.1", 0), Answers) as http:
            thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            try:
                yield f"ws://127.0.0.1:{http.server_port}/convai", asked
            finally:
                http.shutdown()
                thread.join()

    @pytest.fixture
    def key(self, tmp_path: Path) -> dict[str, str]:
        (tmp_path / "key").write_text("xi-secret")
        return {"file": str(tmp_path / "key")}

    def test_it_is_asked_for_with_the_key(self, key: dict[str, str]) -> None:
        async def talked(bot: Bot, url: str) -> None:
            async with in_call(bot, url=url, api_key=key):
                pass

        with server() as bot, self.web(200, json.dumps({"signed_url": f"{bot.url}?signature=s1"})) as (url, asked):
            run(talked(bot, url))
        assert asked == ["/convai/get-signed-url?agent_id=agent_1 xi-secret"]
        assert bot.stream.connection.request is not None
        assert bot.stream.connection.request.path == "/stream?signature=s1"
        assert "xi-api-key" not in bot.stream.headers

    @pytest.mark.parametrize(
        ("status", "body", "headers", "said"),
        [
            (401, "", {}, "answered 401: check the key"),
            (
                302,
                "",
                {"Location": "http://elsewhere.example/x?y=z"},
                "a redirect to http://elsewhere.example/x: write",
            ),
            (200, "{}", {}, "gave no signed URL"),
            (200, '{"signed_url": "http://127.0.0.1/"}', {}, "not the URL of a WebSocket"),
        ],
    )
    def test_refusals(self, key: dict[str, str], status: int, body: str, headers: dict[str, str], said: str) -> None:
        with self.web(status, body, headers) as (url, _):
            spec = AgentSpec("agent", settings(url, api_key=key))
            with pytest.raises(AgentFailedError) as error:
                asyncio.run(prepare(spec, "c1"))
        assert said in str(error.value)
        assert not error.value.retryable
        assert "xi-secret" not in str(error.value) + repr(spec.settings)

    def test_a_busy_server_leads_to_on_busy(self, key: dict[str, str]) -> None:
        with (
            self.web(429, "", {"Retry-After": "7"}) as (url, _),
            pytest.raises(AgentBusyError, match="answered 429, Retry-After 7"),
        ):
            asyncio.run(prepare(AgentSpec("agent", settings(url, api_key=key)), "c1"))

    def test_a_server_that_is_not_there(self, key: dict[str, str]) -> None:
        with self.web(200, "") as (url, _):
            pass
        with pytest.raises(AgentBusyError, match="cannot connect to http://127"):
            asyncio.run(prepare(AgentSpec("agent", settings(url, api_key=key)), "c1"))


def test_a_server_that_is_busy_leads_to_on_busy() -> None:
    async def refused(bot: Bot) -> None:
        with pytest.raises(AgentBusyError, match="answered 429"):
            await prepare(AgentSpec("agent", settings(bot.url)), "c1")

    with server(refuse=(HTTPStatus.TOO_MANY_REQUESTS, {})) as bot:
        run(refused(bot))


def test_nothing_is_left_of_a_call_without_a_garbage_collection() -> None:
    async def talked(bot: Bot) -> None:
        async with in_call(bot, made=keep) as (leg, _, _):
            await caller_sends(leg, voice(8_000, 200))

    with nothing_left() as keep, server(echoes) as bot:
        run(talked(bot))
