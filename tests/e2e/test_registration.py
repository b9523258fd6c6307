"""A trunk with digest registration: Kamailio as registrar and proxy, up, down, refusing, and its calls."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from gateway.settings.shipped import DIALPLANS
from tests.e2e.gateway_process import GatewayProcess, Json, Object, Setup, to_agent
from tests.e2e.listening import assert_heard, likeness
from tests.e2e.peers.baresip import PCMU, Baresip
from tests.e2e.peers.caller import Caller
from tests.e2e.peers.kamailio import Kamailio
from tests.e2e.peers.process import free_port, wait_until
from tests.e2e.peers.sipp import Script, run_sipp
from tests.e2e.peers.sound import read_wav, silence, tone

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NUMBER = "+15550100"
USERS = {"gateway": "secret"}
NUMBERS = {NUMBER: "gateway", "+15550101": "gateway", "+15550102": "gateway"}
ALIKE, UNLIKE = 0.95, 0.75

ROUTES: tuple[Object, ...] = (
    {"name": "welcome", "match": {"to": NUMBER, "trunk": "carrier"}, "steps": ["ring", {"agent": "welcome"}]},
    to_agent("+15550101", "tone"),
    to_agent("+15550102", "echo"),
)


def trunk_to(carrier: Kamailio, **others: Json) -> Object:
    return {
        "registrar": carrier.address,
        "user": "gateway",
        "password": "secret",
        "expires": "60s",
        "retry": {"first": "300ms", "max": "600ms"},
        **others,
    }


def gateway_on(carrier: Kamailio, routes: Sequence[Object] = ROUTES, **trunk: Json) -> GatewayProcess:
    return GatewayProcess(Setup(routes, trunks={"carrier": trunk_to(carrier, **trunk)}))


@pytest.fixture(scope="module")
def carrier() -> Iterator[Kamailio]:
    """One that works all the time."""
    with Kamailio(USERS, NUMBERS) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(carrier: Kamailio) -> Iterator[GatewayProcess]:
    with gateway_on(carrier) as running:
        running.wait_trunk("registered")
        yield running


def test_registers(carrier: Kamailio, gateway: GatewayProcess) -> None:
    (contact,) = carrier.wait_registered("gateway")
    assert contact.user_agent.startswith("Offhook/")
    assert 50 <= contact.expires_s <= 60
    trunk = gateway.trunk()
    assert (trunk["state"], trunk["failures"], trunk["next_attempt_s"]) == ("registered", 0, None)
    expires_s = trunk["expires_s"]
    assert isinstance(expires_s, int)
    assert 50 <= expires_s <= 60
    assert re.search(r"trunk +carrier: registered", gateway.command("status").stdout)
    assert "secret" not in gateway.process.log()
    assert "secret" not in json.dumps(gateway.status())


def test_sipp_dials_the_number_and_gets_the_agent(carrier: Kamailio, gateway: GatewayProcess) -> None:
    result = run_sipp(Script("call", NUMBER, hold_ms=300), carrier.address)
    assert result.received(200, "INVITE")
    record = wait_until(lambda: gateway.events("call.ended", **{"from": "sipp"}), "its record", 5)[-1]
    assert (record["to"], record["trunk"], record["route"]) == (NUMBER, "carrier", "welcome")
    assert (record["agents"], record["ended_by"]) == (["welcome"], "caller")


def test_caller_hears_the_welcome(carrier: Kamailio, gateway: GatewayProcess) -> None:
    welcome, rate_hz = read_wav(DIALPLANS / "sounds" / "welcome.wav")
    with Caller((carrier.host, carrier.port)) as caller:
        call = caller.dial(NUMBER)
        call.wait_status(180)
        call.wait_answered()
        heard = call.wait_heard(3000)
        assert likeness(heard, 8000, welcome, rate_hz) > ALIKE
        assert likeness(heard[::-1], 8000, welcome, rate_hz) < UNLIKE, "the measure tells sounds apart"
        assert call.hangup() == 200
    assert gateway.record(call.call_id)["agents"] == ["welcome"]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_real_phone_dials_the_number(carrier: Kamailio, gateway: GatewayProcess, transport: str) -> None:
    speech = np.concatenate((silence(300), tone(440, 600), tone(1000, 600)))
    with Baresip(speech, PCMU, user=f"phone-{transport}") as phone:
        phone.dial(f"sip:+15550102@{carrier.address};transport={transport}")
        phone.wait_event("CALL_ESTABLISHED")
        with Caller((carrier.host, carrier.port)) as caller:
            clock = caller.dial("+15550101")
            clock.wait_answered()
            assert_heard(clock.wait_heard(1900), [440])
        phone.hangup()
        assert_heard(phone.heard()[0], [440, 1000], phone.heard()[1])
    record = wait_until(lambda: gateway.events("call.ended", **{"from": f"phone-{transport}"}), "its record", 5)[0]
    assert (record["trunk"], record["ended_by"]) == ("carrier", "caller")


def test_a_real_phone_dials_the_number_and_hears_the_agent(carrier: Kamailio, gateway: GatewayProcess) -> None:
    welcome, rate_hz = read_wav(DIALPLANS / "sounds" / "welcome.wav")
    with Baresip(silence(300), PCMU, user="phone-welcome") as phone:
        phone.dial(f"sip:{NUMBER}@{carrier.address}")
        phone.wait_event("CALL_ESTABLISHED")
        time.sleep(3)  # its recording can be read when the call is over
        phone.hangup()
        heard, heard_rate_hz = phone.heard()
    assert likeness(heard, heard_rate_hz, welcome, rate_hz) > ALIKE
    (record,) = wait_until(lambda: gateway.events("call.ended", **{"from": "phone-welcome"}), "its record", 5)
    assert (record["to"], record["agents"]) == (NUMBER, ["welcome"])


def test_number_in_the_request_uri() -> None:
    with Kamailio(USERS, NUMBERS, number_in_uri=True) as carrier, gateway_on(carrier) as gateway:
        gateway.wait_trunk("registered")
        with Caller((carrier.host, carrier.port)) as caller:
            call = caller.dial("+15550101")
            call.wait_answered()
            assert_heard(call.wait_heard(300), [440])
            assert call.hangup() == 200
        assert gateway.record(call.call_id)["trunk"] == "carrier"


def test_registers_and_takes_calls_over_tcp() -> None:
    with Kamailio(USERS, NUMBERS) as carrier, gateway_on(carrier, transport="tcp") as gateway:
        gateway.wait_trunk("registered")
        (contact,) = carrier.contacts("gateway")
        assert "transport=tcp" in contact.uri.lower() + contact.source
        run_sipp(Script("call", "+15550101", hold_ms=200), carrier.address)
        gateway.finish()
        carrier.wait_unregistered("gateway", 1)


def test_wrong_password_recovers_when_it_is_corrected() -> None:
    with Kamailio({"gateway": "another"}) as carrier, gateway_on(carrier) as gateway:
        trunk = gateway.wait_trunk("failed", "401")
        assert "password" in str(trunk["why"])
        next_attempt_s, failures = trunk["next_attempt_s"], trunk["failures"]
        assert isinstance(next_attempt_s, float)
        assert isinstance(failures, int)
        assert 0 <= next_attempt_s <= 0.6
        assert failures >= 1
        # Not while an attempt is under way.
        told = re.compile(r"carrier: failed: 401 .*next attempt in")
        wait_until(lambda: told.search(gateway.command("status").stdout), "the command tells it", 5)
        assert not carrier.registered("gateway")
        # Without a challenge and with the wrong answer to one: no more than that at each attempt.
        knocks = len(carrier.registrations())
        assert knocks <= 2 * (int(str(gateway.trunk()["failures"])) + 1)
        carrier.set_password("gateway", "secret")
        gateway.wait_trunk("registered", deadline_s=3)
        assert carrier.registered("gateway")
        assert gateway.trunk()["failures"] == 0


def test_each_refusal_is_told_apart() -> None:
    with Kamailio(USERS) as carrier:
        carrier.refuse(403, "Account Suspended")
        with gateway_on(carrier) as gateway:
            trunk = gateway.wait_trunk("failed", "403 Account Suspended")
            assert "carrier" in str(trunk["why"])
            carrier.refuse(503, "Maintenance", retry_after_s=3)
            trunk = gateway.wait_trunk("failed", "503 Maintenance")
            waits_s = gateway.events("trunk.failed")[-1]["retry_in_s"]
            assert waits_s == 3, "the registrar's wish goes before our own patience"
            attempts = len(carrier.registrations())
            carrier.accept()
            assert gateway.trunk()["state"] == "failed"
            gateway.wait_trunk("registered", deadline_s=5)
            assert len(carrier.registrations()) <= attempts + 2


def test_a_registrar_that_wants_a_longer_expiry_gets_it() -> None:
    with Kamailio(USERS) as carrier:
        carrier.demand_expires(90)
        with gateway_on(carrier) as gateway:
            gateway.wait_trunk("registered")
            (contact,) = carrier.contacts("gateway")
            assert contact.expires_s > 60


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_registrar_down_at_start_and_coming_back(transport: str) -> None:
    carrier = Kamailio(USERS, NUMBERS, port=free_port())
    try:
        with gateway_on(carrier, transport=transport) as gateway:
            if transport == "tcp":  # a refused connection is known at once; over UDP silence lasts 32 s (timer F)
                trunk = gateway.wait_trunk("failed")
                assert trunk["next_attempt_s"] is not None
            else:
                assert gateway.trunk()["state"] == "registering"
            with Caller(gateway.address) as caller:  # calls come all the same
                call = caller.dial("+15550101")
                call.wait_answered()
                assert call.hangup() == 200
            carrier.start()
            gateway.wait_trunk("registered", deadline_s=8)
            run_sipp(Script("call", "+15550101", hold_ms=100), carrier.address)
    finally:
        carrier.close()


def test_registrar_restarted_in_the_middle() -> None:
    with Kamailio(USERS, NUMBERS) as carrier, gateway_on(carrier, expires="4s") as gateway:
        gateway.wait_trunk("registered")
        with Caller(gateway.address) as caller:
            call = caller.dial("+15550101")
            call.wait_answered()
            carrier.restart()  # it knows nobody any more
            carrier.wait_registered("gateway", 8)
            gateway.wait_trunk("registered")
            run_sipp(Script("call", "+15550101", hold_ms=100), carrier.address)
            assert call.hangup() == 200
            assert_heard(call.heard()[-4000:], [440])


def test_registrar_away_for_a_while() -> None:
    with Kamailio(USERS) as carrier, gateway_on(carrier, transport="tcp", expires="4s") as gateway:
        gateway.wait_trunk("registered")
        carrier.stop()
        trunk = gateway.wait_trunk("failed", "503")
        assert trunk["next_attempt_s"] is not None
        carrier.start()
        gateway.wait_trunk("registered")
        assert carrier.registered("gateway")


def test_unregisters_at_exit() -> None:
    with Kamailio(USERS) as carrier, gateway_on(carrier) as gateway:
        gateway.wait_trunk("registered")
        assert carrier.registered("gateway")
        gateway.finish()
        carrier.wait_unregistered("gateway", 1)


def test_exit_while_the_registrar_is_gone() -> None:
    with Kamailio(USERS) as carrier, gateway_on(carrier) as gateway:
        gateway.wait_trunk("registered")
        carrier.stop()
        gateway.finish(deadline_s=8)
        assert gateway.events("trunk.unregister_unanswered")
