"""What steps declare of themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.dialplan.model import Route
from gateway.dialplan.review import review
from gateway.dialplan.source import Illegible, Named, Names, WrittenRoute, WrittenStep
from gateway.dialplan.steps import STEPS, AgentStep, GotoStep, JumpTo, PauseStep, Step
from gateway.settings.document import parse


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_declared_keys_are_keys_of_the_step(step: type[Step]) -> None:
    keys = {field.alias or name for name, field in step.model_fields.items()}
    assert {path[0] for paths in step.names.values() for path in paths} <= keys
    assert set(step.failure_keys) <= keys
    assert step.main is None or step.main in keys
    assert step.may_fail or not step.failure_keys


def test_a_step_tells_what_it_names() -> None:
    step = AgentStep(name="bot", on_busy=JumpTo(goto="helper"), on_error="next")
    assert (list(step.named("agent")), list(step.named("route")), list(step.named("trunk"))) == (
        ["bot"],
        ["helper"],
        [],
    )
    assert list(GotoStep(route="sales").named("route")) == ["sales"]
    assert list(PauseStep(duration=1.0).named("file")) == []


def test_trunks_that_steps_name_are_checked() -> None:
    at = ("steps", 0, "dial")
    step = WrittenStep(at, Step, None, (Named((*at, "trunk"), "trunk", "carier"),))
    route = Route("a", None, (), (), Path("d.yaml"), 1)
    written = WrittenRoute(
        route, parse("", "d.yaml"), ("routes", 0), (step,), (), (), has_match=True, has_fallback=False
    )
    problems, _ = review([written], Names((), ("carrier",)), Illegible(names=False, gotos=False, texts=()))
    assert [str(problem) for problem in problems] == [
        'd.yaml:1:1: routes[0].steps[0].dial.trunk: there is no such trunk, got "carier"; did you mean "carrier"?'
    ]
