"""A model behind `gemini-live`: what it is told, what its caller hears, and what its faults do."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from http import HTTPStatus
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
    GeminiLiveSettings,
    GoTo,
    prepare,
)
from media.conversation.floor import BargeIn
from media.pcm_bytes import pcm16_decoded, pcm16_encoded
from media.resample import Resampler
from tests.backend_call import PATIENCE, CallOfAgent, call_of, nothing_left, run, tone, until
from tests.bot import DEADLINE_S, Bot, Message, Stream
from tests.conformance.agent import AGENT_CHECKS, AgentCase
from tests.fake_leg import FakeLeg, caller_sends, silence, voice
from tests.gemini_server import GeminiStream, accepts

SAID_HZ = 24_000
OFF = BargeInOptions(mode=BargeIn.OFF)


def settings(url: str, **written: object) -> GeminiLiveSettings:
    return GeminiLiveSettings.model_validate({"url": url, **PATIENCE, **written})


def server(behave: Callable[[Stream, Message], Awaitable[None]] = accepts, **more: Any) -> Bot:
    return Bot(behave, stream=GeminiStream, **more)


def session(bot: Bot) -> GeminiStream:
    return cast("GeminiStream", bot.stream)


def do(bot: Bot, work: Callable[[GeminiStream], Awaitable[None]]) -> None:
    bot.do(cast("Callable[[Stream], Awaitable[None]]", work))


async def sent(bot: Bot, kind: str, count: int = 1) -> list[Message]:
    """What was told by messages of a kind, once there are so many."""
    await bot.until(lambda stream: len(stream.of(kind)) >= count)
    return bot.stream.of(kind)


def loud(leg: FakeLeg) -> int:
    return int(np.count_nonzero(np.abs(leg.heard()) > 100))


def in_call(
    bot: Bot, rate_hz: int = 8_000, *, made: Callable[[AgentSpec], None] = lambda _: None, **written: object
) -> CallOfAgent:
    """A call whose session was asked for."""
    spec = AgentSpec("model", settings(bot.url, **written))
    made(spec)
    return call_of(spec, lambda: sent(bot, "setup"), rate_hz)


async def echoes(stream: Stream, message: Message) -> None:
    """A model that says what it hears, one turn without end."""
    assert isinstance(stream, GeminiStream)
    await accepts(stream, message)
    if "audio" in message.get("realtimeInput", {}):
        pcm = pcm16_decoded(base64.b64decode(message["realtimeInput"]["audio"]["data"]))
        await stream.audio_bytes(pcm16_encoded(Resampler(16_000, 24_000).process(pcm)))


@pytest.mark.slow  # in real time: there is a network
@pytest.mark.parametrize("check", AGENT_CHECKS, ids=lambda check: check.__name__)
def test_it_keeps_the_contract_of_an_agent(check: Callable[[AgentCase], Awaitable[None]]) -> None:
    with server(echoes) as bot:

        async def checked() -> None:
            await check(AgentCase("gemini-live", lambda: AgentSpec("model", settings(bot.url, greeting="none"))))

        run(checked())


def test_the_session_is_asked_for_as_written() -> None:
    written: dict[str, Any] = {
        "instructions": "You help {from} on the line {to}.",
        "greeting": "Say hello to {from}.",
        "voice": "Kore",
        "language": "de-DE",
        "tools": {"go_to": {"sales": "wants to buy"}, "note": {"customer": "the number"}},
    }

    async def talked(bot: Bot) -> None:
        async with in_call(bot, 16_000, **written) as (leg, _, _):
            assert await sent(bot, "text") == [{"text": "Say hello to +4930123."}]
            voiced = voice(16_000, 100)
            await caller_sends(leg, voiced)
            pieces = await sent(bot, "audio", 5)
            assert {one["audio"]["mimeType"] for one in pieces} == {"audio/pcm;rate=16000"}
            np.testing.assert_array_equal(session(bot).heard[: len(voiced)], voiced)

    with server() as bot:
        run(talked(bot))
    asked = session(bot).setup
    assert asked["model"] == "models/gemini-3.8-live"
    assert asked["generationConfig"] == {
        "responseModalities": ["AUDIO"],
        "speechConfig": {
            "voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}},
            "languageCode": "de-DE",
        },
    }
    assert asked["systemInstruction"] == {"parts": [{"text": "You help +4930123 on the line 600."}]}
    assert asked["inputAudioTranscription"] == asked["outputAudioTranscription"] == asked["sessionResumption"] == {}
    assert asked["contextWindowCompression"] == {"slidingWindow": {}}
    hang_up, go_to, note = asked["tools"][0]["functionDeclarations"]
    assert (hang_up["name"], "parameters" in hang_up) == ("hang_up", False)
    assert go_to["parameters"]["properties"] == {"route": {"type": "STRING", "enum": ["sales"]}}
    assert go_to["parameters"]["required"] == ["route"]
    assert note["parameters"]["type"] == "OBJECT"
    assert {one["behavior"] for one in (hang_up, go_to, note)} == {"BLOCKING"}
    assert bot.stream.ended_with == 1000


def test_names_that_the_api_does_not_take_are_found_before_a_call() -> None:
    with pytest.raises(ValueError, match=r"tools\.note: order-no is not a name that the API accepts"):
        settings("ws://127.0.0.1:1", tools={"note": {"order-no": "the number"}})


async def answer(stream: GeminiStream) -> None:
    await stream.audio(tone(400, SAID_HZ))
    await stream.finish()


@pytest.mark.parametrize("rate_hz", [8_000, 16_000])
def test_an_answer_is_heard_at_the_right_speed(rate_hz: int) -> None:
    async def talked(bot: Bot) -> None:
        async with in_call(bot, rate_hz, greeting="none") as (leg, call, _):
            do(bot, answer)
            await until(lambda: loud(leg) > 0.37 * rate_hz and not call.speaking)
            assert loud(leg) < 0.42 * rate_hz

    with server() as bot:
        run(talked(bot))


def test_the_server_interrupts_when_the_gateway_hears_the_caller_too() -> None:
    async def talked(bot: Bot) -> None:
        async with in_call(bot, greeting="none", barge_in=OFF) as (leg, call, _):
            do(bot, lambda stream: stream.audio(tone(8_000, SAID_HZ)))
            await until(lambda: loud(leg))
            await caller_sends(leg, voice(8_000, 400))
            assert call.queued_ms > 0
            do(bot, GeminiStream.interrupt)
            await until(lambda: call.queued_ms == 0)
            leg.wire.clear()
            do(bot, answer)
            await until(lambda: loud(leg) > 0.37 * 8_000 and not call.speaking)
            assert loud(leg) < 0.42 * 8_000, "the answer to it, and nothing of the old one"

    with structlog.testing.capture_logs() as lines, server() as bot:
        run(talked(bot))
    assert [line for line in lines if line["event"] == "agent.stream_impaired"] == []


def test_an_interruption_is_taken_back_when_the_caller_does_not_speak() -> None:
    async def talked(bot: Bot) -> None:
        async with in_call(bot, greeting="none") as (leg, call, _):
            await caller_sends(leg, silence(8_000, 100))
            do(bot, lambda stream: stream.audio(tone(900, SAID_HZ)))
            await until(lambda: loud(leg))
            do(bot, GeminiStream.interrupt)
            await until(lambda: loud(leg) > 0.85 * 8_000 and not call.speaking)

    with structlog.testing.capture_logs() as lines, server() as bot:
        run(talked(bot))
    (impaired,) = [line for line in lines if line["event"] == "agent.stream_impaired"]
    assert impaired["interruptions_taken_back"] == 1


def test_tools_are_run_while_the_model_waits() -> None:
    async def notes(stream: GeminiStream) -> None:
        await stream.audio(tone(100, SAID_HZ))
        await stream.call_tools(("note", {"customer": "4711"}), ("dance", {}), ("go_to", {"route": "nowhere"}))

    async def goes(stream: GeminiStream) -> None:
        await answer(stream)
        await stream.call_tools(("go_to", {"route": "sales"}))

    async def talked(bot: Bot) -> None:
        tools = {"go_to": {"sales": "wants to buy"}, "note": {"customer": "the number"}}
        async with in_call(bot, greeting="none", tools=tools) as (leg, _, talking):
            do(bot, notes)
            (told,) = await sent(bot, "toolResponse")
            answers = [(one["name"], one["response"]["output"]) for one in told["functionResponses"]]
            assert [name for name, _ in answers] == ["note", "dance", "go_to"]
            assert len({one["id"] for one in told["functionResponses"]}) == 3
            assert answers[0][1] == "noted"
            assert all(output.startswith("error: ") for _, output in answers[1:])
            do(bot, goes)
            outcome = await asyncio.wait_for(talking, DEADLINE_S)
            assert outcome == GoTo("sales", {"customer": "4711"})
            assert loud(leg) > 0.45 * 8_000, "its last words were heard"
            assert bot.stream.of("text") == [], "the model goes on by itself"

    with server() as bot:
        run(talked(bot))


def test_a_model_that_hangs_up_is_heard_to_the_end() -> None:
    async def leaves(stream: GeminiStream) -> None:
        await stream.audio(tone(300, SAID_HZ))
        await stream.call_tools(("hang_up", {}))

    async def talked(bot: Bot) -> None:
        async with in_call(bot, greeting="none") as (leg, call, talking):
            do(bot, leaves)
            assert await asyncio.wait_for(talking, DEADLINE_S) == Done()
            assert call.hung_up
            assert loud(leg) > 0.27 * 8_000

    with server() as bot:
        run(talked(bot))


async def conversation(stream: GeminiStream) -> None:
    await stream.caller_said("What do ", "you have?")
    await stream.audio(tone(100, SAID_HZ))
    await stream.said("We have ", "apples.")
    await stream.finish()


def test_a_session_that_will_end_is_resumed_between_answers() -> None:
    async def talked(bot: Bot) -> None:
        async with in_call(bot, greeting="none") as (leg, _, talking):
            do(bot, lambda stream: stream.handle("old"))
            do(bot, lambda stream: stream.audio(tone(400, SAID_HZ)))
            await until(lambda: loud(leg))
            do(bot, lambda stream: stream.go_away("50s"))
            do(bot, GeminiStream.finish)
            await caller_sends(leg, silence(8_000, 100))
            assert len(bot.streams) == 1, "the handle does not know the answer yet"
            do(bot, lambda stream: stream.handle("new"))
            await until(lambda: len(bot.streams) == 2)
            await sent(bot, "setup")
            assert session(bot).setup["sessionResumption"] == {"handle": "new"}
            assert "historyConfig" not in session(bot).setup
            await until(lambda: loud(leg) > 0.37 * 8_000)
            await caller_sends(leg, voice(8_000, 100))
            await sent(bot, "audio", 5)
            assert bot.stream.of("clientContent") == bot.stream.of("text") == []
            assert bot.streams[0].ended_with == 1000
            assert not talking.done()

    with server() as bot:
        run(talked(bot))


def test_an_answer_that_does_not_end_in_time_is_asked_for_again() -> None:
    async def talked(bot: Bot) -> None:
        async with in_call(bot, greeting="none"):
            do(bot, lambda stream: stream.handle("old"))
            do(bot, conversation)
            do(bot, lambda stream: stream.caller_said("And pears?"))
            do(bot, lambda stream: stream.audio(tone(100, SAID_HZ)))
            do(bot, lambda stream: stream.go_away("5s"))  # as much as is left for it
            await until(lambda: len(bot.streams) == 2)
            (told,) = await sent(bot, "clientContent")
            assert session(bot).setup["sessionResumption"] == {}, "the handle knows nothing of it"
            assert [one["parts"][0]["text"] for one in told["turns"]] == ["What do you have?", "We have apples."]
            assert await sent(bot, "text") == [{"text": "And pears?"}]

    with server() as bot:
        run(talked(bot))


@pytest.mark.parametrize("how", ["lost", "closed", "in an answer"])
def test_a_connection_without_a_handle_is_followed_by_one_that_is_told_what_was_said(how: str) -> None:
    async def ends(stream: GeminiStream) -> None:
        await conversation(stream)
        if how == "in an answer":
            await stream.audio(tone(100, SAID_HZ))
        if how == "closed":
            await stream.close(1001)
        else:
            stream.connection.transport.abort()

    async def talked(bot: Bot) -> None:
        async with in_call(bot, greeting="Hello") as (leg, _, talking):
            await sent(bot, "text")
            do(bot, ends)
            await until(lambda: len(bot.streams) == 2)
            (told,) = await sent(bot, "clientContent")
            assert session(bot).setup["historyConfig"] == {"initialHistoryInClientContent": True}
            assert told["turnComplete"] is True
            assert [(one["role"], one["parts"][0]["text"]) for one in told["turns"]] == [
                ("user", "What do you have?"),
                ("model", "We have apples."),
            ]
            await caller_sends(leg, voice(8_000, 100))
            await sent(bot, "audio", 5)
            texts = [one["text"] for one in bot.stream.of("text")]
            assert len(texts) == (how == "in an answer"), "an answer is asked for only where one is due"
            assert "Hello" not in texts
            assert not talking.done()

    with server() as bot:
        run(talked(bot))


def test_a_handle_that_is_refused_is_not_used_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.agents.network.model_agent.RENEWAL_PAUSE_S", 0.01)

    async def refuses_handles(stream: Stream, message: Message) -> None:
        if message.get("setup", {}).get("sessionResumption"):
            await stream.close(1008, "BidiGenerateContent session not found")
        else:
            await accepts(stream, message)

    async def talked() -> None:
        async with in_call(bot, greeting="none") as (_, _, talking):
            do(bot, conversation)
            do(bot, lambda stream: stream.handle("gone"))
            do(bot, lambda stream: stream.close(1011, "Internal error"))
            await until(lambda: len(bot.streams) == 4)
            (told,) = await sent(bot, "clientContent")
            assert len(told["turns"]) == 2
            assert not talking.done()

    with server(refuses_handles) as bot:
        run(talked())


def test_keys_are_told_and_answered() -> None:
    async def talked(bot: Bot) -> None:
        async with in_call(bot, greeting="none") as (leg, _, _):
            assert leg.listener is not None
            do(bot, lambda stream: stream.audio(tone(100, SAID_HZ)))
            await until(lambda: loud(leg))
            for digit in "12#":
                leg.listener.on_dtmf(digit, 100)
            await caller_sends(leg, silence(8_000, 100))
            await sent(bot, "audio", 5)
            assert bot.stream.of("text") == [], "it would cut the answer off"
            do(bot, GeminiStream.finish)
            assert await sent(bot, "text") == [{"text": "(pressed on the telephone: 12#)"}]
            await caller_sends(leg, silence(8_000, 100))
            for digit in "34#":
                leg.listener.on_dtmf(digit, 100)
            assert await sent(bot, "text", 2) == [
                {"text": "(pressed on the telephone: 12#)"},
                {"text": "(pressed on the telephone: 34#)"},
            ]

    with server() as bot:
        run(talked(bot))


def test_keys_before_the_session_are_told_once_it_has_begun() -> None:
    async def silent(stream: Stream, message: Message) -> None:
        """Accepts when it is told to."""

    async def talked(bot: Bot) -> None:
        async with in_call(bot, greeting="none") as (leg, _, _):
            assert leg.listener is not None
            for digit in "1#":
                leg.listener.on_dtmf(digit, 100)
            await caller_sends(leg, silence(8_000, 60))
            do(bot, GeminiStream.accept)
            assert await sent(bot, "text") == [{"text": "(pressed on the telephone: 1#)"}]
            assert "clientContent" not in bot.stream.received[1], "the session was opened without a history"

    with server(silent) as bot:
        run(talked(bot))


def test_nonsense_is_counted_and_does_no_harm() -> None:
    async def babbles(stream: GeminiStream) -> None:
        for nonsense in ("", "[]", '{"serverContent": 7}', '{"serverContent": {"modelTurn": {"parts": [7]}}}', "\x00"):
            await stream.send(nonsense)
        await stream.send(b"\xff")
        await stream.send('{"serverContent": ' + 50_000 * "[")
        await stream.send({"dance": True})
        await stream.say_json({"usageMetadata": {"totalTokenCount": 7}})
        await stream.say_json({"toolCallCancellation": {"ids": ["call-0"]}})
        await stream.say_json({"sessionResumptionUpdate": {"resumable": False}})
        await answer(stream)

    async def talked(bot: Bot) -> None:
        async with in_call(bot, greeting="none") as (leg, _, talking):
            do(bot, babbles)
            await until(lambda: loud(leg) > 0.3 * 8_000)
            assert not talking.done()

    with structlog.testing.capture_logs() as lines, server() as bot:
        run(talked(bot))
    (impaired,) = [line for line in lines if line["event"] == "agent.stream_impaired"]
    assert impaired["messages_malformed"] == 7


@pytest.mark.parametrize(
    ("code", "reason"), [(1007, "API key not valid."), (1008, "models/x is not found for API version v1beta")]
)
def test_a_session_that_is_refused_is_not_tried_again(code: int, reason: str) -> None:
    async def refuses(stream: Stream, message: Message) -> None:
        await stream.close(code, reason)

    async def talked(bot: Bot) -> None:
        async with in_call(bot) as (_, _, talking):
            with pytest.raises(AgentFailedError, match=f"closed the connection with {code}: {reason}") as failed:
                await asyncio.wait_for(talking, DEADLINE_S)
            assert not failed.value.retryable
        assert len(bot.streams) == 1

    with server(refuses) as bot:
        run(talked(bot))


def test_a_server_that_never_accepts_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.agents.network.model_agent.SESSION_S", 0.1)

    async def silent(stream: Stream, message: Message) -> None:
        """Says nothing."""

    async def talked(bot: Bot) -> None:
        async with in_call(bot) as (_, _, talking):
            with pytest.raises(AgentFailedError, match=r"did not accept a session within 0\.1 s"):
                await asyncio.wait_for(talking, DEADLINE_S)

    with server(silent) as bot:
        run(talked(bot))


@pytest.mark.parametrize("status", [HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN])
def test_the_key_is_sent_and_never_shown(status: HTTPStatus, tmp_path: Any) -> None:
    (tmp_path / "key").write_text("AIza-secret")

    async def refused(bot: Bot) -> None:
        spec = AgentSpec("model", settings(bot.url, api_key={"file": str(tmp_path / "key")}))
        with pytest.raises(AgentFailedError, match=f"answered {status.value}") as error:
            await prepare(spec, "c1")
        assert "AIza" not in str(error.value) + repr(spec.settings)

    with server(refuse=(status, {})) as bot:
        run(refused(bot))

    async def taken(bot: Bot) -> None:
        async with in_call(bot, api_key={"file": str(tmp_path / "key")}):
            pass

    with server() as bot:
        run(taken(bot))
        assert bot.stream.headers["x-goog-api-key"] == "AIza-secret"


def test_a_server_that_is_busy_leads_to_on_busy() -> None:
    async def refused(bot: Bot) -> None:
        with pytest.raises(AgentBusyError, match="answered 429, Retry-After 7"):
            await prepare(AgentSpec("model", settings(bot.url)), "c1")

    with server(refuse=(HTTPStatus.TOO_MANY_REQUESTS, {"Retry-After": "7"})) as bot:
        run(refused(bot))


def test_nothing_is_left_of_a_call_without_a_garbage_collection() -> None:
    async def talked(bot: Bot) -> None:
        async with in_call(bot, made=keep) as (leg, _, _):
            await caller_sends(leg, voice(8_000, 200))

    with nothing_left() as keep, server(echoes) as bot:
        run(talked(bot))
