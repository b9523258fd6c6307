"""Who is let in, what becomes of each, and how the gateway stops; over fake parties, in virtual time."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gateway.agents import AgentRegistry, EchoSettings
from gateway.calls.gateway import Gateway
from gateway.calls.outcome import EndCause
from gateway.calls.record import CallRecord, RecordSink
from gateway.dialplan import PlanStore
from gateway.settings import Settings
from tests.fake_party import FakeParty, FakeSource, Manner, arrival
from tests.virtual_time import virtual

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PLAN = """
version: 1
routes:
  - {name: echo, match: {to: "600"}, steps: [agent: echo]}
  - {name: ring, match: {to: "601"}, steps: [ring, pause: 10s, reject: 486]}
"""


class Kept(RecordSink):
    """Records in a list."""

    def __init__(self) -> None:
        self.records: list[CallRecord] = []

    def keep(self, record: CallRecord) -> None:
        self.records.append(record)


class FullDisk(RecordSink):
    """Keeps nothing."""

    def keep(self, record: CallRecord) -> None:
        raise OSError("no space left")


class ShortLivedError(Exception):
    """A fault of the gateway."""


class Scene:
    """A gateway, where its calls come from, and their records."""

    def __init__(self, gateway: Gateway, source: FakeSource, kept: Kept) -> None:
        self.gateway, self.source, self.kept = gateway, source, kept

    def causes(self) -> list[EndCause | None]:
        return [record.cause for record in self.kept.records]


@asynccontextmanager
async def running(tmp_path: Path, *, overloaded: list[bool] | None = None, **limits: object) -> AsyncIterator[Scene]:
    """A gateway that runs; stopped at the end, unless the test did that."""
    (tmp_path / "plan.yaml").write_text(PLAN)
    source, kept = FakeSource(), Kept()
    agents = AgentRegistry({"echo": EchoSettings()})
    plans = PlanStore([tmp_path / "plan.yaml"], agents={"echo"})
    settings = Settings.model_validate({"limits": {"calls": 4, "drain_timeout": "20s"} | limits})
    gateway = Gateway(settings, agents, plans, [source], [FullDisk(), kept], is_overloaded=lambda: bool(overloaded))
    async with asyncio.TaskGroup() as tasks:
        await gateway.start(tasks)
        assert gateway.state == "ready"
        yield Scene(gateway, source, kept)
        if not source.stopped:
            await gateway.stop()
    assert source.stopped
    assert not gateway.calls


@virtual
async def test_calls_come_and_go(tmp_path: Path) -> None:
    async with running(tmp_path) as scene:
        caller, ringing = scene.source.dial(), scene.source.dial("601")
        await asyncio.sleep(5)
        caller.leave(EndCause.CALLER_HUNG_UP)
        await asyncio.sleep(10)
        assert ringing.told == ["180", "486"]
        assert scene.causes() == [EndCause.CALLER_HUNG_UP, EndCause.STEP]
        assert (scene.gateway.calls_total, scene.gateway.calls_refused) == (2, 0)


@virtual
async def test_a_full_gateway_refuses_and_says_when_to_come_again(tmp_path: Path) -> None:
    async with running(tmp_path) as scene:
        callers = [scene.source.dial(trunk="carrier") for _ in range(4)]
        late = scene.source.dial(trunk="carrier")
        await asyncio.sleep(1)
        retry_after_s = scene.gateway.settings.limits.retry_after_s
        assert late.told == [f"503 {retry_after_s}"]
        assert late.leg.closed
        callers[0].leave(EndCause.CALLER_HUNG_UP)
        await asyncio.sleep(1)
        assert scene.source.dial(trunk="carrier").told == [], "there is a place again"
        assert (scene.gateway.calls_total, scene.gateway.calls_refused) == (5, 1)
        assert len(scene.kept.records) == 1, "who is refused at the door has no record"


@virtual
async def test_strangers_leave_places_for_the_trunks(tmp_path: Path) -> None:
    async with running(tmp_path, strangers=2) as scene:
        strangers = [scene.source.dial() for _ in range(3)]
        assert [party.told for party in strangers[:2]] == [[], []]
        assert strangers[2].told[0].startswith("503")
        assert scene.source.dial(trunk="carrier").told == []


@virtual
async def test_an_overloaded_gateway_keeps_its_calls_and_takes_no_more(tmp_path: Path) -> None:
    overloaded: list[bool] = []
    async with running(tmp_path, overloaded=overloaded) as scene:
        first = scene.source.dial(trunk="carrier")
        overloaded.append(True)
        assert scene.source.dial(trunk="carrier").told[0].startswith("503")
        await asyncio.sleep(1)
        assert not first.is_over
        overloaded.clear()
        assert scene.source.dial(trunk="carrier").told == []


@virtual
async def test_a_stop_waits_for_calls_and_takes_no_more(tmp_path: Path) -> None:
    async with running(tmp_path) as scene:
        caller = scene.source.dial()
        await asyncio.sleep(1)
        stopping = asyncio.create_task(scene.gateway.stop())
        await asyncio.sleep(1)
        assert scene.gateway.state == "draining"
        assert scene.source.dial().told[0].startswith("503")
        assert not stopping.done()
        caller.leave(EndCause.CALLER_HUNG_UP)
        await stopping
        assert scene.causes() == [EndCause.CALLER_HUNG_UP]


@virtual
async def test_a_stop_waits_no_longer_than_it_may(tmp_path: Path) -> None:
    async with running(tmp_path) as scene:
        loop = asyncio.get_running_loop()
        scene.source.dial()
        await asyncio.sleep(1)
        began = loop.time()
        await scene.gateway.stop()
        assert loop.time() - began == pytest.approx(20, abs=1)
        assert scene.causes() == [EndCause.SHUTDOWN]


@virtual
async def test_a_stop_in_a_hurry(tmp_path: Path) -> None:
    async with running(tmp_path) as scene:
        loop = asyncio.get_running_loop()
        scene.source.dial()
        await asyncio.sleep(1)
        loop.call_later(3, scene.gateway.hurry)
        began = loop.time()
        await scene.gateway.stop()
        assert loop.time() - began == pytest.approx(3, abs=1)
        assert scene.causes() == [EndCause.SHUTDOWN]


@virtual
async def test_a_call_that_cannot_be_dealt_with_gets_an_answer_and_a_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: object) -> None:
        raise RuntimeError("nobody foresaw this")

    async with running(tmp_path) as scene:
        monkeypatch.setattr("gateway.calls.gateway.Call", broken)
        party = scene.source.dial()
        (record,) = scene.kept.records
        assert party.told == ["500"]
        assert party.leg.closed
        assert (record.cause, record.party.code, record.call_id) == (EndCause.INTERNAL_ERROR, 500, "id@there")


@virtual
async def test_a_call_whose_end_fails_hurts_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(tmp_path) as scene:
        other, broken = scene.source.dial(), FakeParty(Manner())
        assert scene.source.reception is not None
        scene.source.reception.on_arrival(arrival(broken, call_id="broken"))
        await asyncio.sleep(1)

        def no_counters() -> None:
            raise RuntimeError("nobody foresaw this")

        monkeypatch.setattr(broken.leg, "counters", no_counters)
        broken.leave(EndCause.CALLER_HUNG_UP)
        await asyncio.sleep(1)
        assert scene.causes() == [EndCause.CALLER_HUNG_UP]
        assert not other.is_over
        assert len(scene.gateway.calls) == 1


@virtual
async def test_a_party_of_whom_too_little_was_learnt(tmp_path: Path) -> None:
    async with running(tmp_path) as scene:
        party = FakeParty()
        scene.gateway.on_lost(party, ValueError("no"), call_id="odd", source="192.0.2.1:5060", trunk=None)
        (record,) = scene.kept.records
        assert party.told == ["500"]
        assert (record.cause, record.call_id, record.detail) == (EndCause.INTERNAL_ERROR, "odd", "ValueError('no')")


@virtual
async def test_calls_that_were_refused_before_are_counted(tmp_path: Path) -> None:
    async with running(tmp_path) as scene:
        scene.gateway.on_refused("488 Not Acceptable", call_id="a", source="192.0.2.1:5060")
        scene.gateway.on_turned_away("full", 40)
        assert scene.gateway.calls_refused == 41


@virtual
async def test_a_fault_of_the_gateway_leaves_a_record_of_each_call(tmp_path: Path) -> None:
    """What fails beside the calls ends them all: each is asked to go, and has its record."""
    parties: list[FakeParty] = []
    scenes: list[Scene] = []

    async def fails() -> None:
        async with running(tmp_path) as scene:
            scenes.append(scene)
            parties.append(scene.source.dial("600"))
            await asyncio.sleep(5)
            raise ShortLivedError

    with pytest.raises(ExceptionGroup):
        await fails()
    (record,) = scenes[0].kept.records
    assert (record.cause, record.duration_s) == (EndCause.SHUTDOWN, 5.0)
    assert parties[0].told == ["200", "bye normal"]
