"""Registrations that must not be lost: renewed in good time, and at once when their connection is gone."""

from __future__ import annotations

import pytest

from tests.e2e.gateway_process import GatewayProcess, Json, Setup
from tests.e2e.peers.process import wait_until
from tests.e2e.peers.registrar import Registrar
from tests.e2e.peers.sipp import Script, run_sipp


def gateway_on(registrar: Registrar, transport: str) -> GatewayProcess:
    trunk: dict[str, Json] = {
        "registrar": registrar.address,
        "user": "gateway",
        "password": "secret",
        "transport": transport,
        "retry": {"first": "500ms", "max": "2s"},
    }
    return GatewayProcess(Setup(trunks={"carrier": trunk}))


def test_a_lost_connection_is_made_anew_at_once_and_then_with_patience() -> None:
    with Registrar("tcp", 300, close_after_s=0.1) as registrar, gateway_on(registrar, "tcp") as gateway:
        gateway.wait_event("trunk.lost", retry_in_s=0.0)
        wait_until(lambda: len(registrar.asked) >= 4, "four registrations", 8)
        gaps_s = [later - earlier for earlier, later in zip(registrar.asked, registrar.asked[1:], strict=False)]
        assert gaps_s[0] == pytest.approx(0.1, abs=0.2)
        assert gaps_s[1:3] == pytest.approx([0.6, 1.1], abs=0.3), "it must not be asked as fast as it closes"
        # None while an attempt is under way.
        wait_until(
            lambda: gateway.wait_trunk("registering", "connection")["next_attempt_s"] is not None, "its next attempt", 5
        )


def test_a_new_connection_has_a_new_contact() -> None:
    with Registrar("tcp", 300, close_after_s=0.1) as registrar, gateway_on(registrar, "tcp") as gateway:
        wait_until(lambda: len(registrar.contacts) >= 3, "three registrations", 8)
        assert len({came_from for _, came_from in registrar.contacts}) >= 3
        for wanted, came_from in registrar.contacts:
            assert wanted == came_from
        gateway.wait_event("trunk.lost")


def test_a_registrar_that_was_away_is_told_of_the_new_connection() -> None:
    registrar = Registrar("tcp", 300)
    with gateway_on(registrar, "tcp") as gateway:
        gateway.wait_trunk("failed")
        with registrar:
            gateway.wait_trunk("registered")
            assert registrar.contacts[0][0] == registrar.contacts[0][1]


def test_a_strangers_connection_concerns_no_registration() -> None:
    with Registrar("tcp", 300) as registrar, gateway_on(registrar, "tcp") as gateway:
        gateway.wait_trunk("registered")
        run_sipp(Script("rejected", "nobody", status=404), gateway.target, transport="tcp")
        gateway.wait_idle()
        assert len(registrar.asked) == 1
        assert not gateway.events("trunk.lost")


@pytest.mark.slow
def test_a_registration_is_renewed_in_the_middle_and_runs_out_when_nobody_answers() -> None:
    with Registrar("udp", 6) as registrar, gateway_on(registrar, "udp") as gateway:
        gateway.wait_trunk("registered")
        wait_until(lambda: len(registrar.asked) >= 2, "a renewal", 5)
        assert registrar.asked[1] - registrar.asked[0] == pytest.approx(3, abs=0.5)
        registrar.silent = True
        wait_until(lambda: len(registrar.asked) >= 3, "a renewal that gets no answer", 5)
        assert gateway.trunk()["state"] == "registered", "it still holds"
        gateway.wait_trunk("registering", "not renewed in time", deadline_s=5)
        gateway.wait_trunk("failed", "408", deadline_s=35)
        trunk = gateway.wait_trunk("registering", "408", deadline_s=3)
        assert trunk["failures"] == 1
        registrar.silent = False
        assert gateway.wait_trunk("registered", deadline_s=10)["failures"] == 0
