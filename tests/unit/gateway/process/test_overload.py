"""When new calls are refused because the live ones need all there is."""

from __future__ import annotations

from gateway.process.overload import Overload


def observe(overload: Overload, *late_ms: float, saturated: bool = False) -> bool:
    for one in late_ms:
        overload.observe(one, saturated=saturated)
    return overload.active


def test_one_pause_of_the_machine_is_no_overload() -> None:
    overload = Overload()
    assert not observe(overload, 1, 4000, 1, 1, 1, 90, 60, 1)


def test_half_of_two_seconds_is() -> None:
    overload = Overload()
    assert not observe(overload, 50, 1, 50, 1, 50, 1)
    assert observe(overload, 50)


def test_what_was_long_ago_does_not_count() -> None:
    overload = Overload()
    observe(overload, 50, 50, 50, *[1] * 8)
    assert not observe(overload, 50)


def test_a_thread_without_time_left_is_overload_however_early_the_loop_is() -> None:
    overload = Overload()
    assert observe(overload, 1, 1, 1, 1, saturated=True)


def test_calls_are_taken_again_after_five_good_seconds() -> None:
    overload = Overload()
    observe(overload, *[50] * 4)
    assert observe(overload, *[1] * 19, 50, *[1] * 19)
    assert not observe(overload, 1)
