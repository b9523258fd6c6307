"""A server behind `audiosocket`, over a real connection: what it is sent, what is heard of it, what its faults do."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable

import numpy as np
import pytest
import structlog

from gateway.agents import (
    AgentBusyError,
    AgentFailedError,
    AgentSpec,
    AudioSocketSettings,
    BargeInOptions,
    prepare,
)
from gateway.agents.network import audiosocket_agent
from media.conversation.events import CallInfo
from media.conversation.floor import BargeIn, Keys
from tests.audiosocket_server import (
    DTMF,
    ERROR,
    HANG_UP,
    SLIN_8,
    SLIN_16,
    UUID,
    AudioSocketServer,
    Session,
    parrots,
)
from tests.backend_call import PATIENCE, CallOfAgent, call_of, nothing_left, run, tone, until
from tests.conformance.agent import AGENT_CHECKS, AgentCase
from tests.fake_leg import caller_sends, silence, voice

INFO = CallInfo(call_id="c1", id="01899b2a-0000-7000-8000-0123456789ab")
DEADLINE_S = 5.0


def settings(server: str, **written: object) -> AudioSocketSettings:
    return AudioSocketSettings.model_validate({"server": server, **PATIENCE, **written})


def in_call(
    server: AudioSocketServer,
    rate_hz: int = 8_000,
    *,
    made: Callable[[AgentSpec], None] = lambda _: None,
    **written: object,
) -> CallOfAgent:
    """A call with the server, which knows its id."""
    spec = AgentSpec("server", settings(server.address, **written))
    made(spec)

    def begun() -> object:
        return server.sessions and (server.sessions[-1].received or not server._reads)

    return call_of(spec, lambda: until(begun), rate_hz, INFO)


@pytest.mark.slow  # in real time: there is a network
@pytest.mark.parametrize("check", AGENT_CHECKS, ids=lambda check: check.__name__)
def test_it_keeps_the_contract_of_an_agent(check: Callable[[AgentCase], Awaitable[None]]) -> None:
    with AudioSocketServer(parrots) as server:

        async def checked() -> None:
            await check(AgentCase("audiosocket", lambda: AgentSpec("server", settings(server.address))))

        run(checked())


@pytest.mark.parametrize(("rate_hz", "kind"), [(8_000, SLIN_8), (16_000, SLIN_16)])
def test_both_ways(rate_hz: int, kind: int) -> None:
    """The line has 8 kHz; what the server hears and says may have another rate."""

    async def talked(server: AudioSocketServer) -> None:
        async with in_call(server, rate=rate_hz) as (leg, _, _):
            said = voice(8_000, 200)
            await caller_sends(leg, said)
            assert leg.listener is not None
            leg.listener.on_dtmf("7", 100)
            await until(lambda: server.session.of(DTMF))
            if kind == SLIN_8:
                np.testing.assert_array_equal(server.session.heard[: len(said)], said)
            assert len(server.session.heard) == rate_hz // 5
            server.session.say(tone(400, rate_hz), kind)
            await until(lambda: np.count_nonzero(leg.heard()) > 0.39 * 8_000)
            assert np.count_nonzero(leg.heard()) < 0.41 * 8_000

    with AudioSocketServer() as server:
        run(talked(server))
        assert server.session.closed.wait(DEADLINE_S)
    assert server.session.received[0] == (UUID, uuid.UUID(INFO.id).bytes)
    assert server.session.of(DTMF) == [b"7"]
    assert {one for one, _ in server.session.received} == {UUID, DTMF, kind, HANG_UP}
    assert server.session.received[-1] == (HANG_UP, b"")


@pytest.mark.parametrize("how", ["frame", "close"])
def test_a_server_that_hangs_up_has_finished_and_is_heard_to_the_end(how: str) -> None:
    async def talked(server: AudioSocketServer) -> None:
        async with in_call(server) as (leg, _, talking):
            server.session.say(tone(300))
            if how == "frame":
                server.session.send(HANG_UP)
            else:
                server.session.connection.shutdown(1)
            await asyncio.wait_for(talking, DEADLINE_S)
            assert np.count_nonzero(leg.heard()) > 2_300

    with AudioSocketServer() as server:
        run(talked(server))


@pytest.mark.parametrize(("key", "said"), [("1", "reported error 02"), ("2", "was lost")], ids=["error", "reset"])
def test_a_server_that_breaks_off_has_failed(key: str, said: str) -> None:
    def breaks_off(session: Session, kind: int, payload: bytes) -> None:
        if (kind, payload) == (DTMF, b"1"):
            session.send(ERROR, b"\x02")
        elif kind == DTMF:
            session.reset()

    async def talked(server: AudioSocketServer) -> None:
        async with in_call(server) as (leg, _, talking):
            assert leg.listener is not None
            leg.listener.on_dtmf(key, 100)
            with pytest.raises(AgentFailedError, match=said) as failed:
                await asyncio.wait_for(talking, DEADLINE_S)
            assert failed.value.retryable

    with AudioSocketServer(breaks_off) as server:
        run(talked(server))


def test_a_key_silences_it_and_what_it_says_next_is_heard() -> None:
    async def talked(server: AudioSocketServer) -> None:
        async with in_call(server, barge_in=BargeInOptions(mode=BargeIn.OFF, keys=Keys.ALWAYS)) as (leg, call, _):
            server.session.say(tone(1_500))
            await until(lambda: leg.heard().any())
            assert leg.listener is not None
            leg.listener.on_dtmf("1", 100)
            await until(lambda: server.session.of(DTMF))
            assert call.queued_ms == 0
            leg.wire.clear()
            server.session.say(tone(200))
            await until(lambda: np.count_nonzero(leg.heard()) > 1_500)

    with AudioSocketServer() as server:
        run(talked(server))


def test_a_server_that_is_not_there() -> None:
    async def refused() -> None:
        with pytest.raises(AgentBusyError, match=r"cannot connect to 127\.0\.0\.1:9"):
            await prepare(AgentSpec("server", settings("127.0.0.1:9")), "c1")

    run(refused())


def test_a_burst_must_wait_and_nothing_of_it_is_lost() -> None:
    async def talked(server: AudioSocketServer) -> None:
        async with in_call(server) as (leg, call, talking):
            burst = asyncio.create_task(asyncio.to_thread(server.session.say, tone(6_000)))
            await until(lambda: call.queued_ms > 1_500)
            await asyncio.wait_for(burst, 20)
            server.session.send(HANG_UP)
            await asyncio.wait_for(talking, 20)
            assert np.count_nonzero(leg.heard()) > 0.98 * 6 * 8_000

    with structlog.testing.capture_logs() as lines, AudioSocketServer() as server:
        run(talked(server))
    assert not [line for line in lines if line["event"] == "agent.stream_impaired"]


def test_what_is_no_frame_of_the_protocol_is_ignored() -> None:
    async def talked(server: AudioSocketServer) -> None:
        async with in_call(server) as (leg, _, _):
            server.session.send(0x42, b"?" * 65_535)
            server.session.send(0x18, b"\x00" * 320)
            server.session.say(tone(100))
            await until(lambda: np.count_nonzero(leg.heard()) > 700)

    with structlog.testing.capture_logs() as lines, AudioSocketServer() as server:
        run(talked(server))
    (impaired,) = [line for line in lines if line["event"] == "agent.stream_impaired"]
    assert impaired["messages_ignored"] == 2


def test_a_server_that_does_not_read_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audiosocket_agent, "UNREAD_S", 0.3)

    async def talked(server: AudioSocketServer) -> None:
        async with in_call(server) as (_, call, talking):
            frame = voice(8_000, 20)
            while not talking.done():
                for _ in range(2_000):
                    call.on_frame(frame)
                await asyncio.sleep(0.001)
            with pytest.raises(AgentFailedError, match="has read nothing for"):
                await talking

    with AudioSocketServer(reads=False) as server:
        run(talked(server))


def test_the_gateway_may_silence_it() -> None:
    def speaks_on(session: Session, kind: int, payload: bytes) -> None:
        if kind == SLIN_8:
            session.say(tone(20))

    async def talked(server: AudioSocketServer) -> None:
        async with in_call(server, barge_in=BargeInOptions(mode=BargeIn.CUT)) as (leg, call, _):
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

    with AudioSocketServer(speaks_on) as server:
        run(talked(server))


def test_nothing_is_left_of_a_call_without_a_garbage_collection() -> None:
    async def talked(server: AudioSocketServer) -> None:
        async with in_call(server, made=keep) as (leg, _, _):
            await caller_sends(leg, voice(8_000, 200))
        await until(server.session.closed.is_set)
        await asyncio.sleep(PAUSE_OF_READING_S)

    with nothing_left() as keep, AudioSocketServer(parrots) as server:
        run(talked(server))


PAUSE_OF_READING_S = audiosocket_agent.PAUSE_S + 0.1


def test_what_it_says_while_the_caller_holds_is_dropped() -> None:
    """It speaks at the pace of speech: what waited would make the rest of the call late."""

    async def talked(server: AudioSocketServer) -> None:
        async with in_call(server) as (leg, call, _):
            call.on_held(one_way=False)
            await asyncio.sleep(0.05)
            server.session.say(tone(1_000))
            await asyncio.sleep(0.3)
            call.on_resumed()
            await asyncio.sleep(0.05)
            server.session.say(tone(100))
            await until(lambda: np.count_nonzero(leg.heard()) > 700)
            await asyncio.sleep(0.1)
            assert np.count_nonzero(leg.heard()) <= 800

    with AudioSocketServer() as server:
        run(talked(server))
