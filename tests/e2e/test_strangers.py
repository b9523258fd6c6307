"""Strangers who would be a trunk, or have its password's digest; and the trunk itself, which gets what is its own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.dns_server import DnsServer
from tests.e2e.gateway_process import GatewayProcess, Object, Setup, to_agent
from tests.e2e.peers.call import Manner
from tests.e2e.peers.caller import Caller
from tests.e2e.peers.process import free_port, wait_until
from tests.e2e.peers.registrar import Registrar
from tests.e2e.peers.sip_message import SipMessage, compose

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.peers.call import Call

CARRIER, PEER, STRANGER = "127.0.0.5", "127.0.0.6", "127.0.0.66"
REALM = "carrier.example"
CHALLENGE = f'Digest realm="{REALM}", nonce="abc", algorithm=MD5'
ROUTES: tuple[Object, ...] = (
    {"name": "trunk", "match": {"to": "600", "trunk": "carrier"}, "steps": ["answer", {"agent": "tone"}]},
    to_agent("600", "echo"),
    {"name": "short", "match": {"to": "601"}, "steps": ["answer", "hangup"]},
    {"name": "all", "match": {"to": "regex:.*"}, "steps": ["answer", {"agent": "echo"}]},
)


def ask_once(request: SipMessage) -> list[tuple[str, str]]:
    """A proper registrar's challenge."""
    return [] if request.header("Authorization") else [("WWW-Authenticate", CHALLENGE)]


@pytest.fixture(scope="module")
def carrier() -> Iterator[Registrar]:
    with Registrar("udp", 300, host=CARRIER, challenge=ask_once) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(carrier: Registrar) -> Iterator[GatewayProcess]:
    trunks: Object = {
        "carrier": {"registrar": carrier.address, "user": "gateway", "password": "secret"},
        "peer": {"register": False, "sources": [PEER]},
    }
    with GatewayProcess(Setup(ROUTES, trunks=trunks)) as running:
        running.wait_trunk("registered")
        yield running


@pytest.fixture(scope="module")
def line(carrier: Registrar, gateway: GatewayProcess) -> str:
    """The trunk's token, which only its carrier is shown."""
    found = re.search(r";line=([0-9a-f]+)", carrier.requests[-1].header("Contact") or "")
    assert found is not None
    return found[1]


def trunk_of(gateway: GatewayProcess, call: Call) -> object:
    """Which trunk its record says a call came over, once it is over."""
    assert call.hangup() == 200
    return gateway.record(call.call_id).get("trunk")


def received(call: Call) -> str:
    """All that came, but for what only repeats the caller's own words."""
    text = "\n".join(message.text for message in call.messages if not message.sent)
    return re.sub(r"^(To|From):.*$", "", text, flags=re.MULTILINE)


def digests(call: Call) -> list[SipMessage]:
    """What came with a digest in it."""
    return [message for message in call.messages if not message.sent and "Authorization" in message.head]


def refreshes(call: Call) -> list[SipMessage]:
    """The re-INVITEs that came."""
    return [message for message in call.messages if not message.sent and message.start_line.startswith("INVITE ")]


def settle(*callers: Caller) -> None:
    """Return when whatever the gateway had to say to what they sent before has come."""
    for caller in callers:
        caller.request("OPTIONS")


@pytest.mark.parametrize("source", [STRANGER, PEER])
def test_who_names_the_trunk_is_not_the_trunk_and_not_shown_its_line(
    source: str, gateway: GatewayProcess, carrier: Registrar, line: str
) -> None:
    for uri in (
        f"sip:gateway@{carrier.address}",
        f"sip:gateway@{gateway.target};line={line};ob",
        f"sip:600@{gateway.target};line={line}",
    ):
        with Caller(gateway.address, host=source) as caller:
            call = caller.dial("", Manner(headers={"Supported": "100rel"}), uri=uri)
            call.wait_answered()
            assert trunk_of(gateway, call) == (None if source == STRANGER else "peer")
            assert line not in received(call)


def test_no_answer_to_a_stranger_shows_the_line(gateway: GatewayProcess, carrier: Registrar, line: str) -> None:
    with Caller(gateway.address, host=STRANGER) as caller:
        for method in ("OPTIONS", "SUBSCRIBE", "MESSAGE", "REGISTER", "PUBLISH"):
            for number in ("gateway", "600"):
                assert line not in caller.request(method, number).text
        refused = caller.dial("", Manner(codecs=(18,)), uri=f"sip:gateway@{carrier.address}")
        refused.wait_rejected()
        assert line not in received(refused)


def test_the_carriers_calls_are_its_own_by_any_uri(gateway: GatewayProcess, line: str) -> None:
    for uri in (f"sip:gateway@{gateway.target};line={line};ob", f"sip:+15550100@{gateway.target}"):
        with Caller(gateway.address, host=CARRIER) as caller:
            call = caller.dial("", uri=uri)
            call.wait_answered()
            assert trunk_of(gateway, call) == "carrier"
            assert line in received(call)


@pytest.mark.parametrize("realm", [REALM, "another"])
@pytest.mark.parametrize("source", [STRANGER, PEER])
def test_a_challenge_by_a_stranger_gets_no_digest(
    source: str, realm: str, gateway: GatewayProcess, carrier: Registrar
) -> None:
    """What we send goes to the stranger, and says that it is for the carrier, or for a number there."""
    challenge = f'Digest realm="{realm}", nonce="x"'
    with Caller(gateway.address, host=source) as caller:
        host, port = caller.address
        route = {"Record-Route": f"<sip:{host}:{port};lr>"}
        for manner in (
            Manner(challenge=challenge),
            Manner(challenge=challenge, headers=route, contact=f"<sip:+900@{carrier.address}>"),
        ):
            call = caller.dial("", manner, uri=f"sip:601@{carrier.address}")
            call.wait_ended()
            gateway.record(call.call_id)
            settle(caller)
            assert not digests(call)


def test_the_carrier_gets_a_digest_for_its_own_realm_alone(gateway: GatewayProcess) -> None:
    with Caller(gateway.address, host=CARRIER) as caller:
        calls = [caller.dial("601", Manner(challenge=f'Digest realm="{realm}", nonce="x"')) for realm in (REALM, "x")]
        for call in calls:
            call.wait_ended()
            gateway.record(call.call_id)
        own, other = calls
        (signed,) = wait_until(lambda: digests(own), "the digest for its own realm", 5)
        assert f'realm="{REALM}"' in signed.text
        settle(caller)
        assert not digests(other)


@pytest.mark.slow
def test_a_session_refresh_is_signed_for_the_carrier_alone(gateway: GatewayProcess, carrier: Registrar) -> None:
    """An INVITE that we sign is a call that somebody pays for. The least interval is 90 s, refreshed at its half."""
    timer = {"Supported": "timer", "Session-Expires": "90;refresher=uas", "Allow": "INVITE, ACK, BYE"}
    with Caller(gateway.address, host=CARRIER) as own, Caller(gateway.address, host=STRANGER) as stranger:
        host, port = stranger.address
        route = {"Record-Route": f"<sip:{host}:{port};lr>"}
        premium = f"<sip:+900@{carrier.address}>"
        asked = Manner(challenge=CHALLENGE, headers=timer)
        refused = Manner(challenge=CHALLENGE, headers={**timer, **route}, contact=premium)
        signed = own.dial("600", asked)
        unsigned = stranger.dial("", refused, uri=f"sip:600@{carrier.address}")
        for call in (signed, unsigned):
            call.wait_answered()
        wait_until(lambda: refreshes(unsigned) and refreshes(signed), "both refreshes", 60)
        (digest,) = wait_until(lambda: digests(signed), "a refresh with a digest", 5)
        assert digest.method == "INVITE"
        settle(stranger)
        assert not digests(unsigned)
        assert signed.hangup() == unsigned.hangup() == 200


@pytest.mark.parametrize("forged", [False, True], ids=["as itself", "in the carrier's name"])
def test_a_request_that_goes_elsewhere_is_never_signed(forged: bool, gateway: GatewayProcess) -> None:
    """Record-Route in an INVITE with a forged source: what we send in the dialog goes to whoever forged it."""
    port = free_port(STRANGER)
    with Caller(gateway.address, host=CARRIER) as caller, Caller(gateway.address, STRANGER, port) as stranger:
        call = caller.dial("601", Manner(headers={"Record-Route": f"<sip:{STRANGER}:{port};lr>"}))
        call.wait_answered()
        bye = stranger.wait_other("BYE")
        copied = [("Via", via) for via in bye.headers("Via")]
        copied += [(name, bye.header(name) or "") for name in ("From", "To", "Call-ID", "CSeq")]
        answer = compose("SIP/2.0 407 Who is it", [*copied, ("Proxy-Authenticate", CHALLENGE)], "", 0)
        (caller if forged else stranger).send_raw(answer.wire())
        gateway.record(call.call_id)
        call.ended_by = "them"
        settle(caller, stranger)
        gateway.wait_event("trunk.challenge_ignored", method="BYE", sent_to=STRANGER)
        assert not [message for message in stranger.others if "Authorization" in message.head]
        assert gateway.events("call.ended", call_id=call.call_id, trunk="carrier")


def test_who_answers_our_register_is_the_trunk() -> None:
    """A registrar whose calls come from another of its addresses than the one that the settings give."""
    with Registrar("udp", 300, host=CARRIER, answers_from=PEER) as carrier:
        trunk: Object = {"registrar": carrier.address, "user": "gateway"}
        with GatewayProcess(Setup(ROUTES, trunks={"carrier": trunk})) as gateway:
            gateway.wait_trunk("registered")
            for source, name in ((PEER, "carrier"), (CARRIER, "carrier"), (STRANGER, None)):
                with Caller(gateway.address, host=source) as caller:
                    call = caller.dial("600")
                    call.wait_answered()
                    assert trunk_of(gateway, call) == name


def test_every_host_that_srv_records_give_is_the_trunk() -> None:
    """A registrar that is known by SRV alone, and whose calls come from the other address of its host."""
    with Registrar("udp", 300, host=CARRIER) as carrier:
        port = carrier.address.rpartition(":")[2]
        records = {
            ("_sip._udp.carrier.test.", "SRV"): [f"0 0 {port} edge.carrier.test."],
            ("edge.carrier.test.", "A"): [CARRIER, PEER],
        }
        trunk: Object = {"registrar": "carrier.test", "user": "gateway"}
        with DnsServer(records) as server:
            setup = Setup(ROUTES, trunks={"carrier": trunk}, sip={"nameservers": ["{}:{}".format(*server.address)]})
            with GatewayProcess(setup) as gateway:

                def trunk_from(source: str) -> object:
                    with Caller(gateway.address, host=source) as caller:
                        call = caller.dial("600")
                        call.wait_answered()
                        return trunk_of(gateway, call)

                wait_until(lambda: trunk_from(PEER) == "carrier", "the name is looked up", 15)
                assert trunk_from(CARRIER) == "carrier"
                assert trunk_from(STRANGER) is None


@pytest.mark.parametrize(
    ("realm", "stale", "requests"),
    [(REALM, "false", 2), (REALM, "true", 3), ("a new one: {}", "false", 5)],
)
def test_a_refused_answer_is_not_tried_again_in_no_time(realm: str, stale: str, requests: int) -> None:
    nonces = iter(range(1000))

    def ask_always(request: SipMessage) -> list[tuple[str, str]]:
        nonce = next(nonces)
        return [("WWW-Authenticate", f'Digest realm="{realm.format(nonce)}", nonce="{nonce}", stale={stale}')]

    with Registrar("udp", 300, challenge=ask_always) as carrier:
        trunk: Object = {
            "registrar": carrier.address,
            "user": "gateway",
            "password": "secret",
            "retry": {"first": "30s", "max": "60s"},
        }
        with GatewayProcess(Setup(ROUTES, trunks={"carrier": trunk})) as gateway:
            assert "refused user or password" in str(gateway.wait_trunk("failed", "401")["why"])
            assert len(carrier.requests) == requests


CHALLENGES = {
    "Basic beside Digest": ([("WWW-Authenticate", 'Basic realm="x"'), ("WWW-Authenticate", CHALLENGE)], ""),
    "Digest beside Basic": ([("WWW-Authenticate", CHALLENGE), ("WWW-Authenticate", 'Basic realm="x"')], ""),
    "a scheme of tomorrow": ([("WWW-Authenticate", CHALLENGE), ("WWW-Authenticate", "SCRAM sid=a,data=b")], ""),
    "Basic alone": ([("WWW-Authenticate", 'Basic realm="x"')], "asks for 'Basic'"),
    "auth-int alone": ([("WWW-Authenticate", f'{CHALLENGE}, qop="auth-int"')], "qop 'auth-int'"),
    "MD5-sess": ([("WWW-Authenticate", f'Digest realm="{REALM}", nonce="a", algorithm=MD5-sess')], "'MD5-sess'"),
    "SHA-256": ([("WWW-Authenticate", f'Digest realm="{REALM}", nonce="a", algorithm=SHA-256')], ""),
}


@pytest.mark.parametrize("name", CHALLENGES)
def test_each_kind_of_challenge_is_answered_or_told(name: str) -> None:
    challenges, why = CHALLENGES[name]

    def ask(request: SipMessage) -> list[tuple[str, str]]:
        return [] if request.header("Authorization") else challenges

    with Registrar("udp", 300, challenge=ask) as carrier:
        trunk: Object = {"registrar": carrier.address, "user": "gateway", "password": "secret"}
        with GatewayProcess(Setup(ROUTES, trunks={"carrier": trunk})) as gateway:
            gateway.wait_trunk("failed" if why else "registered", why)
