"""The suites that every agent and every leg must pass refuse those that have a defect, each with another one."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from gateway.agents import AgentSpec, Isolation
from media.conversation.floor import BargeIn
from media.leg import Flushed, Position
from tests.agents import changed, python_agent
from tests.component import agents_broken_at_the_end, broken_agents
from tests.component.test_leg_conformance import FakeRig
from tests.conformance.agent import AGENT_CHECKS, AgentCase, check_hangs_up_on_a_key_after_its_last_words
from tests.conformance.leg import LEG_CHECKS
from tests.fake_leg import FakeLeg
from tests.virtual_time import VirtualLoop

if TYPE_CHECKING:
    from media.leg import LegTap, Pcm

Check = Callable[[Any], Awaitable[None]]

BROKEN_AGENTS = [name for name, one in vars(broken_agents).items() if isinstance(one, type)]
BROKEN_AT_THE_END = [name for name, one in vars(agents_broken_at_the_end).items() if isinstance(one, type)]


def refusals(checks: Sequence[Check], make: Callable[[], Any]) -> set[str]:
    """The checks that fail, by name, in virtual time; what they leave behind then is thrown away."""

    async def run(check: Check) -> None:
        await asyncio.wait_for(check(make()), 600)

    found = set()
    for check in checks:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            try:
                runner.run(run(check))
            except (Exception, pytest.fail.Exception):  # noqa: BLE001 - whatever it is that a defect brings about
                found.add(check.__name__)
    # Now, and not in the middle of pytest's own ast.parse(): tasks that are collected log their exceptions with a
    # traceback, which parses, too, and Python 3.11 fails when one ast.parse() interrupts another.
    gc.collect()
    return found


def case_of(entry: str, mode: BargeIn = BargeIn.OFF, options: dict[str, Any] | None = None) -> Callable[[], AgentCase]:
    kind = python_agent(f"tests.component.{entry}", options or {}, isolation=Isolation.NONE)
    settings = changed(kind, mode=mode)
    return partial(AgentCase, entry, partial(AgentSpec, "agent", settings), thread_patience_s=0.1)


def test_agents() -> None:
    """None passes whole, and no check could be left out."""
    refused = {}
    for name in BROKEN_AGENTS:
        mode = BargeIn.PAUSE if name == "LeavesAfterATurn" else BargeIn.OFF
        refused[name] = refusals(AGENT_CHECKS, case_of(f"broken_agents:{name}", mode))
    assert not [name for name, checks in refused.items() if not checks]
    assert not {check.__name__ for check in AGENT_CHECKS} - set().union(*refused.values())


def test_agents_that_hang_up_on_a_key() -> None:
    checks = [check_hangs_up_on_a_key_after_its_last_words]
    passed = [name for name in BROKEN_AT_THE_END if not refusals(checks, case_of(f"agents_broken_at_the_end:{name}"))]
    assert BROKEN_AT_THE_END
    assert not passed


def test_what_has_no_defect_is_not_refused() -> None:
    """A check that fails whatever it is given would refuse all the others, too."""
    assert not refusals(AGENT_CHECKS, case_of("user_agents:InlineParrot"))
    assert not refusals(
        [check_hangs_up_on_a_key_after_its_last_words], case_of("user_agents:HangsUpOnKey", options={"ear": "events"})
    )
    assert not refusals(LEG_CHECKS, partial(rig_of, FakeLeg))


# Legs


class PlaysSilence(FakeLeg):
    def play(self, pcm: Pcm, mark: int | None = None) -> None:
        super().play(pcm * 0, mark)


class LosesASample(FakeLeg):
    def play(self, pcm: Pcm, mark: int | None = None) -> None:
        super().play(pcm[:-1] if len(pcm) > 1 else pcm, mark)


class KeepsTheArray(FakeLeg):
    def play(self, pcm: Pcm, mark: int | None = None) -> None:
        super().play(pcm, mark)
        if self._queue:
            self._queue[-1] = pcm


class WantsToWriteIntoIt(FakeLeg):
    def play(self, pcm: Pcm, mark: int | None = None) -> None:
        if not pcm.flags.writeable:
            raise ValueError("read-only")
        super().play(pcm, mark)


class TakesEverything(FakeLeg):
    def __init__(self, rate_hz: int) -> None:
        super().__init__(rate_hz, queue_max_ms=10**9)


class ForgetsMarks(FakeLeg):
    def play(self, pcm: Pcm, mark: int | None = None) -> None:
        super().play(pcm)


class TellsMarksAtOnce(FakeLeg):
    def play(self, pcm: Pcm, mark: int | None = None) -> None:
        super().play(pcm)
        if mark is not None:
            self._tell(lambda listener: listener.on_mark(mark))


class DropsNothing(FakeLeg):
    def flush(self) -> Flushed:
        return Flushed(self._played, 0, ())


class CountsAFlushWrongly(FakeLeg):
    def flush(self) -> Flushed:
        flushed = super().flush()
        return Flushed(flushed.played_samples + 1, flushed.dropped_samples, flushed.dropped_marks)


class AlwaysFlushesAFrame(FakeLeg):
    def flush(self) -> Flushed:
        flushed = super().flush()
        return Flushed(flushed.played_samples, flushed.dropped_samples or 160, flushed.dropped_marks)


class ForgetsFlushedMarks(FakeLeg):
    def flush(self) -> Flushed:
        flushed = super().flush()
        return Flushed(flushed.played_samples, flushed.dropped_samples, ())


class NeverPauses(FakeLeg):
    def pause(self) -> None:
        pass


class NeverResumes(FakeLeg):
    def resume(self) -> None:
        pass


class CountsPauses(FakeLeg):
    _pauses = 0

    def pause(self) -> None:
        self._pauses += 1
        super().pause()

    def resume(self) -> None:
        self._pauses -= 1
        if self._pauses <= 0:
            super().resume()


class ResumesAtAFlush(FakeLeg):
    def flush(self) -> Flushed:
        self._paused = False
        return super().flush()


class TellsDrainedAfterAFlush(FakeLeg):
    def flush(self) -> Flushed:
        was_speaking = self._queued > 0
        flushed = super().flush()
        if was_speaking:
            self._tell(lambda listener: listener.on_drained())
        return flushed


class ForgetsASecondMark(FakeLeg):
    def play(self, pcm: Pcm, mark: int | None = None) -> None:
        super().play(pcm, None if self._marks and len(pcm) == 0 else mark)


class NeverWaits(FakeLeg):
    def position(self) -> Position:
        return replace(super().position(), wait_ms=0.0)


class LosesWhatWaitsAtAPause(FakeLeg):
    def pause(self) -> None:
        super().pause()
        self._queue.clear()
        self._queued = 0


class TellsDrainedWithEveryFrame(FakeLeg):
    def _on_tick(self) -> None:
        super()._on_tick()
        if not self._queued:
            self._tell(lambda listener: listener.on_drained())


class NeverTellsDrained(FakeLeg):
    def _on_tick(self) -> None:
        super()._on_tick()
        self._drain_untold = False


class GivesFramesToWriteInto(FakeLeg):
    def hear(self, pcm: Pcm) -> None:
        super().hear(pcm.copy())


class LosesFrames(FakeLeg):
    _heard = 0

    def hear(self, pcm: Pcm) -> None:
        self._heard += 1
        if self._heard % 2:
            super().hear(pcm)


class GivesTapsFramesToWriteInto(FakeLeg):
    def hear(self, pcm: Pcm) -> None:
        self._tell_taps(lambda tap: tap.on_heard_frame(pcm.copy(), self._now_ns()))
        if self.listener is not None:
            self.listener.on_frame(pcm)


class TellsTapsTheTimeInMilliseconds(FakeLeg):
    def _now_ns(self) -> int:
        return super()._now_ns() // 1_000_000


class HasAClockForEachDirection(FakeLeg):
    def hear(self, pcm: Pcm) -> None:
        self._tell_taps(lambda tap: tap.on_heard_frame(pcm, self._now_ns() + 10**9))
        if self.listener is not None:
            self.listener.on_frame(pcm)


class ForgetsWhatItSent(FakeLeg):
    def sent(self, samples: int) -> Pcm:
        return super().sent(samples) * 0


class TellsNoTap(FakeLeg):
    def add_tap(self, tap: LegTap) -> None:
        pass


class TellsTheFirstTapAlone(FakeLeg):
    def add_tap(self, tap: LegTap) -> None:
        if not self._taps:
            super().add_tap(tap)


class KeepsTapsForEver(FakeLeg):
    def remove_tap(self, tap: LegTap) -> None:
        pass


class TapsWhatIsQueued(FakeLeg):
    def play(self, pcm: Pcm, mark: int | None = None) -> None:
        super().play(pcm, mark)
        for tap in self._taps:
            tap.on_sent_frame(pcm, self._now_ns())


BROKEN_LEGS = [one for one in list(globals().values()) if isinstance(one, type) and issubclass(one, FakeLeg)][1:]


def rig_of(leg: type[FakeLeg]) -> FakeRig:
    rig = FakeRig(8_000)
    rig.leg = rig.fake = leg(8_000)
    return rig


def test_legs() -> None:
    """None passes whole, and no check could be left out."""
    refused = {leg.__name__: refusals(LEG_CHECKS, partial(rig_of, leg)) for leg in BROKEN_LEGS}
    assert not [name for name, checks in refused.items() if not checks]
    assert not {check.__name__ for check in LEG_CHECKS} - set().union(*refused.values())
