"""A party without a line: it does as it is told, by the loop's clock, and keeps what it was told."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from gateway.calls.party import Arrival, CallSource, IncomingParty, Over, PartyListener, Reception
from gateway.dialplan import Cause, Invite
from media.leg import Counters, OwnedLeg
from tests.fake_leg import FakeLeg

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.calls.outcome import EndCause
    from media.leg import Pcm


class FakeOwnedLeg(FakeLeg, OwnedLeg):
    """A leg as whoever opened it has it."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = False
        self.packets_received = 0
        self.on_failure: Callable[[Exception], None] | None = None
        self.on_heard: Callable[[], None] | None = None
        self.on_silent: Callable[[int], None] | None = None

    def counters(self) -> Counters:
        return Counters(packets_received=self.packets_received)

    def close(self) -> None:
        self.closed = True
        self.listener = self.on_failure = self.on_heard = self.on_silent = None
        self.stop_clock()
        self.close_taps()


@dataclass(frozen=True, slots=True)
class Manner:
    """How a party behaves."""

    answers_after_s: float | None = 0.1
    """From our answer to its acknowledgement; None: never."""
    has_offer: bool = True
    goes_after_s: float | None = 0.05
    """From being asked to go to being gone; None: never."""


class FakeParty(IncomingParty):
    """Somebody who calls."""

    def __init__(self, manner: Manner | None = None) -> None:
        self.manner = manner or Manner()
        self.listener: PartyListener | None = None
        self.told: list[str] = []
        """180, 183, 200, a refusal's code, or `bye` and the cause."""
        self.is_over = False
        self._leg = FakeOwnedLeg()
        self._loop = asyncio.get_running_loop()
        self._up = asyncio.Event()

    @property
    def leg(self) -> FakeOwnedLeg:
        return self._leg

    def ring(self) -> None:
        self.told.append("180")

    async def early_media(self) -> bool:
        if not self.manner.has_offer:
            self.ring()
            return False
        self.told.append("183")
        self._listener().on_media("PCMU/8000")
        return True

    async def answer(self) -> None:
        if "200" not in self.told:
            self.told.append("200")
            if self.manner.answers_after_s is not None:
                self._loop.call_later(self.manner.answers_after_s, self._acknowledge)
        await self._up.wait()

    def refuse(self, code: int, reason: str | None = None, retry_after_s: float | None = None) -> None:
        if "200" in self.told:
            self.hang_up(Cause.ERROR)
            return
        self._ask_to_go(" ".join(str(part) for part in (code, reason, retry_after_s) if part is not None), code)

    def hang_up(self, cause: Cause) -> None:
        assert "200" in self.told, "a call that was not answered cannot be hung up"
        self._ask_to_go(f"bye {cause.value}", 200)

    def close(self) -> None:
        self._leg.close()

    def leave(self, cause: EndCause, code: int = 200, detail: str = "") -> None:
        """The party goes, or its line does."""
        self._go(Over(cause, code, "", detail))

    def hold(self) -> None:
        """It puts us on hold: it hears nothing, and what is said to it waits."""
        self._leg.pause()
        self._listener().on_held(one_way=False)

    def say(self, pcm: Pcm) -> None:
        """Let whoever listens hear a frame."""
        if self._leg.listener is not None:
            self._leg.listener.on_frame(pcm)

    def _ask_to_go(self, told: str, code: int) -> None:
        self.told.append(told)
        if self.manner.goes_after_s is not None:
            self._loop.call_later(self.manner.goes_after_s, self._go, Over(None, code, ""))

    def _go(self, over: Over) -> None:
        if not self.is_over:
            self.is_over = True
            if self.listener is not None:
                self.listener.on_over(over)

    def _acknowledge(self) -> None:
        if not self.is_over:
            self._listener().on_media("PCMU/8000")
            self._listener().on_answered()
            self._up.set()

    def _listener(self) -> PartyListener:
        assert self.listener is not None
        return self.listener


def arrival(party: FakeParty, to: str = "600", trunk: str | None = None, call_id: str = "id@there") -> Arrival:
    """That party, asking for a number."""
    return Arrival(party, Invite(to, "alice", trunk, MappingProxyType({})), call_id, "192.0.2.1:5060")


class FakeSource(CallSource):
    """Where fake parties come from."""

    def __init__(self) -> None:
        self.reception: Reception | None = None
        self.stopped = False

    async def start(self, reception: Reception, tasks: asyncio.TaskGroup) -> None:
        self.reception = reception

    async def stop(self) -> None:
        self.stopped = True

    def dial(self, to: str = "600", manner: Manner | None = None, trunk: str | None = None) -> FakeParty:
        """A call comes."""
        assert self.reception is not None
        party = FakeParty(manner)
        self.reception.on_arrival(arrival(party, to, trunk))
        return party
