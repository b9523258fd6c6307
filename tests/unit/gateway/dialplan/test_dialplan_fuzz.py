"""Whatever the file holds, DialplanError is all that comes out; and what loads, runs to an end."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.agents.errors import AgentBusyError, AgentFailedError
from gateway.agents.outcome import DONE, GoTo, Outcome, TransferTo
from gateway.dialplan.control import AgentEnded, Cause, Why
from gateway.dialplan.explain import as_text, explain
from gateway.dialplan.invite import Invite
from gateway.dialplan.load import load_text
from gateway.dialplan.run import run_route
from gateway.settings import DialplanError
from gateway.settings.shipped import DIALPLANS

if TYPE_CHECKING:
    from pathlib import Path

OFFICE = (DIALPLANS / "office.yaml").read_text()
WORDS = st.sampled_from([
    "version", "routes", "name", "match", "steps", "fallback", "to", "from", "trunk", "header", "any", "answer",
    "ring", "play", "pause", "agent", "reject", "hangup", "goto", "file", "repeat", "duration", "max_duration",
    "on_busy", "on_error", "next", "code", "reason", "retry_after", "cause", "early", "a", "b", "404", "5s",
    "regex:(a|b)*", "+", "*", "1", "true", "sounds/sorry.wav", "normal",
])  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=8) | WORDS
TREES = st.recursive(
    SCALARS, lambda below: st.lists(below, max_size=4) | st.dictionaries(WORDS, below, max_size=5), max_leaves=20
)
AFTER = st.sampled_from(["next", "hangup", {"goto": "a"}, {"goto": "b"}, {"goto": "c"}])
STEPS = st.lists(
    st.one_of(
        st.sampled_from(
            ["answer", "ring", {"ring": {"early": True}}, {"pause": "1s"}, {"play": "sounds/sorry.wav"}, "hangup"]
        ),
        st.fixed_dictionaries(
            {"agent": st.fixed_dictionaries({"name": st.just("bot"), "on_busy": AFTER, "on_error": AFTER})}
        ),
        st.fixed_dictionaries({"goto": st.sampled_from("abc")}),
        st.fixed_dictionaries({"reject": st.integers(399, 700)}),
    ),
    min_size=1,
    max_size=4,
)
PLANS = st.tuples(*[STEPS] * 6)


def load(text: str) -> None:
    with contextlib.suppress(DialplanError):
        plan = load_text(text, DIALPLANS / "d.yaml", agents=["a"], trunks=["a"]).plan
        as_text(explain(plan, Invite("a", "b", None, {})))


@given(st.text(max_size=200))
@settings(max_examples=100)
def test_any_text(text: str) -> None:
    load(text)


@given(TREES)
@settings(max_examples=100)
def test_any_tree(tree: object) -> None:
    load(yaml.safe_dump({"routes": [{"name": "a", "match": {"to": "x"}, "steps": tree}, tree]}))
    load(yaml.safe_dump(tree))


@given(st.integers(0, len(OFFICE)), st.integers(0, 40), st.text(max_size=6) | WORDS)
@settings(max_examples=60)
def test_a_dialplan_that_was_mangled(start: int, removed: int, inserted: str) -> None:
    load(OFFICE[:start] + inserted + OFFICE[start + removed :])


class CapriciousCall:
    """Takes no time, and its agents do whatever the seed says. Insists on an order of events that SIP allows."""

    def __init__(self, moods: list[int]) -> None:
        self.answered = False
        self.over = False
        self.moods = moods

    async def ring(self, *, early: bool) -> bool:
        assert not self.answered
        assert not self.over
        return early and bool(self.moods)

    async def answer(self) -> None:
        assert not self.over
        self.answered = True

    async def play(self, file: Path, *, repeat: int) -> None:
        del file, repeat
        assert not self.over

    async def pause(self, seconds: float) -> None:
        del seconds
        assert not self.over

    async def run_agent(self, name: str, *, max_duration_s: float | None) -> Outcome | AgentEnded:
        del max_duration_s
        assert not self.over
        mood = self.moods.pop() if self.moods else 0
        if mood == 1:
            raise AgentBusyError(name, "full")
        self.answered = True
        if mood == 2:
            raise AgentFailedError(name, "raised", "boom")
        endings = (DONE, AgentEnded.TIME_UP, AgentEnded.HUNG_UP, GoTo("a"), TransferTo("1"))
        return endings[mood % len(endings)]

    def note_failure(self, why: Why, detail: str) -> None:
        del why, detail
        assert not self.over

    async def reject(self, code: int, reason: str | None, retry_after_s: float | None) -> None:
        del reason, retry_after_s
        assert 400 <= code <= 699
        assert not self.answered
        assert not self.over
        self.over = True

    async def hang_up(self, cause: Cause) -> None:
        del cause
        assert self.answered
        assert not self.over
        self.over = True


@given(PLANS, st.lists(st.integers(0, 5), max_size=60))
@settings(max_examples=120)
def test_every_plan_that_loads_ends_every_call_once(steps: tuple[list[object], ...], moods: list[int]) -> None:
    routes = [
        {"name": name, "match": {"to": name}, "steps": steps[index], "fallback": steps[index + 3]}
        for index, name in enumerate("abc")
    ]
    try:
        plan = load_text(yaml.safe_dump({"routes": routes}), DIALPLANS / "d.yaml", agents=["bot"]).plan
    except DialplanError:
        return
    call = CapriciousCall(moods)
    ending = asyncio.run(run_route(plan, plan.routes[0], call))
    assert call.over
    assert (ending.code is None) == call.answered
