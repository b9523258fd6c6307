import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sip.registration import REGISTERING, Patience, Registration, State, answered

PATIENCE = Patience(first_s=2.0, max_s=60.0)


def answer(before: Registration, code: int, **facts: int | None) -> Registration:
    return answered(
        before,
        code=code,
        reason="Reason",
        expires_s=facts.get("expires_s") or 0,
        retry_after_s=facts.get("retry_after_s"),
        patience=PATIENCE,
    )


def test_a_200_with_expires_is_registered() -> None:
    now = answer(REGISTERING, 200, expires_s=300)
    assert now == Registration(State.REGISTERED, expires_s=300)


def test_a_200_without_expires_is_unregistered() -> None:
    assert answer(REGISTERING, 200).state is State.UNREGISTERED


@pytest.mark.parametrize(("code", "mend"), [(401, "password"), (403, "carrier"), (408, "firewall"), (503, "again")])
def test_a_failure_says_what_would_mend_it(code: int, mend: str) -> None:
    now = answer(REGISTERING, code)
    assert now.state is State.FAILED
    assert str(code) in now.why
    assert mend in now.why


def test_attempts_back_off_to_the_limit() -> None:
    waits = []
    now = REGISTERING
    for _ in range(8):
        now = answer(now, 503)
        waits.append(now.retry_in_s)
    assert waits == [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]


def test_a_refused_account_knocks_more_slowly() -> None:
    assert answer(REGISTERING, 403).retry_in_s == 8.0
    assert answer(REGISTERING, 401).retry_in_s == 8.0


def test_retry_after_is_obeyed_and_never_hammered() -> None:
    assert answer(REGISTERING, 503, retry_after_s=17).retry_in_s == 17.0
    assert answer(REGISTERING, 503, retry_after_s=0).retry_in_s == 2.0


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
        if now.retry_in_s is not None:
            assert PATIENCE.first_s <= now.retry_in_s <= PATIENCE.max_s
