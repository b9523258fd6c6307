import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sip.registration import (
    REGISTERING,
    Patience,
    Registration,
    State,
    answered,
    attempted,
    connection_lost,
    ran_out,
)

PATIENCE = Patience(first_s=2.0, max_s=60.0)


def answer(before: Registration, code: int, *, wanted: bool = True, **facts: int | None) -> Registration:
    return answered(
        before,
        code=code,
        reason="Reason",
        expires_s=facts.get("expires_s") or 0,
        retry_after_s=facts.get("retry_after_s"),
        patience=PATIENCE,
        wanted=wanted,
    )


def test_a_200_with_expires_is_registered() -> None:
    now = answer(REGISTERING, 200, expires_s=300)
    assert now == Registration(State.REGISTERED, expires_s=300, next_in_s=240)


def test_a_200_without_expires_is_unregistered_when_that_was_asked_for() -> None:
    assert answer(REGISTERING, 200, wanted=False) == Registration(State.UNREGISTERED)
    assert answer(REGISTERING, 200, wanted=False, expires_s=60).state is State.REGISTERED


def test_a_200_that_grants_nothing_is_a_failure_and_tried_again() -> None:
    waits = []
    now = answer(REGISTERING, 200, expires_s=300)
    for _ in range(3):
        now = answer(attempted(now), 200)
        assert now.state is State.FAILED
        assert "registered nothing" in now.why
        waits.append(now.next_in_s)
    assert waits == [2.0, 4.0, 8.0]


@pytest.mark.parametrize(("code", "fix"), [(401, "password"), (403, "carrier"), (408, "firewall"), (503, "again")])
def test_a_failure_says_what_would_fix_it(code: int, fix: str) -> None:
    now = answer(REGISTERING, code)
    assert now.state is State.FAILED
    assert str(code) in now.why
    assert fix in now.why


def test_attempts_back_off_to_the_limit() -> None:
    waits = []
    now = REGISTERING
    for _ in range(8):
        now = answer(now, 503)
        waits.append(now.next_in_s)
    assert waits == [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]


def test_a_refused_account_knocks_more_slowly() -> None:
    assert answer(REGISTERING, 403).next_in_s == 8.0
    assert answer(REGISTERING, 401).next_in_s == 8.0


def test_retry_after_is_obeyed_and_never_hammered() -> None:
    assert answer(REGISTERING, 503, retry_after_s=17).next_in_s == 17.0
    assert answer(REGISTERING, 503, retry_after_s=0).next_in_s == 2.0


def test_retry_after_is_obeyed_for_an_hour_and_the_rest_is_told() -> None:
    assert answer(REGISTERING, 503, retry_after_s=3600).why == answer(REGISTERING, 503).why
    never = answer(REGISTERING, 503, retry_after_s=999_999_999)
    assert never.next_in_s == 3600.0
    assert "999999999 s" in never.why
    patient = Patience(first_s=7200.0, max_s=7200.0)
    late = answered(REGISTERING, code=503, reason="Busy", expires_s=0, retry_after_s=5000, patience=patient)
    assert late.next_in_s == 7200.0


def test_a_name_without_an_address_is_no_answer_of_a_registrar() -> None:
    reason = 'DNS "Name Error" (PJLIB_UTIL_EDNS_NXDOMAIN)'
    failed = answered(REGISTERING, code=502, reason=reason, expires_s=0, retry_after_s=None, patience=PATIENCE)
    assert failed.why == (
        "no address was found for the registrar; check `registrar` and `proxy`, and this machine's name servers or "
        f"`nameservers` ({reason})"
    )


def test_success_forgets_failures() -> None:
    failed = answer(answer(REGISTERING, 503), 503)
    assert failed.failures == 2
    again = answer(answer(failed, 200, expires_s=60), 503)
    assert again.failures == 1


@given(codes=st.lists(st.integers(200, 699), max_size=2000))
def test_every_failure_is_tried_again_within_the_limit(codes: list[int]) -> None:
    now = REGISTERING
    for code in codes:
        now = answer(now, code, expires_s=60)
        assert (now.state is State.FAILED) == (code >= 300)
        if now.state is State.FAILED:
            assert now.next_in_s is not None
            assert PATIENCE.first_s <= now.next_in_s <= PATIENCE.max_s


@pytest.mark.parametrize(("expires_s", "renew_in_s"), [(3600, 3540), (300, 240), (100, 50), (8, 4), (1, 0.5)])
def test_it_is_renewed_in_good_time(expires_s: int, renew_in_s: float) -> None:
    assert answer(REGISTERING, 200, expires_s=expires_s).next_in_s == renew_in_s


def test_a_registrar_that_grants_years_is_asked_again_within_a_day() -> None:
    now = answer(REGISTERING, 200, expires_s=4294967294)
    assert (now.expires_s, now.next_in_s) == (86400, 86340)


def test_a_renewal_under_way_leaves_it_registered_until_its_time_is_over() -> None:
    renewing = attempted(answer(REGISTERING, 200, expires_s=60))
    assert (renewing.state, renewing.next_in_s) == (State.REGISTERED, None)
    late = ran_out(renewing)
    assert (late.state, late.expires_s) == (State.REGISTERING, 0)
    assert "not renewed in time" in late.why


def test_another_attempt_keeps_what_went_wrong() -> None:
    failed = answer(answer(REGISTERING, 408), 408)
    again = attempted(failed)
    assert (again.state, again.failures, again.why) == (State.REGISTERING, 2, failed.why)
    assert again.next_in_s is None
    assert ran_out(again) == again


def lose(before: Registration, held_s: float = 0.1) -> Registration:
    return connection_lost(before, held_s=held_s, patience=PATIENCE)


def test_a_lost_connection_is_made_anew_at_once_and_then_with_patience() -> None:
    waits = []
    now = answer(REGISTERING, 200, expires_s=300)
    for _ in range(8):
        now = lose(now)
        assert now.state is State.REGISTERING
        waits.append(now.next_in_s)
        now = answer(attempted(now), 200, expires_s=300)
    assert waits == [0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]


def test_a_connection_that_had_lasted_is_lost_for_the_first_time() -> None:
    now = answer(attempted(lose(answer(REGISTERING, 200, expires_s=300))), 200, expires_s=300)
    assert lose(now, held_s=61).next_in_s == 0
    renewed = answer(attempted(now), 200, expires_s=300)
    assert lose(renewed).next_in_s == 0


def test_a_connection_lost_while_an_attempt_is_due_or_under_way_adds_none() -> None:
    for before in (REGISTERING, answer(REGISTERING, 503), Registration(State.UNREGISTERED)):
        assert lose(before) == before
    assert lose(attempted(answer(REGISTERING, 200, expires_s=300))).next_in_s is None
