import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest
from structlog.testing import capture_logs

from gateway.calls.trunks import Trunks
from gateway.settings import Settings
from gateway.sip.events import ConnectionLost, RegistrationAnswered
from gateway.sip.registration import State
from tests.virtual_time import virtual

SETTINGS = {
    "trunks": {
        "carrier": {
            "registrar": "192.0.2.10",
            "user": "alice",
            "password": "secret",
            "retry": {"first": "10ms", "max": "20ms"},
        },
        "peer": {"register": False, "sources": ["198.51.100.0/24", "2001:db8::/32"]},
    }
}


class Registrar:
    """Notes what was sent."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bool]] = []
        self.changed = asyncio.Event()

    def __call__(self, trunk: str, *, wanted: bool) -> None:
        self.asked.append((trunk, wanted))
        self.changed.set()


def run(scenario: Callable[[Trunks, Registrar], Awaitable[None]]) -> None:
    @virtual
    async def main() -> None:
        trunks, registrar = Trunks(Settings.model_validate(SETTINGS).trunks), Registrar()
        async with asyncio.TaskGroup() as tasks:
            assert trunks.start(registrar, tasks) is None  # no names to look up
            await scenario(trunks, registrar)

    main()


def test_only_those_who_want_it_register() -> None:
    async def scenario(trunks: Trunks, registrar: Registrar) -> None:
        assert registrar.asked == [("carrier", True)]
        assert trunks.registrations()["carrier"][0].state is State.REGISTERING
        assert trunks.registrations()["peer"][0].state is State.UNREGISTERED

    run(scenario)


def test_a_failure_is_tried_again_when_it_is_due() -> None:
    async def scenario(trunks: Trunks, registrar: Registrar) -> None:
        registrar.changed.clear()
        trunks.on_event(RegistrationAnswered("carrier", 503, "Busy", 0))
        registration, retry_in_s = trunks.registrations()["carrier"]
        assert registration.state is State.FAILED
        assert retry_in_s is not None
        await asyncio.wait_for(registrar.changed.wait(), 5)
        assert registrar.asked == [("carrier", True), ("carrier", True)]

    run(scenario)


def test_an_answer_that_grants_nothing_is_tried_again_until_we_leave() -> None:
    async def scenario(trunks: Trunks, registrar: Registrar) -> None:
        trunks.on_event(RegistrationAnswered("carrier", 200, "OK", 0))
        assert trunks.registrations()["carrier"][0].state is State.FAILED
        await asyncio.sleep(1)
        assert registrar.asked == [("carrier", True)] * 2
        await trunks.unregister()
        trunks.on_event(RegistrationAnswered("carrier", 200, "OK", 0))
        assert trunks.registrations()["carrier"][0].state is State.UNREGISTERED

    run(scenario)


def test_it_is_renewed_before_its_time_is_over() -> None:
    async def scenario(trunks: Trunks, registrar: Registrar) -> None:
        trunks.on_event(RegistrationAnswered("carrier", 200, "OK", 300))
        await asyncio.sleep(239)
        assert registrar.asked == [("carrier", True)]
        await asyncio.sleep(60)
        assert registrar.asked == [("carrier", True)] * 2
        assert trunks.registrations()["carrier"][0].state is State.REGISTERED
        await asyncio.sleep(3600)
        assert trunks.registrations()["carrier"][0].state is State.REGISTERING
        assert registrar.asked == [("carrier", True)] * 2, "one attempt is under way, and no other is made"

    run(scenario)


def test_a_lost_connection_is_made_anew() -> None:
    async def scenario(trunks: Trunks, registrar: Registrar) -> None:
        trunks.on_event(RegistrationAnswered("carrier", 200, "OK", 300))
        registrar.changed.clear()
        trunks.on_event(ConnectionLost("carrier"))
        registration, next_in_s = trunks.registrations()["carrier"]
        assert (registration.state, next_in_s) == (State.REGISTERING, 0.0)
        await asyncio.wait_for(registrar.changed.wait(), 5)
        assert registrar.asked == [("carrier", True)] * 2

    run(scenario)


def test_leaving_while_a_renewal_is_under_way_takes_that_back_too() -> None:
    async def scenario(trunks: Trunks, registrar: Registrar) -> None:
        trunks.on_event(RegistrationAnswered("carrier", 200, "OK", 300))
        leaving = asyncio.create_task(trunks.unregister())
        await asyncio.sleep(0)
        trunks.on_event(RegistrationAnswered("carrier", 200, "OK", 300))
        assert registrar.asked[-2:] == [("carrier", False)] * 2
        trunks.on_event(RegistrationAnswered("carrier", 200, "OK", 0))
        await asyncio.wait_for(leaving, 5)

    run(scenario)


def test_a_call_is_known_by_the_line_it_was_sent_to() -> None:
    async def scenario(trunks: Trunks, _registrar: Registrar) -> None:
        carrier, peer = trunks.accounts()
        assert carrier.line != peer.line
        uri = f"sip:alice@192.0.2.1:5060;line={carrier.line};ob"
        assert trunks.recognise(uri, "203.0.113.1") == "carrier"
        assert trunks.recognise("sip:alice@192.0.2.1;line=0123456789abcdef", "203.0.113.1") is None

    run(scenario)


@pytest.mark.parametrize(
    ("source", "trunk"),
    [("198.51.100.77", "peer"), ("2001:db8::1", "peer"), ("192.0.2.10", "carrier"), ("192.0.2.11", None)],
)
def test_a_call_is_known_by_where_it_came_from(source: str, trunk: str | None) -> None:
    async def scenario(trunks: Trunks, _registrar: Registrar) -> None:
        assert trunks.recognise("sip:600@192.0.2.1", source) == trunk

    run(scenario)


@pytest.mark.parametrize(
    ("request_uri", "to", "trunk"),
    [
        ("sip:bob@192.0.2.1", "<sip:alice@192.0.2.1>", "second"),
        ("sip:+15550100@192.0.2.1", "<sip:bob@192.0.2.1>", "second"),
        ("sip:alice@192.0.2.1", "<sip:+15550100@192.0.2.1>", "first"),
        ("sip:+15550100@192.0.2.1", "<sip:+15550100@192.0.2.1>", "first"),
        ("sip:192.0.2.1", "", "first"),
    ],
)
def test_of_two_trunks_at_one_carrier_it_is_the_one_whose_user_is_called(request_uri: str, to: str, trunk: str) -> None:
    @virtual
    async def main() -> None:
        both = {
            "first": {"registrar": "192.0.2.10", "user": "alice"},
            "second": {"registrar": "192.0.2.10", "user": "bob"},
        }
        trunks = Trunks(Settings.model_validate({"trunks": both}).trunks)
        assert trunks.recognise(request_uri, "192.0.2.10", to) == trunk

    main()


def test_a_name_that_does_not_resolve_keeps_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"a.example": "192.0.2.1", "b.example": "192.0.2.2"}

    def look_up(name: str, _port: None) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        if name not in known:
            raise OSError("no such name")
        return [(2, 1, 0, "", (known[name], 0))]

    monkeypatch.setattr("gateway.calls.trunks.socket.getaddrinfo", look_up)

    @virtual
    async def main() -> None:
        peer = {"peer": {"register": False, "sources": ["a.example", "b.example"]}}
        trunks = Trunks(Settings.model_validate({"trunks": peer}).trunks)
        async with asyncio.TaskGroup() as tasks:
            resolving = trunks.start(Registrar(), tasks)
            assert resolving is not None
            await asyncio.sleep(1)
            known["b.example"] = "192.0.2.3"
            del known["a.example"]
            await asyncio.sleep(301)
            found = [trunks.recognise("sip:x@y", f"192.0.2.{last}") for last in (1, 2, 3)]
            assert found == ["peer", None, "peer"]
            resolving.cancel()

    main()


def test_a_name_that_was_not_found_is_looked_up_again_soon_and_told_of_once(monkeypatch: pytest.MonkeyPatch) -> None:
    known: dict[str, str] = {}
    looked_up: list[float] = []

    def look_up(name: str, _port: None) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        looked_up.append(loop.time())
        if name not in known:
            raise OSError("no such name")
        return [(2, 1, 0, "", (known[name], 0))]

    monkeypatch.setattr("gateway.calls.trunks.socket.getaddrinfo", look_up)
    loop: asyncio.AbstractEventLoop

    @virtual
    async def main() -> None:
        nonlocal loop
        loop = asyncio.get_running_loop()
        peer = {"peer": {"register": False, "sources": ["a.example"]}}
        trunks = Trunks(Settings.model_validate({"trunks": peer}).trunks)
        async with asyncio.TaskGroup() as tasks:
            resolving = trunks.start(Registrar(), tasks)
            assert resolving is not None
            await asyncio.sleep(20)
            assert looked_up == pytest.approx([0, 2, 6, 14], abs=0.5)
            known["a.example"] = "192.0.2.1"
            await asyncio.sleep(20)
            assert trunks.recognise("sip:x@y", "192.0.2.1") == "peer"
            await asyncio.sleep(300)
            assert looked_up[4:] == pytest.approx([30, 330], abs=0.5)
            del known["a.example"]
            await asyncio.sleep(3000)
            assert trunks.recognise("sip:x@y", "192.0.2.1") == "peer"
            assert max(later - before for before, later in pairwise(looked_up)) < 301
            resolving.cancel()

    with capture_logs() as logs:
        main()
    told = [(line["log_level"], line["event"], line.get("keeps")) for line in logs]
    assert told == [
        ("warning", "trunk.source_unresolved", []),
        ("info", "trunk.source_resolved", None),
        ("warning", "trunk.source_unresolved", ["192.0.2.1/32"]),
    ]


def test_leaving_takes_back_what_was_registered() -> None:
    async def scenario(trunks: Trunks, registrar: Registrar) -> None:
        trunks.on_event(RegistrationAnswered("carrier", 200, "OK", 300))
        leaving = asyncio.create_task(trunks.unregister())
        registrar.changed.clear()
        await asyncio.wait_for(registrar.changed.wait(), 5)
        assert registrar.asked[-1] == ("carrier", False)
        trunks.on_event(RegistrationAnswered("carrier", 200, "OK", 0))
        await asyncio.wait_for(leaving, 5)
        assert trunks.registrations()["carrier"][0].state is State.UNREGISTERED

    run(scenario)


def test_the_password_is_in_no_repr() -> None:
    async def scenario(trunks: Trunks, _registrar: Registrar) -> None:
        assert trunks.accounts()[0].password == "secret"
        assert "secret" not in repr(trunks.accounts())

    run(scenario)
