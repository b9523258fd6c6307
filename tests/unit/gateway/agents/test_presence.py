"""A vendor that hears callers who do not speak: what the gateway confirms."""

from __future__ import annotations

from gateway.agents.network.presence import Presence


def test_a_caller_who_speaks_is_confirmed_at_once() -> None:
    presence = Presence()
    assert not presence.began(1.0)
    assert presence.is_confirmed(5.0)
    presence.ended(6.0)
    assert presence.is_confirmed(6.5)
    assert presence.unconfirmed == 0


def test_a_phantom_is_confirmed_by_nobody_or_within_a_moment() -> None:
    presence = Presence()
    assert not presence.is_confirmed(1.0)
    assert presence.began(1.5), "the gateway was a little later"
    assert presence.unconfirmed == 0
    presence.ended(2.0)
    assert not presence.is_confirmed(3.0)
    assert not presence.began(4.0), "too late to be the same"
    assert presence.unconfirmed == 1
