"""A trunk over TCP whose connection is lost in mid-call: its calls can still be reached."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.gateway_process import GatewayProcess, Json, Setup, to_agent
from tests.e2e.listening import assert_heard
from tests.e2e.peers.call import Manner
from tests.e2e.peers.caller import Caller
from tests.e2e.peers.kamailio import Kamailio
from tests.e2e.peers.process import wait_until
from tests.e2e.peers.sip_message import direction
from tests.e2e.peers.sound import tone

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.e2e.peers.call import Call
    from tests.e2e.peers.sip_message import SipMessage

NUMBER = "+15550102"


def asked(call: Call) -> list[SipMessage]:
    """What the gateway has asked for in the call."""
    return [one for one in call.messages if one.status is None and not one.sent and one.method != "ACK"]


def told(call: Call) -> list[SipMessage]:
    """What the gateway has sent in the call with another Contact than that of its answer, each request once."""
    before = call.wait_status(200).contact_uri
    return list({one.cseq: one for one in asked(call) if one.contact_uri not in {None, before}}.values())


def trunk_at(kamailio: Kamailio, **others: Json) -> Json:
    """A trunk that is renewed every two seconds."""
    return {
        "registrar": kamailio.address,
        "user": "gateway",
        "password": "secret",
        "expires": "4s",
        "retry": {"first": "300ms", "max": "600ms"},
        **others,
    }


CROSSED: Mapping[str, Sequence[int]] = {"INVITE": [491, 500], "UPDATE": [491]}
UNKNOWN: Mapping[str, Sequence[int]] = {"UPDATE": [405]}


@pytest.mark.parametrize(
    ("transport", "by", "refusals"),
    [
        ("tcp", ["INVITE"], {}),
        ("tcp", ["UPDATE"], {}),
        ("tcp", ["INVITE", "INVITE", "INVITE"], CROSSED),
        ("tcp", ["UPDATE", "UPDATE"], CROSSED),
        ("tcp", ["UPDATE", "INVITE"], UNKNOWN),
        ("udp", [], {}),
    ],
)
def test_a_call_outlives_a_restart_of_its_proxy(
    transport: str, by: list[str], refusals: Mapping[str, Sequence[int]]
) -> None:
    """The Contact of the call named the port of a connection that is gone: the caller is told the new one.

    Who cannot take it just now is told again (RFC 3261 section 14.1), who does not know UPDATE by re-INVITE.
    """
    with Kamailio({"gateway": "secret"}, {NUMBER: "gateway"}) as kamailio:
        trunk = trunk_at(kamailio, transport=transport)
        with (
            GatewayProcess(Setup((to_agent(NUMBER, "echo"),), trunks={"carrier": trunk})) as gateway,
            Caller((kamailio.host, kamailio.port)) as caller,
        ):
            kamailio.wait_registered("gateway")
            allowed = "INVITE, ACK, BYE, CANCEL, OPTIONS" + (", UPDATE" if "UPDATE" in by else "")
            call = caller.dial(NUMBER, Manner(headers={"Allow": allowed}, refusals=refusals))
            call.wait_answered()
            call.send(tone(1000, 200))
            assert_heard(call.wait_heard(500), [1000])
            kamailio.restart()
            kamailio.wait_registered("gateway", 10)
            if transport == "tcp":
                gateway.wait_event("trunk.lost")
                gateway.wait_trunk("registered")
                wait_until(lambda: len(told(call)) == len(by), "the new Contact", 10)
                assert [one.method for one in told(call)] == by
            # An ACK may come behind the next INVITE of either side, which is refused then (RFC 3261 section 14.2).
            wait_until(lambda: direction(call.reinvite("sendonly").body) == "recvonly", "the hold", 5)
            wait_until(lambda: call.reinvite("sendrecv").status == 200, "the end of the hold", 5)
            back_s = time.monotonic()
            call.send(tone(440, 400))
            assert_heard(call.wait_heard(700, back_s), [440])
            assert call.hangup() == 200
            record = gateway.record(call.call_id)
            assert (record["cause"], record["trunk"]) == ("caller-hung-up", "carrier")


@pytest.mark.parametrize("lost", ["first", "afterwards"])
def test_calls_are_told_where_we_are_however_the_refreshes_fail(lost: str) -> None:
    """The connection is lost before, or after, the registrar has refused to renew what was registered over it."""
    with Kamailio({"gateway": "secret"}, {NUMBER: "gateway"}) as kamailio:
        setup = Setup((to_agent(NUMBER, "echo"),), trunks={"carrier": trunk_at(kamailio, transport="tcp")})
        with GatewayProcess(setup) as gateway, Caller((kamailio.host, kamailio.port)) as caller:
            kamailio.wait_registered("gateway")
            call = caller.dial(NUMBER, Manner(headers={"Allow": "INVITE, ACK, BYE, UPDATE"}))
            call.wait_answered()
            call.send(tone(1000, 200))
            assert_heard(call.wait_heard(500), [1000])  # the ACK has come
            if lost == "first":
                kamailio.stop()
                gateway.wait_event("trunk.lost")
                gateway.wait_trunk("failed", "503")
            else:
                kamailio.refuse(500)
                gateway.wait_trunk("failed", "500")
                assert not asked(call)
            kamailio.restart()
            gateway.wait_trunk("registered")
            wait_until(lambda: told(call), "the new Contact", 10)
            assert call.hangup() == 200
