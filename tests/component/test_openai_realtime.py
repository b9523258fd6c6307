"""A model behind `openai-realtime`: what it is told, what its caller hears, and what its faults do."""

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
    GoTo,
    OpenAIRealtimeSettings,
    prepare,
)
from media.conversation.events import CallInfo
from media.conversation.floor import BargeIn
from media.g711 import mulaw_decoded, mulaw_encoded
from tests.backend_call import PATIENCE, CallOfAgent, call_of, info, nothing_left, run, tone, until
from tests.bot import DEADLINE_S, Bot, Message, Stream
from tests.conformance.agent import AGENT_CHECKS, AgentCase
from tests.fake_leg import caller_sends, silence, voice
from tests.realtime_server import RealtimeStream, accepts


def settings(url: str, **written: object) -> OpenAIRealtimeSettings:
    return OpenAIRealtimeSettings.model_validate({"url": url, **PATIENCE, **written})


def server(behave: Callable[[Stream, Message], Awaitable[None]] = accepts, **more: Any) -> Bot:
    return Bot(behave, stream=RealtimeStream, **more)


def session(bot: Bot) -> RealtimeStream:
    return cast("RealtimeStream", bot.stream)


Work = Callable[[RealtimeStream], Awaitable[None]]


def do(bot: Bot, work: Work) -> None:
    bot.do(cast("Callable[[Stream], Awaitable[None]]", work))


async def sent(bot: Bot, kind: str, count: int = 1) -> list[Message]:
    """The messages of a kind, once there are so many."""
    await bot.until(lambda stream: len(stream.of(kind)) >= count)
    return bot.stream.of(kind)


def in_call(
    bot: Bot,
    rate_hz: int = 8_000,
    *,
    made: Callable[[AgentSpec], None] = lambda _: None,
    facts: CallInfo | None = None,
    **written: object,
) -> CallOfAgent:
    """A call whose session was asked for."""
    spec = AgentSpec("model", settings(bot.url, **written))
    made(spec)
    return call_of(spec, lambda: sent(bot, "session.update"), rate_hz, facts)


async def echoes(stream: Stream, message: Message) -> None:
    """A model that says what it hears, one response without end."""
    assert isinstance(stream, RealtimeStream)
    await accepts(stream, message)
    if message["type"] == "input_audio_buffer.append":
        if not stream.response:
            await stream.begin()
        at = {"response_id": stream.response, "item_id": "item_a", "output_index": 0, "content_index": 0}
        await stream.event("response.output_audio.delta", delta=message["audio"], **at)


@pytest.mark.slow  # in real time: there is a network
@pytest.mark.parametrize("check", AGENT_CHECKS, ids=lambda check: check.__name__)
def test_it_keeps_the_contract_of_an_agent(check: Callable[[AgentCase], Awaitable[None]]) -> None:
    with server(echoes) as bot:

        async def checked() -> None:
            await check(AgentCase("openai-realtime", lambda: AgentSpec("model", settings(bot.url, greeting="none"))))

        run(checked())


def test_the_session_is_asked_for_as_written() -> None:
    written: dict[str, Any] = {
        "instructions": "You help {from} on the line {to}.",
        "greeting": "Say hello to {from}.",
        "voice": "marin",
        "turn_detection": "server_vad",
        "tools": {"go_to": {"sales": "wants to buy"}, "note": {"customer": "the number"}},
    }

    async def talked(bot: Bot) -> None:
        async with in_call(bot, **written) as (leg, _, _):
            (greeting,) = await sent(bot, "response.create")
            # They replace the session's, for this answer: what the model is must be said again.
            whole = "You help +4930123 on the line 600.\n\nSay hello to +4930123."
            assert greeting["response"]["instructions"] == whole
            voiced = voice(8_000, 100)
            await caller_sends(leg, voiced)
            appended = await sent(bot, "input_audio_buffer.append", 5)
            heard = mulaw_decoded(b"".join(base64.b64decode(one["audio"]) for one in appended))
            np.testing.assert_array_equal(heard[: len(voiced)], mulaw_decoded(mulaw_encoded(voiced)))

    with server() as bot:
        run(talked(bot))
    asked = bot.stream.of("session.update")[0]["session"]
    assert (asked["type"], asked["output_modalities"]) == ("realtime", ["audio"])
    assert asked["instructions"] == "You help +4930123 on the line 600."
    assert asked["audio"]["input"]["format"] == asked["audio"]["output"]["format"] == {"type": "audio/pcmu"}
    assert asked["audio"]["input"]["turn_detection"] == {"type": "server_vad"}
    assert asked["audio"]["input"]["transcription"] == {"model": "gpt-4o-mini-transcribe"}
    assert asked["audio"]["output"]["voice"] == "marin"
    assert [tool["name"] for tool in asked["tools"]] == ["hang_up", "go_to", "note"]
    assert bot.stream.connection.request is not None
    assert bot.stream.connection.request.path == "/stream?model=gpt-realtime"
    assert bot.stream.ended_with == 1000


@pytest.mark.parametrize(("rate_hz", "audio_format"), [(8_000, None), (8_000, "audio/pcm"), (16_000, None)])
def test_an_answer_is_heard_in_whatever_format(rate_hz: int, audio_format: str | None) -> None:
    """The format is what the server echoes, which may not be what was asked for."""

    async def other(stream: Stream, message: Message) -> None:
        assert isinstance(stream, RealtimeStream)
        if message["type"] == "session.update":
            await stream.accept(audio_format)

    async def talked(bot: Bot) -> None:
        async with in_call(bot, rate_hz, greeting="none") as (leg, _, _):
            await bot.until(lambda _: session(bot).received)
            await asyncio.sleep(0.05)
            wide = session(bot).format == "audio/pcm"
            assert wide is (rate_hz == 16_000 or audio_format == "audio/pcm")

            async def answer(stream: RealtimeStream) -> None:
                await stream.begin()
                await stream.audio("item_a", tone(400, 24_000 if wide else 8_000))
                await stream.finish()

            do(bot, answer)
            await until(lambda: np.count_nonzero(np.abs(leg.heard()) > 100) > 0.38 * rate_hz)
            heard = leg.heard()[np.abs(leg.heard()) > 100]
            assert len(heard) < 0.42 * rate_hz, "at the right speed"

    with server(other) as bot:
        run(talked(bot))


async def long_answer(stream: RealtimeStream) -> None:
    await stream.begin()
    await stream.audio("item_a", tone(8_000))


@pytest.mark.parametrize("by", ["server", "gateway"])
def test_an_interruption_tells_the_model_what_was_heard(by: str) -> None:
    barge_in = BargeInOptions(mode=BargeIn.CUT if by == "gateway" else BargeIn.OFF)

    async def talked(bot: Bot) -> None:
        async with in_call(bot, greeting="none", barge_in=barge_in) as (leg, call, _):
            await caller_sends(leg, silence(8_000, 100))
            do(bot, long_answer)
            await until(lambda: leg.heard().any())
            await caller_sends(leg, silence(8_000, 600))
            if by == "gateway":
                await caller_sends(leg, voice(8_000, 300))
            else:
                do(bot, RealtimeStream.caller_begins)
            (told,) = await sent(bot, "conversation.item.truncate")
            heard_ms = np.count_nonzero(np.concatenate(leg.wire)) / 8
            assert (told["item_id"], told["content_index"]) == ("item_a", 0)
            assert told["audio_end_ms"] == pytest.approx(heard_ms, abs=20)
            assert len(bot.stream.of("response.cancel")) == 1
            assert call.queued_ms == 0

            async def late(stream: RealtimeStream) -> None:
                await stream.audio("item_a", tone(200))  # of the answer that was cancelled
                await stream.fault("response_cancel_not_active", "it had ended")
                await stream.finish("cancelled")
                await stream.begin()
                await stream.audio("item_b", tone(200))
                await stream.finish()

            leg.wire.clear()
            do(bot, late)
            await until(lambda: np.count_nonzero(leg.heard()) > 1_500)
            await asyncio.sleep(0.3)
            assert np.count_nonzero(leg.heard()) < 1_700, "of the old answer nothing comes"
            assert len(bot.stream.of("conversation.item.truncate")) == 1

    with server() as bot:
        run(talked(bot))


def test_what_was_heard_to_its_end_is_not_truncated() -> None:
    async def short(stream: RealtimeStream) -> None:
        await stream.begin()
        await stream.audio("item_a", tone(100))
        await stream.finish()

    async def talked(bot: Bot) -> None:
        async with in_call(bot, greeting="none") as (leg, call, _):
            do(bot, short)
            await until(lambda: leg.heard().any() and not call.speaking)
            do(bot, RealtimeStream.caller_begins)
            do(bot, RealtimeStream.begin)
            do(bot, RealtimeStream.caller_begins)
            await sent(bot, "response.cancel")
            assert bot.stream.of("conversation.item.truncate") == []

    with server() as bot:
        run(talked(bot))


def test_tools_note_and_end_the_models_part() -> None:
    async def notes(stream: RealtimeStream) -> None:
        await stream.begin()
        await stream.call_tool("note", '{"customer": "4711"}')
        await stream.call_tool("note", '{"colour": "red"}')
        await stream.call_tool("dance", "{}")
        await stream.call_tool("go_to", '{"route": "nowhere"}')
        await stream.call_tool("go_to", "{")
        await stream.finish()

    async def goes(stream: RealtimeStream) -> None:
        await stream.begin()
        await stream.audio("item_a", tone(300))
        await stream.call_tool("go_to", '{"route": "sales"}')
        await stream.finish()

    async def talked(bot: Bot) -> None:
        tools = {"go_to": {"sales": "wants to buy"}, "note": {"customer": "the number"}}
        async with in_call(bot, greeting="none", tools=tools) as (leg, _, talking):
            do(bot, notes)
            outputs = [one["item"]["output"] for one in await sent(bot, "conversation.item.create", 5)]
            assert outputs[0] == "noted"
            assert all(output.startswith("error: ") for output in outputs[1:])
            assert "sales" in outputs[3]
            assert len(await sent(bot, "response.create")) == 1, "one answer to all of them"
            do(bot, goes)
            outcome = await asyncio.wait_for(talking, DEADLINE_S)
            assert outcome == GoTo("sales", {"customer": "4711"})
            assert np.count_nonzero(leg.heard()) > 2_300, "its last words were heard"

    with server() as bot:
        run(talked(bot))


def test_a_model_that_hangs_up_is_heard_to_the_end() -> None:
    async def leaves(stream: RealtimeStream) -> None:
        await stream.begin()
        await stream.audio("item_a", tone(300))
        await stream.call_tool("hang_up", "{}")
        await stream.finish()

    async def talked(bot: Bot) -> None:
        async with in_call(bot, greeting="none") as (leg, call, talking):
            do(bot, leaves)
            assert await asyncio.wait_for(talking, DEADLINE_S) == Done()
            assert call.hung_up
            assert np.count_nonzero(leg.heard()) > 2_300

    with server() as bot:
        run(talked(bot))


@pytest.mark.parametrize("how", ["expired", "lost", "closed"])
def test_a_session_that_ends_is_followed_by_another_that_knows_what_was_said(how: str) -> None:
    async def ends(stream: RealtimeStream) -> None:
        await stream.caller_said("What do you have?")
        await stream.begin()
        await stream.said("item_a", "We have apples.")
        await stream.finish()
        await stream.caller_ends()  # and no answer follows
        match how:
            case "expired":
                await stream.fault("session_expired", "Your session hit the maximum duration of 60 minutes.")
            case "lost":
                stream.connection.transport.abort()
            case _:
                await stream.close(1001)

    async def talked(bot: Bot) -> None:
        async with in_call(bot, greeting="Hello") as (leg, _, talking):
            await sent(bot, "response.create")
            do(bot, ends)
            await until(lambda: len(bot.streams) == 2)
            told = [one["item"] for one in await sent(bot, "conversation.item.create", 2)]
            assert [(one["role"], one["content"][0]["text"]) for one in told] == [
                ("user", "What do you have?"),
                ("assistant", "We have apples."),
            ]
            (asked,) = await sent(bot, "response.create")
            assert "response" not in asked, "it answers, and does not greet again"
            await caller_sends(leg, voice(8_000, 100))
            await sent(bot, "input_audio_buffer.append", 5)
            assert not talking.done()

    with server() as bot:
        run(talked(bot))


def test_a_model_that_takes_over_from_another_agent_answers_what_was_said() -> None:
    """As the backup of one that has failed, or by `go_to`."""

    async def talked(bot: Bot) -> None:
        facts = info()
        facts.history.add("assistant", "Hello!")
        facts.history.add("user", "I want apples.")
        async with in_call(bot, greeting="Hello", facts=facts):
            told = [one["item"] for one in await sent(bot, "conversation.item.create", 2)]
            assert [one["content"][0]["text"] for one in told] == ["Hello!", "I want apples."]
            (asked,) = await sent(bot, "response.create")
            assert "response" not in asked, "it answers, and does not greet again"

    with server() as bot:
        run(talked(bot))


def test_a_server_that_ends_every_session_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.agents.network.model_agent.RENEWAL_PAUSE_S", 0.01)

    async def closes(stream: Stream, message: Message) -> None:
        await accepts(stream, message)
        stream.connection.transport.abort()

    async def talked(bot: Bot) -> None:
        async with in_call(bot) as (_, _, talking):
            with pytest.raises(AgentFailedError) as failed:
                await asyncio.wait_for(talking, DEADLINE_S)
            assert failed.value.retryable
            assert len(bot.streams) == 6

    with server(closes) as bot:
        run(talked(bot))


def test_a_renewed_session_that_is_not_accepted_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.agents.network.model_agent.RENEWAL_PAUSE_S", 0.01)
    monkeypatch.setattr("gateway.agents.network.model_agent.SESSION_S", 0.3)

    async def accepts_first_and_third(stream: Stream, message: Message) -> None:
        if len(bot.streams) != 2:
            await accepts(stream, message)

    async def talked() -> None:
        async with in_call(bot, greeting="none") as (leg, _, talking):
            await caller_sends(leg, voice(8_000, 100))
            await sent(bot, "input_audio_buffer.append", 5)
            do(bot, lambda stream: stream.close(1001))
            await until(lambda: len(bot.streams) == 3)
            await until(lambda: bot.streams[1].ended_with is not None)
            await caller_sends(leg, voice(8_000, 100))
            await sent(bot, "input_audio_buffer.append", 5)
            assert not talking.done()

    with server(accepts_first_and_third) as bot:
        run(talked())


def test_a_server_that_is_overloaded_when_a_session_is_renewed_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.agents.network.model_agent.RENEWAL_PAUSE_S", 0.01)

    async def overloaded_once(stream: Stream, message: Message) -> None:
        assert isinstance(stream, RealtimeStream)
        if len(bot.streams) == 2:
            await stream.fault("rate_limit_exceeded", "Too many sessions.", "requests")
        else:
            await accepts(stream, message)

    async def talked() -> None:
        async with in_call(bot, greeting="none") as (leg, _, talking):
            await caller_sends(leg, voice(8_000, 100))
            await sent(bot, "input_audio_buffer.append", 5)
            do(bot, lambda stream: stream.close(1001))
            await until(lambda: len(bot.streams) == 3)
            await caller_sends(leg, voice(8_000, 100))
            await sent(bot, "input_audio_buffer.append", 5)
            assert not talking.done()

    with server(overloaded_once) as bot:
        run(talked())


def test_a_session_that_is_refused_is_not_tried_again() -> None:
    async def refuses(stream: Stream, message: Message) -> None:
        assert isinstance(stream, RealtimeStream)
        await stream.fault("invalid_value", "Invalid value: 'nobody' for voice.")

    async def talked(bot: Bot) -> None:
        async with in_call(bot, voice="nobody") as (_, _, talking):
            with pytest.raises(AgentFailedError, match="refuses the session: invalid_value: Invalid value: 'nobody'"):
                await asyncio.wait_for(talking, DEADLINE_S)
            assert len(bot.streams) == 1

    with server(refuses) as bot:
        run(talked(bot))


def test_a_model_that_cannot_answer_is_asked_twice() -> None:
    async def fails(stream: Stream, message: Message) -> None:
        assert isinstance(stream, RealtimeStream)
        await accepts(stream, message)
        if message["type"] == "response.create":
            await stream.begin()
            error = {"type": "server_error", "code": "rate_limit_exceeded", "message": "Too many tokens."}
            await stream.finish("failed", error)

    async def talked(bot: Bot) -> None:
        async with in_call(bot) as (_, _, talking):
            with pytest.raises(AgentFailedError, match=r"cannot answer: rate_limit_exceeded: Too many tokens\."):
                await asyncio.wait_for(talking, DEADLINE_S)
        assert len(bot.stream.of("response.create")) == 2

    with server(fails) as bot:
        run(talked(bot))


def test_keys_are_told_as_a_number() -> None:
    async def talked(bot: Bot) -> None:
        async with in_call(bot, greeting="none") as (leg, _, _):
            assert leg.listener is not None
            for digit in "471#":
                leg.listener.on_dtmf(digit, 100)
            (told,) = await sent(bot, "conversation.item.create")
            assert told["item"]["content"][0]["text"] == "(pressed on the telephone: 471#)"
            await sent(bot, "response.create")

    with server() as bot:
        run(talked(bot))


def test_keys_during_an_answer_are_answered_after_it() -> None:
    async def talked(bot: Bot) -> None:
        async with in_call(bot, greeting="none") as (leg, _, _):
            do(bot, RealtimeStream.begin)
            await asyncio.sleep(0.05)
            assert leg.listener is not None
            for digit in "12#":
                leg.listener.on_dtmf(digit, 100)
            await sent(bot, "conversation.item.create")
            await asyncio.sleep(0.05)
            assert not bot.stream.of("response.create"), "two answers at a time are an error"
            do(bot, RealtimeStream.finish)
            await sent(bot, "response.create")
            await asyncio.sleep(0.05)
            assert len(bot.stream.of("response.create")) == 1

    with server() as bot:
        run(talked(bot))


def test_on_hold_the_model_hears_silence_at_the_pace_of_speech() -> None:
    """Not the music; and a connection without audio would be closed by some vendors."""

    async def talked(bot: Bot) -> None:
        async with in_call(bot) as (leg, call, _):
            await caller_sends(leg, voice(8_000, 40))
            call.on_held(one_way=False)
            await caller_sends(leg, voice(8_000, 100))  # music
            appended = await sent(bot, "input_audio_buffer.append", 7)
            heard = mulaw_decoded(b"".join(base64.b64decode(one["audio"]) for one in appended))
            assert heard[:320].any()
            assert not heard[320:].any()

    with server() as bot:
        run(talked(bot))


def test_a_new_session_knows_only_what_the_caller_has_heard() -> None:
    words = " ".join(str(number) for number in range(100))

    async def talked(bot: Bot) -> None:
        async with in_call(bot, greeting="none") as (leg, _, _):

            async def answer(stream: RealtimeStream) -> None:
                await long_answer(stream)
                await stream.said("item_a", words)

            do(bot, answer)
            await until(lambda: leg.heard().any())
            await caller_sends(leg, silence(8_000, 800))  # a tenth of it
            do(bot, RealtimeStream.caller_begins)
            await sent(bot, "conversation.item.truncate")
            do(bot, lambda stream: stream.finish("cancelled"))
            do(bot, lambda stream: stream.close(1001))
            await until(lambda: len(bot.streams) == 2)
            (told,) = await sent(bot, "conversation.item.create")
            text = told["item"]["content"][0]["text"]
            assert text.endswith(" ...")
            assert words.startswith(text.removesuffix(" ..."))
            assert 0.05 < len(text) / len(words) < 0.25

    with server() as bot:
        run(talked(bot))


def test_nonsense_is_counted_and_does_no_harm() -> None:
    async def babbles(stream: RealtimeStream) -> None:
        for nonsense in (
            "",
            "[]",
            '{"type": 7}',
            '{"type": "response.output_audio.delta"}',
            '{"type": "error", "error": 3}',
            '{"type": "error", "error": ' + 50_000 * "[",
        ):
            await stream.send(nonsense)
        await stream.send(b"\x00")
        await stream.send({"type": "response.dance"})
        await stream.fault("invalid_value", "audio_end_ms is too large")
        await stream.caller_begins()
        await stream.begin()
        await stream.caller_begins()

    async def talked(bot: Bot) -> None:
        async with in_call(bot, greeting="none") as (_, _, talking):
            do(bot, babbles)
            await sent(bot, "response.cancel")
            assert not talking.done()

    with structlog.testing.capture_logs() as lines, server() as bot:
        run(talked(bot))
    (impaired,) = [line for line in lines if line["event"] == "agent.stream_impaired"]
    assert impaired["messages_malformed"] == 7
    assert [line["said"] for line in lines if line["event"] == "agent.server_fault"] == [
        "invalid_value: audio_end_ms is too large"
    ]


def test_the_key_is_sent_and_never_shown(tmp_path: Any) -> None:
    (tmp_path / "key").write_text("sk-secret")

    async def refused(bot: Bot) -> None:
        spec = AgentSpec("model", settings(bot.url, api_key={"file": str(tmp_path / "key")}))
        with pytest.raises(AgentFailedError) as error:
            await prepare(spec, "c1")
        assert "answered 401" in str(error.value)
        assert "sk-secret" not in str(error.value) + repr(spec.settings)

    with server(refuse=(HTTPStatus.UNAUTHORIZED, {})) as bot:
        run(refused(bot))

    async def taken(bot: Bot) -> None:
        async with in_call(bot, api_key={"file": str(tmp_path / "key")}):
            pass

    with server() as bot:
        run(taken(bot))
        assert bot.stream.headers["Authorization"] == "Bearer sk-secret"


def test_a_server_that_is_busy_leads_to_on_busy() -> None:
    async def refused(bot: Bot) -> None:
        with pytest.raises(AgentBusyError, match="answered 503"):
            await prepare(AgentSpec("model", settings(bot.url)), "c1")

    with server(refuse=(HTTPStatus.SERVICE_UNAVAILABLE, {})) as bot:
        run(refused(bot))


def test_nothing_is_left_of_a_call_without_a_garbage_collection() -> None:
    async def talked(bot: Bot) -> None:
        async with in_call(bot, made=keep) as (leg, _, _):
            await caller_sends(leg, voice(8_000, 200))

    with nothing_left() as keep, server(echoes) as bot:
        run(talked(bot))
