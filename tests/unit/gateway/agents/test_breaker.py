"""A breaker: when it opens, who probes, and what calls from before say of now."""

from __future__ import annotations

from gateway.agents.breaker import Attempt, Breaker


def begun(breaker: Breaker, now_s: float) -> Attempt:
    attempt = breaker.begin(now_s)
    assert attempt is not None
    return attempt


def opened() -> Breaker:
    breaker = Breaker(2, 30.0)
    assert not breaker.failed(begun(breaker, 0.0), 0.0)
    assert breaker.failed(begun(breaker, 1.0), 1.0)
    return breaker


def test_it_opens_after_failures_in_a_row() -> None:
    breaker = Breaker(2, 30.0)
    breaker.failed(begun(breaker, 0.0), 0.0)
    breaker.succeeded(begun(breaker, 0.0))
    breaker.failed(begun(breaker, 0.0), 0.0)
    assert breaker.state == "closed"
    breaker.failed(begun(breaker, 0.0), 0.0)
    assert (breaker.state, breaker.begin(29.9), breaker.wait_s(20.0)) == ("open", None, 10.0)


def test_one_call_probes_and_closes_it() -> None:
    breaker = opened()
    probe = begun(breaker, 31.0)
    assert (probe.is_probe, breaker.state, breaker.begin(31.0)) == (True, "probing", None)
    breaker.succeeded(probe)
    assert (breaker.state, breaker.failed_in_a_row) == ("closed", 0)


def test_a_probe_that_fails_opens_it_again() -> None:
    breaker = opened()
    assert breaker.failed(begun(breaker, 31.0), 40.0)
    assert (breaker.state, breaker.begin(69.0)) == ("open", None)
    assert begun(breaker, 70.0).is_probe


def test_calls_from_before_say_nothing_about_now() -> None:
    """A call that began while it worked neither closes it, nor ends the probe, nor makes another one possible."""
    breaker = Breaker(1, 30.0)
    old = [begun(breaker, 0.0) for _ in range(4)]
    breaker.failed(old[0], 0.0)
    breaker.succeeded(old[1])
    assert breaker.state == "open"
    probe = begun(breaker, 30.0)
    breaker.left(old[1])
    assert not breaker.failed(old[2], 31.0)
    breaker.succeeded(old[3])
    assert (breaker.state, breaker.begin(61.0)) == ("probing", None)
    breaker.succeeded(probe)
    assert not begun(breaker, 61.0).is_probe, "it is closed"


def test_a_probe_whose_caller_left_is_followed_by_another() -> None:
    breaker = opened()
    breaker.left(begun(breaker, 31.0))
    assert breaker.state == "open"
    assert begun(breaker, 31.0).is_probe
