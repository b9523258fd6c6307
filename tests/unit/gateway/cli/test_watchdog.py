"""What systemd is told of the gateway's health."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import pytest
import systemd.daemon

from gateway.cli.run import _feed_watchdog
from tests.virtual_time import run_virtual

if TYPE_CHECKING:
    from gateway.sip.endpoint import SipEndpoint


class FakeSip:
    """A SIP thread that stands still from some time on."""

    def __init__(self, until_s: float) -> None:
        self._until_s = until_s

    @property
    def silent_s(self) -> float:
        return max(asyncio.get_running_loop().time() - self._until_s, 0.5)


@pytest.mark.parametrize(("until_s", "fed"), [(100, 6), (12, 4), (0, 1)])
def test_a_blocked_sip_thread_starves_the_watchdog(until_s: float, fed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setenv("WATCHDOG_USEC", "10000000")
    monkeypatch.setattr(systemd.daemon, "notify", told.append)

    async def feed() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(26):
                await _feed_watchdog(cast("SipEndpoint", FakeSip(until_s)))

    run_virtual(feed())
    assert told == ["WATCHDOG=1"] * fed
