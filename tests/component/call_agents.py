"""Agents for tests of whole calls."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.agents import Call


class Polite:
    """Hangs up after a second."""

    async def run(self, call: Call) -> None:
        await asyncio.sleep(1)
        call.hang_up()


class Broken:
    """Raises."""

    async def run(self, _call: Call) -> None:
        raise RuntimeError("it broke")


class Waits:
    """Listens until the end."""

    async def run(self, call: Call) -> None:
        await call.until_over()
