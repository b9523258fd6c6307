"""A call that must live through every attack, with its sound: the caller whom nobody may hurt."""

from __future__ import annotations

import itertools
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.e2e.listening import assert_heard
from tests.e2e.peers.caller import Caller
from tests.e2e.peers.process import Process
from tests.e2e.peers.sound import tone

if TYPE_CHECKING:
    from types import TracebackType

    from tests.e2e.gateway_process import GatewayProcess

GAP_MAX_S = 0.060
"""Between two packets to the canary, besides the time for which the whole machine stood still."""
ECHO_DEADLINE_S = 5.0
TONE_HZ = 620
AFTER_S = 0.5
"""Of a standstill, and of what piled up behind it."""


class Canary:
    """A caller whom the echo agent serves. `with Canary(gateway) as canary:` checks at the end that nothing hurt it."""

    def __init__(self, gateway: GatewayProcess, directory: Path) -> None:
        """Dial; the sound of the line is measured from then on."""
        self._gateway = gateway
        witness = str(Path(__file__).with_name("witness.py"))
        self._witness = Process("witness", [sys.executable, witness], directory / "witness")
        self._caller = Caller(gateway.address)
        self.call = self._caller.dial("600")
        self._since_s = 0.0

    def assert_unhurt(self) -> None:
        """It was heard all the time, is up, and what it says comes back."""
        assert self._gateway.process.running, self._gateway.explain("the gateway has ended")
        assert self.call.ended_by is None, self.call.explain(f"the canary's call was ended by {self.call.ended_by}")
        self._assert_echo()
        gaps = self._gaps()
        assert not gaps, self._gateway.explain(f"gaps in the canary's sound (begin, seconds): {gaps}")

    def _assert_echo(self) -> None:
        since_s = time.monotonic()
        self.call.send(tone(TONE_HZ, 600))
        heard = self.call.wait_heard(1_500, since_s, ECHO_DEADLINE_S)
        assert_heard(heard, [TONE_HZ])

    def _gaps(self) -> list[tuple[float, float]]:
        standstills = [
            (float(line.split()[0]), float(line.split()[1])) for line in self._witness.log().splitlines() if " " in line
        ]
        times_s = [packet.time_s for packet in self.call.received if packet.time_s >= self._since_s]
        found = []
        for before_s, after_s in itertools.pairwise(times_s):
            still_s = sum(
                end_s - begin_s for begin_s, end_s in standstills if begin_s < after_s and end_s > before_s - AFTER_S
            )
            if after_s - before_s > GAP_MAX_S + still_s:
                found.append((round(before_s - times_s[0], 3), round(after_s - before_s, 3)))
        return found

    def __enter__(self) -> Self:
        try:
            self._witness.start()
            self.call.wait_answered()
            self.call.wait_heard(500)
        except BaseException:
            self.close()
            raise
        self._since_s = time.monotonic()
        return self

    def close(self) -> None:
        """Hang up."""
        self._witness.stop()
        self._caller.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self.assert_unhurt()
        finally:
            self.close()
