"""What each step does to a call, and how a call ends."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.agents.errors import AgentBusyError, AgentFailedError
from gateway.agents.outcome import DONE, GoTo, Outcome, TransferTo
from gateway.dialplan.control import AgentEnded, CallControl, Cause, Why
from gateway.dialplan.load import load_text
from gateway.dialplan.run import MAX_JUMPS, Ending, run_route
from gateway.settings.shipped import DIALPLANS
from media.wav import WavError

SOUND = "sounds/sorry.wav"
BUSY = AgentBusyError("bot", "full")
FAILED = AgentFailedError("bot", "raised", "boom")


class FakeCall(CallControl):
    """Writes down what it is told; agents end as scripted, in order."""

    def __init__(self, *agents: Outcome | AgentEnded | Exception, sound: Exception | None = None) -> None:
        self.done: list[str] = []
        self.failures: list[Why] = []
        self.is_answered = False
        self.has_offer = True
        self.agents = list(agents)
        self.sound = sound

    @property
    def answered(self) -> bool:
        return self.is_answered

    async def ring(self, *, early: bool) -> bool:
        early = early and self.has_offer
        self.done.append("183" if early else "180")
        return early

    async def answer(self) -> None:
        if not self.is_answered:
            self.is_answered = True
            self.done.append("200")

    async def play(self, file: Path, *, repeat: int) -> None:
        self.done.append(f"play {file.name} {repeat}")
        if self.sound is not None:
            raise self.sound

    async def pause(self, seconds: float) -> None:
        self.done.append(f"pause {seconds}")
        await asyncio.sleep(0)

    async def run_agent(self, name: str, *, max_duration_s: float | None) -> Outcome | AgentEnded:
        ending = self.agents.pop(0) if self.agents else DONE
        self.done.append(f"agent {name} {max_duration_s}")
        if isinstance(ending, AgentBusyError) or (
            isinstance(ending, AgentFailedError) and ending.reason == "unprepared"
        ):
            raise ending
        await self.answer()
        if isinstance(ending, Exception):
            raise ending
        return ending

    def note_failure(self, why: Why, detail: str) -> None:
        assert detail
        self.failures.append(why)

    async def reject(self, code: int, reason: str | None, retry_after_s: float | None) -> None:
        assert not self.is_answered
        self.done.append(" ".join(str(part) for part in (code, reason, retry_after_s) if part is not None))

    async def hang_up(self, cause: Cause) -> None:
        assert self.is_answered
        self.done.append(f"bye {cause.value}")


def run(routes: str, call: FakeCall) -> Ending:
    """Run the first of some routes."""
    plan = load_text(f"routes: {routes}", DIALPLANS / "d.yaml", agents=("bot", "other")).plan
    return asyncio.run(run_route(plan, plan.routes[0], call))


def run_steps(steps: str, call: FakeCall, fallback: str = "[]") -> Ending:
    others = "{name: b, match: {to: b}, steps: [pause: 1s, agent: other]}"
    return run(f"[{{name: a, match: {{to: a}}, steps: {steps}, fallback: {fallback}}}, {others}]", call)


@pytest.mark.parametrize(
    ("steps", "done"),
    [
        ("[answer]", ["200", "bye normal"]),
        ("[answer, answer, hangup: busy]", ["200", "bye busy"]),
        ("[ring]", ["180", "480"]),
        ("[ring, pause: 2s, answer, pause: 1s]", ["180", "pause 2.0", "200", "pause 1.0", "bye normal"]),
        (f"[play: {{file: {SOUND}, repeat: 3}}]", ["200", "play sorry.wav 3", "bye normal"]),
        (f"[ring, play: {SOUND}]", ["180", "200", "play sorry.wav 1", "bye normal"]),
        (f"[ring: {{early: true}}, play: {SOUND}, reject: 404]", ["183", "play sorry.wav 1", "404"]),
        (
            f"[ring: {{early: true}}, ring, play: {SOUND}, answer]",
            ["183", "180", "play sorry.wav 1", "200", "bye normal"],
        ),
        ("[pause: 1s]", ["pause 1.0", "480"]),
        ("[agent: {name: bot, max_duration: 5s}]", ["agent bot 5.0", "200", "bye normal"]),
        ("[reject: {code: 503, reason: Later, retry_after: 30s}]", ["503 Later 30.0"]),
        ("[hangup]", ["480"]),
        ("[hangup: busy]", ["486"]),
        ("[hangup: declined]", ["603"]),
        ("[hangup: unavailable]", ["480"]),
        ("[hangup: congestion]", ["503"]),
        ("[hangup: error]", ["500"]),
        ("[answer, goto: b]", ["200", "pause 1.0", "agent other None", "bye normal"]),
    ],
)
def test_steps(steps: str, done: list[str]) -> None:
    call = FakeCall()
    run_steps(steps, call)
    assert call.done == done


@pytest.mark.parametrize(
    ("steps", "ending"),
    [
        ("[answer]", Ending(Why.RAN_OUT, Cause.NORMAL, None, ("a",))),
        ("[ring]", Ending(Why.RAN_OUT, Cause.NORMAL, 480, ("a",))),
        ("[hangup: busy]", Ending(Why.STEP, Cause.BUSY, 486, ("a",))),
        ("[answer, hangup: busy]", Ending(Why.STEP, Cause.BUSY, None, ("a",))),
        ("[reject: 404]", Ending(Why.STEP, Cause.UNAVAILABLE, 404, ("a",))),
        ("[reject: 600]", Ending(Why.STEP, Cause.BUSY, 600, ("a",))),
        ("[reject: 403]", Ending(Why.STEP, Cause.DECLINED, 403, ("a",))),
        ("[reject: 503]", Ending(Why.STEP, Cause.CONGESTION, 503, ("a",))),
        ("[reject: 500]", Ending(Why.STEP, Cause.ERROR, 500, ("a",))),
        ("[goto: b]", Ending(Why.RAN_OUT, Cause.NORMAL, None, ("a", "b"))),
    ],
)
def test_endings(steps: str, ending: Ending) -> None:
    assert run_steps(steps, FakeCall()) == ending


def test_the_next_step_follows_an_agent_whose_time_is_up() -> None:
    call = FakeCall(AgentEnded.TIME_UP)
    run_steps(f"[agent: bot, play: {SOUND}]", call)
    assert call.done == ["agent bot None", "200", "play sorry.wav 1", "bye normal"]


def test_an_agent_that_hangs_up_ends_the_call() -> None:
    call = FakeCall(AgentEnded.HUNG_UP)
    assert run_steps(f"[agent: bot, play: {SOUND}]", call).why is Why.AGENT_HUNG_UP
    assert call.done == ["agent bot None", "200", "bye normal"]


FALLBACK = f"[play: {SOUND}, hangup: error]"
PLAYED = ["play sorry.wav 1", "bye error"]


@pytest.mark.parametrize(
    ("agent", "fallback", "script", "done"),
    [
        # busy: nothing was answered for it
        ("bot", "[]", BUSY, ["486"]),
        ("bot", FALLBACK, BUSY, ["200", *PLAYED]),
        ("bot", "[ring]", BUSY, ["180", "486"]),
        ("{name: bot, on_busy: hangup}", FALLBACK, BUSY, ["486"]),
        ("{name: bot, on_busy: next}", FALLBACK, BUSY, ["pause 9.0", "480"]),
        ("{name: bot, on_busy: {goto: b}}", FALLBACK, BUSY, ["pause 1.0", "agent other None", "200", "bye normal"]),
        # failed: the call was answered
        ("bot", "[]", FAILED, ["200", "bye error"]),
        ("bot", FALLBACK, FAILED, ["200", *PLAYED]),
        ("{name: bot, on_error: hangup}", FALLBACK, FAILED, ["200", "bye error"]),
        ("{name: bot, on_error: next}", FALLBACK, FAILED, ["200", "pause 9.0", "bye normal"]),
        ("{name: bot, on_error: {goto: b}}", FALLBACK, FAILED, ["200", "pause 1.0", "agent other None", "bye normal"]),
    ],
)
def test_on_busy_and_on_error(agent: str, fallback: str, script: Exception, done: list[str]) -> None:
    call = FakeCall(script)
    run_steps(f"[agent: {agent}, pause: 9s]", call, fallback)
    assert call.done == ["agent bot None", *done]


def test_the_ending_tells_what_led_to_the_fallback() -> None:
    call = FakeCall(FAILED)
    ending = run_steps("[agent: bot]", call, FALLBACK)
    assert call.failures == [Why.AGENT_FAILED]
    assert (ending.why, ending.cause, ending.trouble) == (Why.STEP, Cause.ERROR, Why.AGENT_FAILED)
    assert "boom" in ending.detail
    assert run_steps("[agent: bot]", FakeCall(BUSY)) == Ending(
        Why.AGENT_BUSY, Cause.BUSY, 486, ("a",), Why.AGENT_BUSY, str(BUSY)
    )


def test_trouble_inside_the_fallback_ends_the_call() -> None:
    call = FakeCall(FAILED, FAILED)
    ending = run_steps("[agent: bot]", call, "[agent: other, pause: 9s]")
    assert call.done == ["agent bot None", "200", "agent other None", "bye error"]
    assert ending.why is Why.AGENT_FAILED
    assert call.failures == [Why.AGENT_FAILED, Why.AGENT_FAILED]


def test_a_sound_that_cannot_be_played_leads_to_the_fallback() -> None:
    call = FakeCall(sound=WavError("sorry.wav: gone: put it back"))
    ending = run_steps(f"[play: {SOUND}, pause: 9s]", call, "[agent: bot]")
    assert call.done == ["200", "play sorry.wav 1", "agent bot None", "bye error"]
    assert call.failures[0] is Why.SOUND_FAILED
    assert (ending.trouble, ending.detail) == (Why.SOUND_FAILED, "sorry.wav: gone: put it back")


def test_goto_changes_the_fallback_too() -> None:
    call = FakeCall(BUSY)
    routes = (
        f"[{{name: a, match: {{to: a}}, steps: [goto: b], fallback: {FALLBACK}}}, "
        "{name: b, steps: [agent: bot], fallback: [reject: 503]}]"
    )
    assert run(routes, call).routes == ("a", "b")
    assert call.done == ["agent bot None", "503"]


def test_goto_out_of_a_fallback_has_a_fallback_again() -> None:
    call = FakeCall(BUSY, BUSY)
    routes = (
        "[{name: a, match: {to: a}, steps: [agent: bot], fallback: [goto: b]}, "
        "{name: b, steps: [agent: other], fallback: [reject: 503]}]"
    )
    run(routes, call)
    assert call.done == ["agent bot None", "agent other None", "503"]


def test_a_reject_that_comes_too_late_hangs_up() -> None:
    call = FakeCall()
    ending = run("[{name: a, match: {to: a}, steps: [answer, goto: b]}, {name: b, steps: [reject: 404]}]", call)
    assert call.done == ["200", "bye normal"]
    assert ending.code is None


def test_a_ring_that_comes_too_late_does_nothing() -> None:
    call = FakeCall()
    run("[{name: a, match: {to: a}, steps: [answer, goto: b]}, {name: b, steps: [ring, pause: 1s]}]", call)
    assert call.done == ["200", "pause 1.0", "bye normal"]


def test_a_loop_whose_agent_is_always_busy_ends() -> None:
    call = FakeCall(*[BUSY] * 1000)
    ending = run("[{name: a, match: {to: a}, steps: [agent: {name: bot, on_busy: {goto: a}}]}]", call)
    assert ending.why is Why.TOO_MANY_JUMPS
    assert call.done == ["agent bot None"] * (MAX_JUMPS + 1) + ["500"]


def test_cancellation_goes_through() -> None:
    async def hang_up_while_pausing() -> FakeCall:
        call = FakeCall()
        plan = load_text(
            "routes: [{name: a, match: {to: a}, steps: [answer, pause: 1s, answer], fallback: [hangup]}]",
            Path("d.yaml"),
        ).plan
        task = asyncio.create_task(run_route(plan, plan.routes[0], call))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return call

    assert asyncio.run(hang_up_while_pausing()).done == ["200", "pause 1.0"]


def test_what_is_not_in_the_contract_goes_through() -> None:
    with pytest.raises(ZeroDivisionError):
        run_steps("[agent: bot]", FakeCall(ZeroDivisionError()), FALLBACK)


def test_every_cause_has_both_codes() -> None:
    assert all(cause.q850 and cause.sip_code for cause in Cause)


def test_an_agents_outcome_says_how_the_route_goes_on() -> None:
    call = FakeCall(GoTo("b"), DONE)
    assert run_steps("[agent: bot, hangup: busy]", call).routes == ("a", "b")
    assert call.done == ["agent bot None", "200", "pause 1.0", "agent other None", "bye normal"]
    assert call.failures == []


@pytest.mark.parametrize("outcome", [GoTo("nowhere"), TransferTo("4711")])
def test_an_outcome_that_is_not_possible_is_an_error_of_the_agent(outcome: Outcome) -> None:
    call = FakeCall(outcome)
    ending = run_steps("[agent: {name: bot, on_error: hangup}]", call)
    assert (ending.why, ending.cause) == (Why.AGENT_FAILED, Cause.ERROR)
    assert "'bot': it asked for" in ending.detail
    assert call.failures == [Why.AGENT_FAILED]


@pytest.mark.parametrize(("retryable", "code"), [(True, 503), (False, 500)])
def test_whether_trying_again_can_help_reaches_whoever_calls(retryable: bool, code: int) -> None:
    failed = AgentFailedError("bot", "unprepared", "boom", retryable=retryable)
    assert run_steps("[agent: bot]", FakeCall(failed)).code == code
