"""How a fault is told."""

from __future__ import annotations

import pytest

from gateway.settings.problem import ConfigurationError, Place, Problem, choice, shown


def test_a_problem_is_one_line() -> None:
    problem = Problem("g.yaml", Place(3, 7), "limits.calls", "not a whole number", '"many"', "write digits only")
    assert str(problem) == 'g.yaml:3:7: limits.calls: not a whole number, got "many"; write digits only'
    assert str(Problem("g.yaml", None, "", "gone")) == "g.yaml: gone"


def test_problems_come_in_reading_order_once_each_files_as_given() -> None:
    late, early, other = (Problem(name, Place(line, 1), "", "x") for name, line in (("b", 9), ("b", 2), ("a", 1)))
    assert ConfigurationError([late, early, other, late]).problems == (early, late, other)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", '"a"'),
        ("a\nb\x1b[31m", '"a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}[31m"'),
        ("x" * 100, f'"{"x" * 57}..."'),
        (None, "nothing"),
        ({}, "an empty mapping"),
        ([1], "a list"),
    ],
)
def test_values_are_shown_on_one_short_line(value: object, text: str) -> None:
    assert shown(value) == text


def test_choice_names_the_nearest_or_all() -> None:
    assert choice(["play", "pause"], "plya") == 'did you mean "play"?'
    assert choice(["G722", "PCMU"], "pcmu") == 'did you mean "PCMU"?'
    assert choice(["udp", "tcp"], "carrier-pigeon") == "use one of udp, tcp"
    assert choice([], "x") == "none is allowed here"
    assert choice(["openai-realtime", "echo"], "OpenAI") == 'did you mean "openai-realtime"?'
    assert choice(["rtp_ports", "rtp_address"], "rtp") == "use one of rtp_ports, rtp_address"
