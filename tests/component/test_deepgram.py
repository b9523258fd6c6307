"""An agent behind `deepgram`: what it is told, what its caller hears, and what its faults do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from http import HTTPStatus
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
    DeepgramSettings,
    Done,
    GoTo,
    prepare,
)
from media.conversation.events import CallInfo
from media.conversation.floor import BargeIn
from media.g711 import alaw_decoded, alaw_encoded, mulaw_decoded, mulaw_encoded
from tests.backend_call import PATIENCE, CallOfAgent, call_of, info, nothing_left, run, tone, until
from tests.bot import DEADLINE_S, Bot, Message, Stream
from tests.conformance.agent import AGENT_CHECKS, AgentCase
from tests.deepgram_server import DeepgramStream, accepts, echoes
from tests.fake_leg import caller_sends, silence, voice

FAST_RENEWAL = "gateway.agents.network.model_agent.RENEWAL_PAUSE_S"


def settings(url: str, **written: object) -> DeepgramSettings:
    return DeepgramSettings.model_validate({"url": url, **PATIENCE, **written})


def server(behave: Callable[[Stream, Message], Awaitable[None]] = accepts, **more: Any) -> Bot:
    return Bot(behave, stream=DeepgramStream, **more)


def session(bot: Bot) -> DeepgramStream:
    return cast("DeepgramStream", bot.stream)


def do(bot: Bot, work: Callable[[DeepgramStream], Awaitable[None]]) -> None:
    bot.do(cast("Callable[[Stream], Awaitable[None]]", work))


async def sent(bot: Bot, kind: str, count: int = 1) -> list[Message]:
    """The messages of a kind, once there are so many."""
    await bot.until(lambda stream: len(stream.of(kind)) >= count)
    return bot.stream.of(kind)


def in_call(
    bot: Bot,
    rate_hz: int = 8_000,
    facts: CallInfo | None = None,
    *,
    made: Callable[[AgentSpec], None] = lambda _: None,
    **written: object,
) -> CallOfAgent:
    """A call whose session was asked for."""
    spec = AgentSpec("agent", settings(bot.url, **written))
    made(spec)
    return call_of(spec, lambda: sent(bot, "Settings"), rate_hz, facts)


@pytest.mark.slow  # in real time: there is a network
@pytest.mark.parametrize("check", AGENT_CHECKS, ids=lambda check: check.__name__)
def test_it_keeps_the_contract_of_an_agent(check: Callable[[AgentCase], Awaitable[None]]) -> None:
    with server(echoes) as bot:

        async def checked() -> None:
            await check(AgentCase("deepgram", lambda: AgentSpec("agent", settings(bot.url, greeting="none"))))

        run(checked())


def test_the_settings_are_sent_as_written() -> None:
    written: dict[str, Any] = {
        "instructions": "You help {from} on the line {to}.",
        "greeting": "Hello, {from}!",
        "language": "de",
        "think_provider": "anthropic",
        "think_model": "claude-4-5-haiku-latest",
        "speak_model": "aura-2-viktoria-de",
        "tools": {"go_to": {"sales": "wants to buy"}, "note": {"customer": "the number"}},
    }

    async def talked(bot: Bot) -> None:
        async with in_call(bot, **written) as (leg, _, _):
            voiced = voice(8_000, 100)
            await caller_sends(leg, voiced)
            await sent(bot, "audio", 5)
            np.testing.assert_array_equal(session(bot).heard[: len(voiced)], mulaw_decoded(mulaw_encoded(voiced)))

    with server() as bot:
        run(talked(bot))
    (asked,) = bot.stream.of("Settings")
    wire = {"encoding": "mulaw", "sample_rate": 8_000}
    assert asked["audio"] == {"input": wire, "output": {**wire, "container": "none"}}
    agent = asked["agent"]
    assert agent["greeting"] == "Hello, +4930123!"
    assert agent["listen"]["provider"] == {"type": "deepgram", "model": "nova-3", "language": "de"}
    assert agent["speak"]["provider"] == {"type": "deepgram", "model": "aura-2-viktoria-de"}
    think = agent["think"]
    assert think["provider"] == {"type": "anthropic", "model": "claude-4-5-haiku-latest"}
    assert think["prompt"] == "You help +4930123 on the line 600."
    assert [function["name"] for function in think["functions"]] == ["hang_up", "go_to", "note"]
    assert "context" not in agent
    assert bot.stream.ended_with == 1000


def test_models_of_the_flux_family_are_asked_for_by_their_version() -> None:
    async def talked(bot: Bot) -> None:
        models: dict[str, Any] = {"listen_model": "flux-general-multi", "speak_model": "flux-kit-en", "language": "es"}
        async with in_call(bot, greeting="none", **models):
            pass

    with server() as bot:
        run(talked(bot))
    agent = session(bot).asked["agent"]
    heard = {"type": "deepgram", "version": "v2", "model": "flux-general-multi", "language_hints": ["es"]}
    assert agent["listen"]["provider"] == heard
    assert agent["speak"]["provider"] == {"type": "deepgram", "version": "v2", "model": "flux-kit-en"}
    assert "greeting" not in agent


@pytest.mark.parametrize(
    ("rate_hz", "codec", "encoding"),
    [(8_000, "PCMU/8000", "mulaw"), (8_000, "PCMA/8000", "alaw"), (16_000, "G722/8000", "linear16")],
)
def test_both_hear_each_other_at_the_right_speed(rate_hz: int, codec: str, encoding: str) -> None:
    facts = replace(info(), codec=codec)

    async def talked(bot: Bot) -> None:
        async with in_call(bot, rate_hz, facts, greeting="none") as (leg, _, _):
            wire = session(bot).asked["audio"]["input"]
            assert wire == {"encoding": encoding, "sample_rate": rate_hz}
            voiced = voice(rate_hz, 100)
            await caller_sends(leg, voiced)
            await bot.until(lambda _: len(session(bot).heard) >= len(voiced))
            expected = alaw_decoded(alaw_encoded(voiced)) if encoding == "alaw" else voiced
            if encoding != "mulaw":
                np.testing.assert_array_equal(session(bot).heard[: len(voiced)], expected)
            do(bot, lambda stream: stream.answer("Beep.", tone(400, rate_hz)))
            await until(lambda: np.count_nonzero(np.abs(leg.heard()) > 100) > 0.38 * rate_hz)
            assert np.count_nonzero(np.abs(leg.heard()) > 100) < 0.42 * rate_hz

    with server() as bot:
        run(talked(bot))


@pytest.mark.parametrize("by", ["server", "gateway"])
@pytest.mark.parametrize("ended", [True, False], ids=["ended", "not ended"])
def test_an_interruption_silences_at_once_and_the_next_answer_is_heard(by: str, *, ended: bool) -> None:
    """Whether or not the server ends the answer that was interrupted."""
    barge_in = BargeInOptions(mode=BargeIn.CUT if by == "gateway" else BargeIn.OFF)

    async def long_answer(stream: DeepgramStream) -> None:
        await stream.said("It is a long story.")
        await stream.audio(tone(8_000))

    async def late(stream: DeepgramStream) -> None:
        if by == "gateway":
            await stream.audio(tone(200))
            await stream.caller_begins()
        await stream.audio(tone(200))  # of the answer that was interrupted
        if ended:
            await stream.finish()
        await stream.caller_said("Stop!")
        await stream.answer("Yes?", tone(200))

    async def talked(bot: Bot) -> None:
        async with in_call(bot, greeting="none", barge_in=barge_in) as (leg, call, _):
            await caller_sends(leg, silence(8_000, 100))
            do(bot, long_answer)
            await until(lambda: leg.heard().any())
            if by == "gateway":
                await caller_sends(leg, voice(8_000, 300))
            else:
                do(bot, DeepgramStream.caller_begins)
            await until(lambda: call.queued_ms == 0)
            leg.wire.clear()
            do(bot, late)
            await until(lambda: np.count_nonzero(leg.heard()) > 1_500)
            await until(lambda: not call.speaking)
            assert np.count_nonzero(leg.heard()) < 1_700, "of the old answer nothing comes"

    with server() as bot:
        run(talked(bot))


def test_tools_are_used_at_once_and_the_last_words_are_heard() -> None:
    async def goes(stream: DeepgramStream) -> None:
        await stream.said("Goodbye.")
        await stream.call_tools(("go_to", '{"route": "sales"}'))
        await stream.audio(tone(300))
        await stream.finish()

    async def talked(bot: Bot) -> None:
        tools = {"go_to": {"sales": "wants to buy"}, "note": {"customer": "the number"}}
        async with in_call(bot, greeting="none", tools=tools) as (leg, _, talking):
            do(
                bot,
                lambda stream: stream.call_tools(
                    ("note", '{"customer": "4711"}'), ("dance", "{}"), ("go_to", '{"route": "nowhere"}'), ("go_to", "{")
                ),
            )
            told = await sent(bot, "FunctionCallResponse", 4)
            assert [one["name"] for one in told] == ["note", "dance", "go_to", "go_to"]
            assert told[0]["content"] == "noted"
            assert all(one["content"].startswith("error: ") for one in told[1:])
            do(bot, goes)
            assert await asyncio.wait_for(talking, DEADLINE_S) == GoTo("sales", {"customer": "4711"})
            assert np.count_nonzero(leg.heard()) > 2_300

    with server() as bot:
        run(talked(bot))


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_model_that_hangs_up_does_so(*, interrupted: bool) -> None:
    async def leaves(stream: DeepgramStream) -> None:
        if interrupted:
            await stream.said("Goodbye.")
        await stream.call_tools(("hang_up", "{}"))
        if interrupted:
            await stream.caller_begins()

    async def talked(bot: Bot) -> None:
        async with in_call(bot, greeting="none") as (_, call, talking):
            do(bot, leaves)
            assert await asyncio.wait_for(talking, DEADLINE_S) == Done()
            assert call.hung_up

    with server() as bot:
        run(talked(bot))


@pytest.mark.parametrize("how", ["lost", "closed", "Error"])
def test_a_session_that_ends_is_followed_by_another_that_knows_what_was_said(how: str) -> None:
    async def ends(stream: DeepgramStream) -> None:
        await stream.caller_said("What do you have?")
        await stream.said("We have apples.")
        await stream.said("And pears.")
        await stream.finish()
        await stream.caller_said("How much is it?")  # and no answer follows
        match how:
            case "Error":
                await stream.fault("CLIENT_MESSAGE_TIMEOUT", "Nothing was heard from you.")
            case "lost":
                stream.connection.transport.abort()
            case _:
                await stream.close(1001)

    async def talked(bot: Bot) -> None:
        async with in_call(bot) as (leg, _, talking):
            assert session(bot).asked["agent"]["greeting"] == "Hello! How can I help you?"
            do(bot, ends)
            await until(lambda: len(bot.streams) == 2)
            (asked,) = await sent(bot, "Settings")
            assert "greeting" not in asked["agent"], "it greets once"
            assert [(one["role"], one["content"]) for one in asked["agent"]["context"]["messages"]] == [
                ("user", "What do you have?"),
                ("assistant", "We have apples. And pears."),
            ]
            (injected,) = await sent(bot, "InjectUserMessage")
            assert injected["content"] == "How much is it?", "it is answered"
            await caller_sends(leg, voice(8_000, 100))
            await sent(bot, "audio", 5)
            assert not talking.done()

    with server() as bot:
        run(talked(bot))


def test_a_server_that_ends_every_session_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FAST_RENEWAL, 0.01)

    async def fails(stream: Stream, message: Message) -> None:
        assert isinstance(stream, DeepgramStream)
        await accepts(stream, message)
        if message["type"] == "Settings":
            await stream.fault("FAILED_TO_THINK", "The model does not answer.")

    async def talked(bot: Bot) -> None:
        async with in_call(bot) as (_, _, talking):
            with pytest.raises(AgentFailedError, match="FAILED_TO_THINK: The model does not answer") as failed:
                await asyncio.wait_for(talking, DEADLINE_S)
            assert failed.value.retryable
            assert len(bot.streams) == 6

    with server(fails) as bot:
        run(talked(bot))


def test_settings_that_are_refused_are_not_tried_again() -> None:
    async def refuses(stream: Stream, message: Message) -> None:
        assert isinstance(stream, DeepgramStream)
        await stream.fault("INVALID_SETTINGS", "There is no model 'nobody'.")

    async def talked(bot: Bot) -> None:
        async with in_call(bot, speak_model="nobody") as (_, _, talking):
            with pytest.raises(AgentFailedError, match="refuses the session: INVALID_SETTINGS: There is no model"):
                await asyncio.wait_for(talking, DEADLINE_S)
            assert len(bot.streams) == 1

    with server(refuses) as bot:
        run(talked(bot))


def test_settings_that_are_not_applied_in_time_are_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.agents.network.model_agent.SESSION_S", 0.2)

    async def waits(stream: Stream, message: Message) -> None:
        pass

    async def talked(bot: Bot) -> None:
        async with in_call(bot) as (_, _, talking):
            with pytest.raises(AgentFailedError, match="did not accept a session"):
                await asyncio.wait_for(talking, DEADLINE_S)

    with server(waits) as bot:
        run(talked(bot))


def test_keys_are_told_as_a_number() -> None:
    async def talked(bot: Bot) -> None:
        async with in_call(bot, greeting="none") as (leg, _, _):
            await caller_sends(leg, voice(8_000, 40))
            await sent(bot, "audio")
            assert leg.listener is not None
            for digit in "471#":
                leg.listener.on_dtmf(digit, 100)
            (told,) = await sent(bot, "InjectUserMessage")
            assert told["content"] == "(pressed on the telephone: 471#)"

    with server() as bot:
        run(talked(bot))


def test_nonsense_is_counted_and_does_no_harm() -> None:
    async def babbles(stream: DeepgramStream) -> None:
        for nonsense in (
            "",
            "[]",
            '{"type": 7}',
            '{"type": "ConversationText"}',
            '{"type": "FunctionCallRequest", "functions": 3}',
            '{"type": "Error", "code": ' + 50_000 * "[",
        ):
            await stream.send(nonsense)
        await stream.send({"type": "Dance"})
        await stream.fault("SLOW_THINK_REQUEST", "It takes long.", "Warning")
        await stream.call_tools(("note", "{}"))

    async def talked(bot: Bot) -> None:
        async with in_call(bot, greeting="none") as (_, _, talking):
            do(bot, babbles)
            await sent(bot, "FunctionCallResponse")
            assert not talking.done()

    with structlog.testing.capture_logs() as lines, server() as bot:
        run(talked(bot))
    (impaired,) = [line for line in lines if line["event"] == "agent.stream_impaired"]
    assert impaired["messages_malformed"] == 6
    faults = [line["said"] for line in lines if line["event"] == "agent.server_fault"]
    assert faults == ["SLOW_THINK_REQUEST: It takes long."]


def test_the_key_is_sent_and_never_shown(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("dg-secret")

    async def refused(bot: Bot) -> None:
        spec = AgentSpec("agent", settings(bot.url, api_key={"file": str(tmp_path / "key")}))
        with pytest.raises(AgentFailedError) as error:
            await prepare(spec, "c1")
        assert "answered 401" in str(error.value)
        assert "dg-secret" not in str(error.value) + repr(spec.settings)

    with server(refuse=(HTTPStatus.UNAUTHORIZED, {})) as bot:
        run(refused(bot))

    async def taken(bot: Bot) -> None:
        async with in_call(bot, api_key={"file": str(tmp_path / "key")}):
            pass

    with server() as bot:
        run(taken(bot))
        assert bot.stream.headers["Authorization"] == "Token dg-secret"


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
