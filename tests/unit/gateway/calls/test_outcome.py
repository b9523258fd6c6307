"""Every end has somebody who did it, and every word of the dialplan's has a cause."""

from __future__ import annotations

import pytest

from gateway.calls.outcome import EndCause, Failure, cause_of
from gateway.dialplan import Why


@pytest.mark.parametrize("cause", EndCause)
def test_every_cause_has_a_doer(cause: EndCause) -> None:
    assert cause.ended_by
    assert cause.responsibility


@pytest.mark.parametrize("why", Why)
def test_every_word_of_the_dialplan_is_a_cause(why: Why) -> None:
    assert cause_of(why).value == why.value


def test_a_failure_in_a_line() -> None:
    assert str(Failure(EndCause.AGENT_BUSY, "no place")) == "agent-busy: no place"
    assert str(Failure(EndCause.AGENT_BUSY, "")) == "agent-busy"
