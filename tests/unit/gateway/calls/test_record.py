import pytest

from gateway.calls.record import CallRecord, mos


def test_what_does_not_apply_is_left_out_and_nought_is_not() -> None:
    record = CallRecord("id@host", "192.0.2.1:5060", None, "600", "alice")
    keys = record.as_keys()
    assert "trunk" not in keys
    assert "mos" not in keys
    assert keys["from"] == "alice"
    assert keys["barge_ins"] == 0


def test_a_perfect_line_is_as_good_as_g711_gets() -> None:
    assert mos(0.0, 0.0) == pytest.approx(4.41, abs=0.01)


def test_loss_and_delay_are_heard() -> None:
    assert 3.5 < mos(2.0, 0.0) < 4.3
    assert mos(20.0, 0.0) < 2.7
    assert mos(0.0, 400.0) < mos(0.0, 100.0)
    assert mos(100.0, 2000.0) == pytest.approx(1.0)
