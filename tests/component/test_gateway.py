"""What the gateway does with an INVITE, whatever fails."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, NoReturn, cast

import pytest
import structlog

import gateway.calls.gateway as module
from gateway.agents import AgentRegistry, AgentSettings, EchoSettings, ToneSettings
from gateway.dialplan import PlanStore
from gateway.settings import Settings
from gateway.settings.shipped import DEFAULT_DIALPLAN
from gateway.sip.events import Incoming, Invite
from tests.component.test_live_call import CountedLeg, DeafSip
from tests.virtual_time import virtual

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.sip.events import SipEvent
    from media.plane import EngineLeg


class FakeEndpoint(DeafSip):
    """Starts at once, and can tell of anything."""

    def __init__(
        self, _config: object, _recogniser: object, _make_plane: object, on_event: Callable[[SipEvent], None]
    ) -> None:
        super().__init__()
        self.tell = on_event
        self.plane = SimpleNamespace(start=lambda: None, stop=lambda: None)

    def register(self, trunk: str, *, wanted: bool) -> None:
        """There is no trunk."""

    def recognise_with(self, recogniser: object) -> None:
        """Nobody comes over one."""

    async def start(self) -> None:
        """Nothing to bind."""

    async def stop(self) -> None:
        """Nothing to free."""


class Unreadable(dict[str, tuple[str, ...]]):
    """Headers that nobody foresaw."""

    def items(self) -> NoReturn:
        raise RuntimeError("nobody foresaw this")


@virtual
async def test_an_invite_that_cannot_be_dealt_with_gets_an_answer_and_a_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SipEndpoint", FakeEndpoint)
    agents = AgentRegistry([AgentSettings("echo", EchoSettings()), AgentSettings("tone", ToneSettings())])
    plans = PlanStore([DEFAULT_DIALPLAN], agents={"echo", "tone", "welcome"})
    running = module.Gateway(Settings.model_validate({}), agents, plans, user_agent="test")
    sip = cast("FakeEndpoint", running.sip)
    leg = CountedLeg()
    invite = Invite("the-call", "sip:600@here", "192.0.2.1:5060", Unreadable())
    async with asyncio.TaskGroup() as tasks:
        await running.start(tasks)
        with structlog.testing.capture_logs() as logs:
            sip.tell(Incoming(7, cast("EngineLeg", leg), invite))
        await running.stop()
    assert sip.ended == [500]
    assert leg.closed
    (record,) = [entry for entry in logs if entry["event"] == "call.ended"]
    assert (record["call_id"], record["cause"], record["code"]) == ("the-call", "internal-error", 500)
    assert not running.calls
