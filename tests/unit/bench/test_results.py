"""A published figure is the median of its runs, with the least and the most beside it."""

from __future__ import annotations

from bench.provenance import Json
from bench.results import merged, spread

RUNS: list[Json] = [
    {"calls": 10, "echo_ms": {"p50": 11.0, "p99": 30.0}, "failures": {}, "lost": 0, "samples": [1]},
    {"calls": 10, "echo_ms": {"p50": 13.0, "p99": 20.0}, "failures": {}, "lost": 1, "samples": [2]},
    {"calls": 10, "echo_ms": {"p50": 12.0, "p99": 90.0}, "failures": {}, "lost": 7, "samples": [3]},
]


def test_each_number_is_the_median_of_its_own_kind() -> None:
    assert merged(RUNS) == {
        "calls": 10,
        "echo_ms": {"p50": 12.0, "p99": 30.0},
        "failures": {},
        "lost": 1,
        "samples": [1],
    }


def test_the_spread_shows_the_worst_run_too() -> None:
    assert spread(RUNS) == {
        "calls": [10, 10],
        "echo_ms.p50": [11.0, 13.0],
        "echo_ms.p99": [20.0, 90.0],
        "lost": [0, 7],
    }


def test_one_run_is_its_own_median() -> None:
    assert merged([{"a": 1.5, "b": None}]) == {"a": 1.5, "b": None}
