"""Registrars from hell: whatever one answers, the process lives, others are served, and it is not asked in a loop."""

from __future__ import annotations

import re
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.e2e.gateway_process import GatewayProcess, Json, Setup
from tests.e2e.peers.hostile_registrar import Answer, Behaviour, HostileRegistrar
from tests.e2e.peers.process import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.e2e.peers.caller import Caller
    from tests.e2e.peers.sip_message import SipMessage

FIRST_S, MAX_S = 0.5, 1
"""The trunks' patience."""


def contact(request: SipMessage, parameters: str = "") -> tuple[str, str]:
    return ("Contact", f"<{request.contact_uri}>{parameters}")


def granted(request: SipMessage, *headers: tuple[str, str]) -> list[Answer]:
    return [("200 OK", [contact(request, ";expires=300"), *headers])]


def star(_request: SipMessage, _number: int) -> Iterable[Answer]:
    return [("200 OK", [("Contact", "*"), ("Expires", "300")])]


def taken_back(request: SipMessage, _number: int) -> Iterable[Answer]:
    return [("200 OK", [contact(request, ";expires=0"), ("Expires", "300")])]


def never_long_enough(_request: SipMessage, _number: int) -> Iterable[Answer]:
    return [("423 Interval Too Brief", [("Min-Expires", "4294967295")])]


def ever_longer(request: SipMessage, _number: int) -> Iterable[Answer]:
    return [("423 Interval Too Brief", [("Min-Expires", str(int(request.header("Expires") or 0) + 1))])]


def brief_once(request: SipMessage, _number: int) -> Iterable[Answer]:
    if int(request.header("Expires") or 0) < 600:
        return [("423 Interval Too Brief", [("Min-Expires", "600")])]
    return granted(request)


def frantic(request: SipMessage, _number: int) -> Iterable[Answer]:
    return granted(request, ("Flow-Timer", "1"))


def for_ever(request: SipMessage, _number: int) -> Iterable[Answer]:
    return [("200 OK", [contact(request, ";expires=4294967295"), ("Expires", "99999999999999999999")])]


def elsewhere(request: SipMessage, number: int) -> Iterable[Answer]:
    """Sees us come from another place each time."""
    via = re.sub(r";rport[^;]*", "", request.header("Via") or "")
    return granted(request, ("Via", f"{via};received=198.51.100.{number % 250};rport={2000 + number}"))


def at_a_name(request: SipMessage, _number: int) -> Iterable[Answer]:
    """Sees us come from a name, which nobody may be asked for."""
    via = re.sub(r";rport[^;]*", "", request.header("Via") or "")
    return granted(request, ("Via", f"{via};received=slow.test;rport=5555"))


def crowded(request: SipMessage, _number: int) -> Iterable[Answer]:
    others = [("Contact", f"<sip:other@192.0.2.{number}>;expires=60") for number in range(120)]
    return [("200 OK", [*others, contact(request, ";expires=300")])]


def routed(request: SipMessage, _number: int) -> Iterable[Answer]:
    junk = [("P-Associated-URI", "<tel:+1>, <<>>"), ("Path", "<sip:192.0.2.1;lr>, ,")]
    return granted(request, ("Service-Route", ",".join(f"<sip:192.0.2.{n};lr>" for n in range(90))), *junk)


def chatty(_request: SipMessage, _number: int) -> Iterable[Answer]:
    return [("100 Trying", ())] * 2000


def moved(_request: SipMessage, _number: int) -> Iterable[Answer]:
    return [("302 Moved", [("Contact", "<sip:192.0.2.1>, *"), ("Retry-After", "99999999999999999999")])]


A_DAY_S = 86400

REGISTERED: dict[str, Behaviour] = {
    "star": star,
    "brief": brief_once,
    "frantic": frantic,
    "for-ever": for_ever,
    "elsewhere": elsewhere,
    "at-a-name": at_a_name,
    "crowded": crowded,
    "routed": routed,
}
REFUSED: dict[str, Behaviour] = {
    "taken-back": taken_back,
    "never-long-enough": never_long_enough,
    "ever-longer": ever_longer,
}
OTHERS: dict[str, Behaviour] = {"chatty": chatty, "moved": moved}


class Hell:
    """A gateway with a trunk at each of them."""

    def __init__(self, gateway: GatewayProcess, registrars: dict[str, HostileRegistrar]) -> None:
        self.gateway = gateway
        self.registrars = registrars

    def state(self, name: str) -> Json:
        return self.gateway.trunk(name)["state"]


@pytest.fixture(scope="module")
def hell() -> Iterator[Hell]:
    with ExitStack() as stack:
        behaviours = {**REGISTERED, **REFUSED, **OTHERS}
        registrars = {name: stack.enter_context(HostileRegistrar(one)) for name, one in behaviours.items()}
        trunks: dict[str, Json] = {
            name: {
                "registrar": registrar.address,
                "user": "gateway",
                "retry": {"first": f"{FIRST_S}s", "max": f"{MAX_S}s"},
            }
            for name, registrar in registrars.items()
        }
        gateway = stack.enter_context(GatewayProcess(Setup(trunks=trunks)))
        yield Hell(gateway, registrars)


@pytest.fixture(scope="module")
def gateway(hell: Hell) -> GatewayProcess:
    return hell.gateway


@pytest.mark.parametrize("name", REGISTERED)
def test_it_is_registered_and_asks_no_more(hell: Hell, caller: Caller, name: str) -> None:
    wait_until(lambda: hell.state(name) == "registered", f"{name} is registered", 10)
    time.sleep(1)
    assert hell.state(name) == "registered"
    assert hell.gateway.trunk(name)["expires_s"] in {300, A_DAY_S}
    assert len(hell.registrars[name].asked) <= 3
    assert hell.registrars[name].keep_alives <= 3
    assert caller.request("OPTIONS", "600").status == 200


def test_a_name_in_an_answer_is_no_place_of_ours(hell: Hell) -> None:
    """PJSUA would ask the system for it while all calls wait, and register at it."""
    wait_until(lambda: hell.state("at-a-name") == "registered", "it is registered", 10)
    assert not [one for one in hell.registrars["at-a-name"].asked if "slow.test" in one.head]


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_not_registered_and_asks_with_patience(hell: Hell, caller: Caller, name: str) -> None:
    registrar = hell.registrars[name]
    wait_until(lambda: hell.gateway.trunk(name)["failures"], f"{name} has failed", 10)
    before, began = len(registrar.asked), time.monotonic()
    wait_until(lambda: len(registrar.asked) > before + 3, "more attempts", 20)
    assert time.monotonic() - began > FIRST_S, "two REGISTERs for each attempt at most"
    assert hell.state(name) != "registered"
    assert caller.request("OPTIONS", "600").status == 200


@pytest.mark.parametrize("name", OTHERS)
def test_others_are_served_meanwhile(hell: Hell, caller: Caller, name: str) -> None:
    wait_until(lambda: hell.registrars[name].asked, "an attempt", 10)
    for _ in range(20):
        assert caller.request("OPTIONS", "600").status == 200
    assert hell.state(name) in {"registering", "failed"}
