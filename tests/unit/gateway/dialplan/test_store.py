"""The plan in force."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from gateway.dialplan.store import PlanStore
from gateway.settings import DialplanError

if TYPE_CHECKING:
    from pathlib import Path

GOOD = "routes: [{name: %s, match: {any: true}, steps: [hangup]}]"


def test_reload_takes_over_a_good_plan_and_keeps_the_old_beside_a_bad_one(tmp_path: Path) -> None:
    path = tmp_path / "d.yaml"
    path.write_text(GOOD % "one")
    store = PlanStore([path], agents=())
    first = store.plan
    assert first.routes[0].name == "one"

    path.write_text(GOOD % "two" + "\nfoo: 1")
    assert [str(problem) for problem in store.reload()] == [
        f"{path}:2:1: foo: there is no such key; use one of version, routes"
    ]
    assert store.plan is first

    path.unlink()
    assert "cannot read the file" in str(store.reload()[0])
    assert store.plan is first

    path.write_text(GOOD % "two")
    assert store.reload() == ()
    assert store.plan.routes[0].name == "two"
    assert first.routes[0].name == "one"


def test_a_plan_that_became_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "d.yaml"
    path.write_text(GOOD % "one")
    store = PlanStore([path], agents=())
    path.unlink()
    os.mkfifo(path)
    assert "cannot read the file: it is a pipe, not a file" in str(store.reload()[0])
    assert store.plan.routes[0].name == "one"


def test_there_must_be_a_first_plan(tmp_path: Path) -> None:
    with pytest.raises(DialplanError):
        PlanStore([tmp_path / "gone.yaml"], agents=())


def test_warnings_are_those_of_the_plan_in_force(tmp_path: Path) -> None:
    path = tmp_path / "d.yaml"
    path.write_text(
        "routes: [{name: a, match: {any: true}, steps: [hangup]}, {name: b, match: {to: x}, steps: [hangup]}]"
    )
    store = PlanStore([path], agents=())
    assert len(store.warnings) == 1
    path.write_text(GOOD % "a")
    store.reload()
    assert not store.warnings
