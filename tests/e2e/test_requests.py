"""What else may come over SIP than a plain call: strangers' requests, late and changed offers, refusals by PJSIP."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.gateway_process import GatewayProcess, Json, Object, Setup, to_agent
from tests.e2e.listening import assert_heard
from tests.e2e.peers.call import Manner
from tests.e2e.peers.caller import Caller
from tests.e2e.peers.process import LOOPBACK, wait_until
from tests.e2e.peers.sip_message import payload_types
from tests.e2e.peers.sound import tone

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUTES: tuple[Object, ...] = (
    to_agent("echo", "echo"),
    to_agent("tone", "tone"),
    {"name": "early", "match": {"to": "early"}, "steps": [{"ring": {"early": True}}, {"play": "tone.wav"}]},
    {
        "name": "waits",
        "match": {"to": "waits"},
        "steps": [{"ring": {"early": True}}, {"pause": "2500ms"}, {"agent": "echo"}],
    },
)
NO_MEDIA_S = 2


@pytest.fixture(scope="module")
def gateway() -> Iterator[GatewayProcess]:
    setup = Setup(
        ROUTES,
        sounds={"tone.wav": tone(700, 600)},
        media={"no_media_timeout": f"{NO_MEDIA_S}s"},
        sip={"codecs": ["G722", "PCMU", "PCMA"]},
    )
    with GatewayProcess(setup) as running:
        yield running


@pytest.mark.parametrize("method", ["SUBSCRIBE", "MESSAGE", "REFER", "REGISTER", "PUBLISH", "NOTIFY", "HELLO"])
def test_a_strangers_request_is_refused(caller: Caller, method: str) -> None:
    headers = {"Event": "presence", "Refer-To": "<sip:victim@127.0.0.9>"}
    answer = caller.request(method, "600", headers)
    assert answer.status == 405
    allowed = {word.strip() for word in (answer.header("Allow") or "").split(",")}
    assert allowed == {"INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "PRACK", "UPDATE", "INFO"}


def test_an_invite_that_pjsip_refuses_once_it_is_a_call_is_told_once(gateway: GatewayProcess, caller: Caller) -> None:
    """422 (RFC 4028 section 6): it leaves a record, and no other line."""
    call = caller.dial("echo", Manner(headers={"Supported": "timer", "Session-Expires": "60"}))
    assert call.wait_final().status == 422
    assert gateway.record(call.call_id)["code"] == 422
    assert not gateway.events("call.refused", call_id=call.call_id)


@pytest.mark.parametrize("method", ["BYE", "INFO", "UPDATE", "PRACK"])
def test_a_request_of_no_dialog(caller: Caller, method: str) -> None:
    assert caller.request(method, "600").status == 481


def test_requests_within_a_call(caller: Caller) -> None:
    call = caller.dial("echo")
    call.wait_answered()
    assert call.request("INFO").status == 200
    assert call.request("OPTIONS").status == 200
    assert call.request("HELLO").status == 405
    assert call.request("NOTIFY", {"Event": "talk", "Subscription-State": "active"}).status in {405, 481}
    assert call.hangup() == 200


def test_nobody_makes_the_gateway_dial(gateway: GatewayProcess, caller: Caller) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as victim:
        victim.bind((LOOPBACK, 0))
        victim.settimeout(1)
        call = caller.dial("echo")
        call.wait_answered()
        target = f"<sip:premium@{LOOPBACK}:{victim.getsockname()[1]}>"
        assert call.request("REFER", {"Refer-To": target}).status == 603
        with pytest.raises(TimeoutError):
            victim.recv(9000)
    assert call.hangup() == 200
    assert gateway.process.running


def test_nobody_takes_over_a_call(gateway: GatewayProcess, caller: Caller) -> None:
    call = caller.dial("tone")
    ok = call.wait_answered()
    mine = f"{call.call_id};to-tag={ok.to_tag};from-tag={(ok.header('From') or '').partition('tag=')[2]}"
    thief = caller.dial("echo", Manner(headers={"Replaces": mine}))
    assert thief.wait_rejected().status == 603
    assert_heard(call.wait_heard(300), [440])
    assert call.hangup() == 200
    assert gateway.process.running


@pytest.mark.parametrize("codecs", [(9, 0, 101), (0, 9, 101)])
def test_a_new_offer_does_not_change_the_rate(gateway: GatewayProcess, caller: Caller, codecs: tuple[int, ...]) -> None:
    call = caller.dial("echo")
    call.wait_answered()
    answer = call.reinvite(codecs=codecs)
    assert answer.status == 200
    assert payload_types(answer.body)[0] == 0
    since_s = time.monotonic()
    call.send(tone(440, 400))
    assert_heard(call.wait_heard(700, since_s), [440])
    assert call.hangup() == 200
    assert gateway.record(call.call_id)["cause"] == "caller-hung-up"


def test_an_offer_of_another_rate_alone_is_refused_and_the_call_goes_on(
    gateway: GatewayProcess, caller: Caller
) -> None:
    call = caller.dial("echo")
    call.wait_answered()
    assert call.reinvite(codecs=(9,)).status == 488
    since_s = time.monotonic()
    call.send(tone(440, 400))
    assert_heard(call.wait_heard(700, since_s), [440])
    assert call.hangup() == 200
    assert gateway.record(call.call_id)["ended_by"] == "caller"


def test_late_offer(caller: Caller) -> None:
    call = caller.dial("echo", Manner(late_offer=True, codecs=(0,)))
    assert 0 in payload_types(call.wait_answered().body)
    call.send(tone(440, 400))
    assert_heard(call.wait_heard(700), [440])
    assert call.hangup() == 200


def test_a_late_offer_cannot_be_heard_early(caller: Caller) -> None:
    call = caller.dial("early", Manner(late_offer=True, codecs=(0,)))
    call.wait_status(180)
    call.wait_answered()
    assert_heard(call.wait_heard(500), [700])
    call.wait_ended()


def test_a_late_offer_that_requires_reliable_responses_is_answered_by_the_200(caller: Caller) -> None:
    """A reliable 180 would have to make the offer (RFC 3262 section 5)."""
    call = caller.dial("early", Manner(late_offer=True, codecs=(0,), headers={"Require": "timer, 100rel"}))
    assert 0 in payload_types(call.wait_answered().body)
    assert not [message for message in call.messages if message.status in {180, 183}]
    assert_heard(call.wait_heard(500), [700])
    call.wait_ended()


def test_a_merged_request_is_refused(gateway: GatewayProcess, caller: Caller) -> None:
    """The same INVITE that came over another proxy as well (RFC 3261 section 8.2.2.2)."""
    call = caller.dial("waits")
    call.wait_status(183)
    first = next(message for message in call.messages if message.method == "INVITE")
    via = first.header("Via") or ""
    caller.send_raw(first.wire().replace(via.encode(), via.replace("branch=z9hG4bK", "branch=z9hG4bKother").encode()))
    merged = call.wait_status(482)
    assert "z9hG4bKother" in (merged.header("Via") or "")
    assert gateway.number("calls", "live") == 1
    call.cancel()
    gateway.record(call.call_id)


def test_an_ack_without_an_answer_is_no_media(gateway: GatewayProcess, caller: Caller) -> None:
    call = caller.dial("echo", Manner(late_offer=True, answer_late=False))
    call.wait_answered()
    call.wait_ended()
    record = gateway.record(call.call_id)
    assert record["cause"] == "no-media"
    assert "ACK" in str(record["detail"]), "it did not wait for no_media_timeout"


def test_silence_before_the_answer_is_no_fault(gateway: GatewayProcess, caller: Caller) -> None:
    call = caller.dial("waits", Manner(phone=False))
    call.wait_status(183)
    answer = call.wait_answered()
    call.wait_ended()
    bye = next(message for message in call.messages if message.method == "BYE" and not message.sent)
    # The whole time counts from the ACK, which left after the answer had come; a timer may be a millisecond early.
    assert bye.time_s - answer.time_s > NO_MEDIA_S - 0.002
    record = gateway.record(call.call_id)
    assert (record["cause"], record["ended_by"]) == ("no-media", "network")


def test_what_pjsip_refuses_is_told(gateway: GatewayProcess, caller: Caller) -> None:
    before = gateway.number("calls", "refused")
    call = caller.dial("echo", Manner(codecs=(18,)))
    assert call.wait_rejected().status == 488
    told = gateway.wait_event("call.refused", call_id=call.call_id)
    assert "488" in str(told["why"])
    assert not [line for line in gateway.events("pjsip.said") if "verification" in str(line["text"])], "it is told once"
    wait_until(lambda: gateway.number("calls", "refused") == before + 1, "it is counted", 2)


BREAKS = """
from gateway.sip import endpoint

class Agent:
    async def run(self, call):
        pass

def broken(*_args, **_values):
    raise RuntimeError("nobody foresaw this")

{name} = broken
"""


@pytest.fixture
def breaking() -> Iterator[GatewayProcess]:
    """One that is not started yet, and may be at fault."""
    agents: dict[str, Json] = {"breaks": {"kind": "python", "class": "breaks:Agent", "directory": "."}}
    rings: Object = {"name": "rings", "match": {"to": "rings"}, "steps": ["ring", {"pause": "30s"}]}
    one = GatewayProcess(Setup((rings, to_agent("breaks", "breaks")), agents))
    yield one
    one.close()


@pytest.mark.parametrize("name", ["endpoint.incoming", "endpoint.SipCall"])
def test_an_invite_that_cannot_be_taken_is_answered_and_told(breaking: GatewayProcess, name: str) -> None:
    """A fault of our own, on the SIP thread: there is no object for the call."""
    (breaking.directory / "breaks.py").write_text(BREAKS.format(name=name))
    breaking.start()
    with Caller(breaking.address) as caller:
        call = caller.dial("rings")
        assert call.wait_rejected().status == 500
        assert "nobody foresaw" in str(breaking.wait_event("call.refused", call_id=call.call_id)["why"])
        wait_until(lambda: breaking.number("calls", "refused") == 1, "it is counted", 2)
        breaking.wait_idle()


def test_a_call_that_fails_as_soon_as_it_is_one_is_answered_and_recorded(breaking: GatewayProcess) -> None:
    """Its object was deleted on the thread of asyncio before, where PJSIP then waited for itself: nothing went on."""
    (breaking.directory / "breaks.py").write_text(BREAKS.format(name="endpoint.SipEndpoint._route"))
    breaking.start()
    with Caller(breaking.address) as caller:
        call = caller.dial("rings")
        assert call.wait_rejected().status == 500
        record = breaking.record(call.call_id)
        assert (record["cause"], record["code"]) == ("signalling-failed", 500)
        assert "nobody foresaw" in str(record["detail"])
        assert caller.request("OPTIONS").status == 200
        breaking.wait_idle()


def test_bytes_that_are_no_text_end_no_call_in_silence() -> None:
    route: Object = {"name": "a", "match": {"header": {"X-Tier": "regex:gold.*"}}, "steps": [{"agent": "echo"}]}
    with GatewayProcess(Setup((route,))) as gateway, Caller(gateway.address) as caller:
        call = caller.dial("600", Manner(headers={"X-Tier": "gol\udcff"}))
        assert call.wait_rejected().status == 404
