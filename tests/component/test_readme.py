"""What the README has its reader write works as it is printed there."""

from __future__ import annotations

import asyncio
import re
import sys
from typing import TYPE_CHECKING

import pytest

from bench.figures import README
from gateway.agents import AgentSpec
from gateway.cli import main
from gateway.cli.prepare import Prepared, prepare
from gateway.dialplan import find_route, invite
from tests.agents import changed
from tests.conformance.agent import AGENT_CHECKS, PATIENCE_S, AgentCase

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

FILES = re.compile(r"^```\w+\n# /etc/offhook/(?P<name>\S+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
"""Each begins with where it belongs."""
SHIPPED = README.parent / "systemd"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The settings, at the end of what is shipped, with all else that the README has in `/etc/offhook`."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "mybot", raising=False)  # another test's, from another directory
    printed = {file["name"]: file["text"] for file in FILES.finditer(README.read_text())}
    for name, text in {**printed, "carrier.password": "secret\n"}.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        shipped = SHIPPED / name
        path.write_text((shipped.read_text() if shipped.exists() else "") + text)
        path.chmod(0o640)
    return tmp_path / "gateway.yaml"


@pytest.fixture
def prepared(config: Path) -> Prepared:
    return prepare(config)


def test_the_check_finds_nothing(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--config", str(config)]) == 0
    out, err = capsys.readouterr()
    assert out == f"{config}: no faults (1 trunk, 4 agents, 1 route)\n"
    # A gateway may run on this machine.
    assert not [line for line in err.splitlines() if not re.search("another program uses|a gateway with other", line)]


def test_the_carriers_calls_come_and_reach_the_agent(prepared: Prepared) -> None:
    assert not [one for one in prepared.settings.sip.listen if one.address.is_loopback]
    call = invite("sip:4930555000@gateway", {}, trunk="carrier")
    route = find_route(prepared.plans.plan, call)
    assert route is not None
    assert route.name == "bot"


@pytest.mark.parametrize("check", AGENT_CHECKS, ids=lambda check: check.__name__)
def test_the_agent_does_what_agents_must(prepared: Prepared, check: Callable[[AgentCase], Awaitable[None]]) -> None:
    settings = changed(prepared.agents["bot"].settings, hangup_grace_s=PATIENCE_S, cancel_deadline_s=PATIENCE_S)

    async def run() -> None:
        await check(AgentCase("bot", lambda: AgentSpec("bot", settings)))

    asyncio.run(run())
