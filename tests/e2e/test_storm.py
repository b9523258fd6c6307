"""Many strangers at once, and one who is refused: nobody's call suffers, and everybody gets the right answer."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from tests.e2e.gateway_process import GatewayProcess, Setup, to_agent
from tests.e2e.listening import assert_heard
from tests.e2e.peers.caller import Caller
from tests.e2e.peers.process import wait_until
from tests.e2e.peers.sound import tone
from tests.e2e.peers.storm import Attempt, Storm

if TYPE_CHECKING:
    from tests.e2e.peers.call import Call

LIMIT = 20
LIVE = 13


def statuses(attempts: list[Attempt]) -> Counter[int | None]:
    return Counter(attempt.answer.status if attempt.answer is not None else None for attempt in attempts)


def assert_echoes(call: Call) -> None:
    since_s = time.monotonic()
    call.send(tone(440, 300))
    assert_heard(call.wait_heard(1000, since_s), [440])


def test_a_refused_invite_harms_no_other() -> None:
    """A refusal that nobody acknowledges, and the next caller right behind it, until PJSUA's ids have come round."""
    setup = Setup((to_agent("600", "echo"), to_agent("601", "tone")), limits={"calls": LIMIT})
    with GatewayProcess(setup) as gateway, Caller(gateway.address) as caller, Storm(gateway.address) as storm:
        calls = [caller.dial("600") for _ in range(LIVE)]
        for call in calls:
            call.wait_answered()
        for _ in range(130):
            pair = storm.blow([Attempt("nobody", ack=False), Attempt("601", ack=True)])
            assert [attempt.answer.status for attempt in pair if attempt.answer is not None] == [404, 200]
        assert_echoes(calls[0])
        for call in calls:
            assert call.hangup() == 200


def test_at_the_limit_everybody_is_told_when_to_come_back() -> None:
    """Five hundred INVITEs a second, half of whose senders never acknowledge: PJSUA's own places run out, too."""
    setup = Setup((to_agent("600", "echo"),), limits={"calls": LIMIT, "retry_after": "7s"})
    with GatewayProcess(setup) as gateway, Caller(gateway.address) as caller, Storm(gateway.address) as storm:
        calls = [caller.dial("600") for _ in range(LIMIT)]
        for call in calls:
            call.wait_answered()
        before = gateway.number("calls", "refused")
        attempts = storm.blow([Attempt("600", ack=number % 2 == 0) for number in range(1000)], every_s=0.002)
        assert statuses(attempts) == {503: 1000}
        assert {attempt.answer.header("Retry-After") for attempt in attempts if attempt.answer is not None} == {"7"}
        assert gateway.number("calls", "live") == LIMIT
        wait_until(lambda: gateway.number("calls", "refused") - before >= 1000, "all are counted", 5)
        assert_echoes(calls[0])
        for call in calls:
            assert call.hangup() == 200
        again = caller.dial("600")
        again.wait_answered()
        assert again.hangup() == 200
