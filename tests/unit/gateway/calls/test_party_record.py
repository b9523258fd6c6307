import pytest

from gateway.calls.party_record import PartyRecord, mos
from media.leg import Counters


def test_a_perfect_line_is_as_good_as_g711_gets() -> None:
    assert mos(0.0, 0.0) == pytest.approx(4.41, abs=0.01)


def test_loss_and_delay_are_heard() -> None:
    assert 3.5 < mos(2.0, 0.0) < 4.3
    assert mos(20.0, 0.0) < 2.7
    assert mos(0.0, 400.0) < mos(0.0, 100.0)
    assert mos(100.0, 2000.0) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("counted", "loss_pct"),
    [
        ({}, 0.0),
        ({"packets_received": 2_000}, 0.0),
        ({"packets_lost": 10, "packets_received": 990, "frames_in": 1_000, "frames_concealed": 10}, 1.0),
        ({"packets_received": 1_000, "packets_late": 20, "frames_in": 1_000, "frames_concealed": 20}, 2.0),
        ({"packets_lost": 500, "packets_received": 500, "frames_in": 1_000, "frames_filled": 496}, 50.0),
        ({"packets_received": 100, "frames_in": 1_000, "frames_filled": 900, "frames_concealed": 1}, 1.0),
    ],
    ids=["nothing came", "every packet twice", "lost", "too late", "an outage", "a caller who was mostly silent"],
)
def test_loss_is_what_of_the_callers_voice_was_not_heard(counted: dict[str, int], loss_pct: float) -> None:
    record = PartyRecord("192.0.2.1:5060")
    record.add_media(Counters(**counted))
    assert record.loss_pct == pytest.approx(loss_pct, abs=0.01)
    assert (record.mos is None) == (record.packets_received == 0)
