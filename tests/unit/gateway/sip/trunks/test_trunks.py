import asyncio
import ipaddress
from collections.abc import Awaitable, Callable

import uvloop
from structlog.testing import capture_logs

from gateway.settings import Settings
from gateway.sip.events import ConnectionLost, RegistrationAnswered
from gateway.sip.registration import State
from gateway.sip.trunks.recognition import Recognition
from gateway.sip.trunks.resolving import Found, NameLookupError, PeerName
from gateway.sip.trunks.trunks import Trunks
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
        self.recognition = Recognition(())

    def recognise_with(self, recognition: Recognition) -> None:
        self.recognition = recognition

    def __call__(self, trunk: str, *, wanted: bool) -> None:
        self.asked.append((trunk, wanted))
        self.changed.set()


TRUNKS = Settings.model_validate(SETTINGS).trunks
KEY = b"x" * 32


async def nowhere(name: PeerName) -> Found:
    raise NameLookupError(f"{name.host} is not to be looked up")


def heard_from(registrar: Registrar, source: str) -> str | None:
    return registrar.recognition.trunk_of(source, "sip:600@192.0.2.1", "")


def run(scenario: Callable[[Trunks, Registrar], Awaitable[None]]) -> None:
    @virtual
    async def main() -> None:
        trunks, registrar = Trunks(TRUNKS, KEY, nowhere), Registrar()
        registrar.recognise_with(trunks.recognition())
        async with asyncio.TaskGroup() as tasks:
            assert trunks.start(registrar, registrar.recognise_with, tasks) == []  # no names to look up
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


def test_an_attempt_that_is_due_at_once_can_be_shown_on_uvloop() -> None:
    """Its handle is no timer there."""

    async def main() -> None:
        trunks, registrar = Trunks(TRUNKS, KEY, nowhere), Registrar()
        async with asyncio.TaskGroup() as tasks:
            trunks.start(registrar, registrar.recognise_with, tasks)
            trunks.on_event(RegistrationAnswered("carrier", 200, "OK", 300))
            trunks.on_event(ConnectionLost("carrier"))
            assert trunks.registrations()["carrier"][1] == 0.0
            await trunks.unregister()

    uvloop.run(main())


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


def test_the_line_is_the_installations_own_and_outlives_the_process() -> None:
    def lines(key: bytes) -> list[str]:
        return [account.line for account in Trunks(TRUNKS, key, nowhere).accounts()]

    @virtual
    async def main() -> None:
        assert len({*lines(KEY), *lines(bytes(32))}) == 4
        assert lines(KEY) == lines(KEY)

    main()


def test_a_call_to_a_trunks_line_from_elsewhere_is_told() -> None:
    async def scenario(trunks: Trunks, registrar: Registrar) -> None:
        line = trunks.accounts()[0].line
        with capture_logs() as logs:
            trunks.on_stranger(f"sip:alice@192.0.2.1;line={line};ob", "203.0.113.5:5060")
            trunks.on_stranger("sip:alice@192.0.2.1;line=0123456789abcdef", "203.0.113.6:5060")
            trunks.on_stranger("sip:alice@192.0.2.1", "203.0.113.7:5060")
        (told,) = logs
        assert (told["event"], told["trunk"]) == ("trunk.call_from_elsewhere", "carrier")
        assert told["source"] == "203.0.113.5:5060"

    run(scenario)


def test_who_grants_a_registration_is_the_trunks_while_it_lasts() -> None:
    async def scenario(trunks: Trunks, registrar: Registrar) -> None:
        assert heard_from(registrar, "203.0.113.5") is None
        trunks.on_event(RegistrationAnswered("carrier", 401, "Unauthorized", 0, source_ip="203.0.113.5"))
        assert heard_from(registrar, "203.0.113.5") is None
        trunks.on_event(RegistrationAnswered("carrier", 200, "OK", 300, source_ip="203.0.113.5"))
        assert heard_from(registrar, "203.0.113.5") == "carrier"
        await asyncio.sleep(240)
        trunks.on_event(RegistrationAnswered("carrier", 200, "OK", 300, source_ip="203.0.113.6"))
        assert {heard_from(registrar, f"203.0.113.{last}") for last in (5, 6)} == {"carrier"}
        await asyncio.sleep(240)
        trunks.on_event(RegistrationAnswered("carrier", 200, "OK", 300, source_ip="203.0.113.6"))
        assert [heard_from(registrar, f"203.0.113.{last}") for last in (5, 6)] == [None, "carrier"]
        await asyncio.sleep(301)
        assert heard_from(registrar, "203.0.113.6") is None, "it was not renewed"
        assert heard_from(registrar, "192.0.2.10") == "carrier", "as its settings say"

    run(scenario)


def test_the_names_of_hosts_are_the_trunks() -> None:
    asked: list[PeerName] = []

    async def resolve(name: PeerName) -> Found:
        asked.append(name)
        return Found(frozenset({ipaddress.ip_network(f"203.0.113.{len(asked)}")}), 3600)

    named = {
        "a": {"registrar": "sip.example", "user": "u", "transport": "tcp", "proxy": "sbc.example:5070"},
        "b": {"register": False, "sources": ["peer.example", "198.51.100.1"]},
    }

    @virtual
    async def main() -> None:
        trunks, registrar = Trunks(Settings.model_validate({"trunks": named}).trunks, KEY, resolve), Registrar()
        async with asyncio.TaskGroup() as tasks:
            looking_up = trunks.start(registrar, registrar.recognise_with, tasks)
            await asyncio.sleep(1)
            assert set(asked) == {PeerName("sip.example", "tcp"), PeerName("sbc.example"), PeerName("peer.example")}
            found = {name: heard_from(registrar, f"203.0.113.{1 + asked.index(name)}") for name in asked}
            assert {name.host: trunk for name, trunk in found.items()} == {
                "sip.example": "a",
                "sbc.example": "a",
                "peer.example": "b",
            }
            assert heard_from(registrar, "198.51.100.1") == "b"
            for task in looking_up:
                task.cancel()

    main()


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
