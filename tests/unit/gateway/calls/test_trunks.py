import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gateway.calls.trunks import Trunks
from gateway.settings import Settings
from gateway.sip.events import RegistrationAnswered
from gateway.sip.registration import State

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
    async def main() -> None:
        trunks, registrar = Trunks(Settings.model_validate(SETTINGS).trunks), Registrar()
        async with asyncio.TaskGroup() as tasks:
            assert trunks.start(registrar, tasks) is None  # no names to look up
            await scenario(trunks, registrar)

    asyncio.run(main())


def test_only_those_who_want_it_register() -> None:
    async def scenario(trunks: Trunks, registrar: Registrar) -> None:
        assert registrar.asked == [("carrier", True)]
        assert trunks.registrations()["carrier"][0].state is State.REGISTERING
        assert trunks.registrations()["peer"][0].state is State.UNREGISTERED

    run(scenario)


def test_a_failure_is_tried_again_when_it_is_due() -> None:
    async def scenario(trunks: Trunks, registrar: Registrar) -> None:
        registrar.changed.clear()
        trunks.on_answer(RegistrationAnswered("carrier", 503, "Busy", 0))
        registration, retry_in_s = trunks.registrations()["carrier"]
        assert registration.state is State.FAILED
        assert retry_in_s is not None
        await asyncio.wait_for(registrar.changed.wait(), 5)
        assert registrar.asked == [("carrier", True), ("carrier", True)]

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


def test_leaving_takes_back_what_was_registered() -> None:
    async def scenario(trunks: Trunks, registrar: Registrar) -> None:
        trunks.on_answer(RegistrationAnswered("carrier", 200, "OK", 300))
        leaving = asyncio.create_task(trunks.unregister())
        registrar.changed.clear()
        await asyncio.wait_for(registrar.changed.wait(), 5)
        assert registrar.asked[-1] == ("carrier", False)
        trunks.on_answer(RegistrationAnswered("carrier", 200, "OK", 0))
        await asyncio.wait_for(leaving, 5)
        assert trunks.registrations()["carrier"][0].state is State.UNREGISTERED

    run(scenario)


def test_the_password_is_in_no_repr() -> None:
    async def scenario(trunks: Trunks, _registrar: Registrar) -> None:
        assert trunks.accounts()[0].password == "secret"
        assert "secret" not in repr(trunks.accounts())

    run(scenario)
