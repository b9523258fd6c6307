"""Damaged session descriptions from callers who do everything else right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.peers.call import Manner
from tests.e2e.peers.caller import Caller
from tests.hostile.budget import dice, rounds
from tests.hostile.corpus import RICH_SDP, SDP
from tests.hostile.mutation import Mutator

if TYPE_CHECKING:
    from tests.e2e.gateway_process import GatewayProcess
    from tests.e2e.peers.call import Call
    from tests.hostile.canary import Canary

CALLS_PER_S = 20
AT_ONCE = 40


def test_offers(gateway: GatewayProcess, canary: Canary) -> None:
    """Some are refused, some are answered and hung up; each call ends within its own dialog."""
    mutator = Mutator(dice("offers"))
    with Caller(gateway.address) as caller:
        calls: list[Call] = []
        for number in rounds(CALLS_PER_S):
            sdp = mutator.mutate((SDP, RICH_SDP)[number % 2].replace("\n", "\r\n").encode())
            text = sdp.decode("utf-8", "surrogateescape").replace("\r\n", "\n")
            calls.append(caller.dial("600", Manner(sdp=text, speak=False)))
            if len(calls) > AT_ONCE:
                end(caller, calls.pop(0))
        for call in calls:
            end(caller, call)


def end(caller: Caller, call: Call) -> None:
    """Wait for the answer that every INVITE gets, hang up, and free its port: in an hour, there are 72,000."""
    if call.ended_by is None and call.wait_final().status == 200:
        call.hangup()
    caller.forget(call)


def test_new_offers_within_a_call(gateway: GatewayProcess, canary: Canary) -> None:
    mutator = Mutator(dice("re-offers"))
    with Caller(gateway.address) as caller:
        call = caller.dial("600")
        call.wait_answered()
        for number in rounds(CALLS_PER_S):
            if call.ended_by is not None:
                caller.forget(call)
                call = caller.dial("600")
                call.wait_answered()
            sdp = mutator.mutate((SDP, RICH_SDP)[number % 2].replace("\n", "\r\n").encode())
            text = sdp.decode("utf-8", "surrogateescape").replace("\r\n", "\n")
            call.request(("INVITE", "UPDATE")[number // 2 % 2], body=text)
