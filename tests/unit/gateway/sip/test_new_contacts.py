"""New Contacts are told to every call, to few at a time, and again where a peer could not take one."""

from __future__ import annotations

from collections import Counter

from gateway.sip.new_contacts import NewContacts


class Scene:
    """Calls that can be told, and what was told."""

    def __init__(self, calls: int = 1) -> None:
        self.told: Counter[TellingCall] = Counter()
        self.reports: list[str] = []
        self.contacts = NewContacts(lambda where, error, call_id: self.reports.append(f"{where} {error!r} {call_id}"))
        self.calls = [TellingCall(self, f"call-{number}") for number in range(calls)]

    def turns(self, count: int, first_s: int = 0) -> list[int]:
        """One turn of the thread every second: how many were told in each."""
        told = []
        for now_s in range(first_s, first_s + count):
            before = self.told.total()
            self.contacts.turn(float(now_s))
            told.append(self.told.total() - before)
        return told


class TellingCall:
    """A call that notes what it is asked for."""

    def __init__(self, scene: Scene, sip_call_id: str) -> None:
        self.sip_call_id = sip_call_id
        self.answer: bool | Exception = True
        self._scene = scene

    def tell_contact(self) -> bool:
        """As it was told to."""
        self._scene.told[self] += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_many_calls_are_told_a_few_at_a_time() -> None:
    scene = Scene(calls=12)
    scene.contacts.add(scene.calls)
    assert scene.contacts.turn(0.0)
    assert scene.told.total() == 5
    assert scene.contacts.turn(0.0)
    assert not scene.contacts.turn(0.0)
    assert scene.told == Counter(scene.calls)
    assert sum(scene.turns(40, 1)) == 0


def test_a_flapping_trunk_tells_nobody_twice() -> None:
    scene = Scene(calls=12)
    for _ in range(100):
        scene.contacts.add(scene.calls)
    scene.turns(40)
    assert scene.told == Counter(scene.calls)


def test_who_cannot_be_told_now_is_told_later() -> None:
    scene = Scene()
    scene.calls[0].answer = False  # its ACK has not come
    scene.contacts.add(scene.calls)
    scene.turns(3)
    scene.calls[0].answer = True
    scene.turns(40, 3)
    assert 3 <= scene.told.total() <= 4
    assert not scene.reports


def test_who_refuses_it_is_told_later_for_half_a_minute() -> None:
    scene = Scene()
    (call,) = scene.calls
    scene.contacts.add(scene.calls)
    for now_s in range(60):
        scene.contacts.turn(float(now_s))
        scene.contacts.on_refused(call)
    assert scene.told[call] == 30


def test_a_fault_is_reported_once_and_costs_no_other_call_anything() -> None:
    scene = Scene(calls=2)
    scene.calls[0].answer = RuntimeError("busy")
    scene.contacts.add(scene.calls)
    scene.turns(60)
    assert scene.told[scene.calls[1]] == 1
    assert scene.told[scene.calls[0]] == 30
    assert scene.reports == ["tell_contact RuntimeError('busy') call-0"]


def test_a_call_that_is_over_is_forgotten() -> None:
    scene = Scene(calls=3)
    scene.calls[0].answer = False
    scene.contacts.add(scene.calls)
    scene.contacts.forget(scene.calls[2])
    scene.contacts.turn(0.0)
    for call in scene.calls:
        scene.contacts.forget(call)
        scene.contacts.on_refused(call)
    assert sum(scene.turns(40, 1)) == 0
    assert scene.told[scene.calls[2]] == 0
