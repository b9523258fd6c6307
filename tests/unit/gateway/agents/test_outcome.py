"""What an agent may return, and within what bounds."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.agents import AgentFailedError, AgentUnavailableError, Done, GoTo, TransferTo
from gateway.agents.errors import is_retryable
from gateway.agents.outcome import DONE, MAX_RESULTS, merged, outcome_of


def test_results_are_a_copy_that_nobody_changes() -> None:
    mine = {"name": "Ada"}
    outcome = Done(mine)
    mine["name"] = "Bob"
    assert outcome.results == {"name": "Ada"}
    with pytest.raises(TypeError):
        outcome.results["name"] = "Eve"  # type: ignore[index]


@pytest.mark.parametrize(
    ("results", "fault", "message"),
    [
        ({"n": 5}, TypeError, "the result 'n' is int: write it as text"),
        ({5: "n"}, TypeError, "the name of a result is int: give text"),
        ([("n", "5")], TypeError, "results are list: give a mapping of text to text"),
        ({"": "x"}, ValueError, "the name of a result has 0 characters: give 1 to 64"),
        ({"n" * 65: "x"}, ValueError, "the name of a result has 65 characters: give 1 to 64"),
        ({"n": "x" * 1025}, ValueError, "the result 'n' has 1025 characters: give 1024 at most"),
        ({str(number): "" for number in range(33)}, ValueError, "there are 33 results: give 32 at most"),
    ],
)
def test_results_are_bounded(results: Any, fault: type[Exception], message: str) -> None:
    for make in (Done, lambda found: GoTo("a", found), lambda found: TransferTo("1", found)):
        with pytest.raises(fault) as caught:
            make(results)
        assert str(caught.value) == message


@pytest.mark.parametrize("nowhere", ["", "x" * 1025, None])
def test_a_route_and_a_target_are_text(nowhere: Any) -> None:
    for make in (GoTo, TransferTo):
        with pytest.raises((TypeError, ValueError), match=r"the (route|target) "):
            make(nowhere)


def test_what_is_no_outcome_is_refused() -> None:
    assert outcome_of(None) is DONE
    assert outcome_of(GoTo("a")) == GoTo("a")
    with pytest.raises(TypeError, match="run returned dict, which is not an outcome: return None, Done"):
        outcome_of({"route": "a"})


def test_later_results_count_and_there_is_an_end_to_them() -> None:
    both = merged({"a": "1", "b": "1"}, {"a": "2"})
    assert dict(both) == {"b": "1", "a": "2"}
    many = {str(number): "" for number in range(MAX_RESULTS)}
    assert list(merged(both, many)) == list(many)


def test_an_exception_says_whether_trying_again_can_help() -> None:
    busy, broken = AgentUnavailableError("busy"), RuntimeError("broken")
    assert is_retryable(busy)
    assert not is_retryable(broken)
    assert not is_retryable(AgentUnavailableError("gone", retryable=False))
    assert is_retryable(ExceptionGroup("both", [busy, busy]))
    assert not is_retryable(ExceptionGroup("both", [busy, broken]))
    assert str(AgentFailedError("a", "raised", "x", retryable=True)) == (
        "agent 'a' failed (raised): x; a later call may work"
    )
