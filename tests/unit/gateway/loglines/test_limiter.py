"""A flood of lines is counted, and hides nothing else."""

from __future__ import annotations

import pytest

from gateway.loglines.limiter import KIND_BURST, KIND_PER_S, KINDS_MAX, TOTAL_BURST, TOTAL_PER_S, Limiter


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limiter(clock: Clock) -> Limiter:
    return Limiter(clock)


def admitted(limiter: Limiter, kind: str, lines: int) -> int:
    return sum(limiter.admits(kind) for _ in range(lines))


def test_a_flood_of_one_kind_is_cut_to_its_budget(limiter: Limiter, clock: Clock) -> None:
    assert admitted(limiter, "flood", 5000) == KIND_BURST
    clock.now_s += 10
    assert admitted(limiter, "flood", 5000) == 10 * KIND_PER_S
    assert limiter.take_dropped() == {"flood": 10_000 - KIND_BURST - 10 * KIND_PER_S}
    assert not limiter.dropped


def test_it_hides_no_other_kind(limiter: Limiter, clock: Clock) -> None:
    for _ in range(60):
        clock.now_s += 1
        admitted(limiter, "flood", 5000)
        assert admitted(limiter, "seldom", 5) == 5
    assert set(limiter.take_dropped()) == {"flood"}


def test_many_floods_together_have_one_budget(limiter: Limiter, clock: Clock) -> None:
    kinds = [f"flood{number}" for number in range(50)]
    assert sum(admitted(limiter, kind, 5000) for kind in kinds) <= TOTAL_BURST + len(kinds)
    clock.now_s += 0.5
    assert sum(admitted(limiter, kind, 5000) for kind in kinds) <= TOTAL_PER_S
    assert admitted(limiter, "seldom", 1) == 1


def test_what_could_not_be_told_is_told_later(limiter: Limiter) -> None:
    admitted(limiter, "flood", 300)
    limiter.give_back(limiter.take_dropped())
    admitted(limiter, "flood", 10)
    assert limiter.take_dropped() == {"flood": 110}


@pytest.mark.slow
def test_kinds_without_end_take_no_memory_without_end(limiter: Limiter, clock: Clock) -> None:
    admitted_lines = sum(limiter.admits(f"frame {number}") for number in range(100_000))
    assert admitted_lines <= TOTAL_BURST + KINDS_MAX
    assert len(limiter.take_dropped()) <= KINDS_MAX + 1
    clock.now_s += 3600
    assert admitted(limiter, "new", 100) == 100
    assert limiter.take_dropped() == {}
