from gateway.calls.party_record import PartyRecord
from gateway.calls.record import CallRecord


def test_what_does_not_apply_is_left_out_and_nought_is_not() -> None:
    record = CallRecord("id@host", PartyRecord("192.0.2.1:5060"), None, "600", "alice")
    keys = record.as_keys()
    assert "trunk" not in keys
    assert "mos" not in keys
    assert keys["from"] == "alice"
    assert keys["barge_ins"] == keys["packets_received"] == 0
    assert keys["source"] == "192.0.2.1:5060"


def test_a_call_without_an_id_has_a_record_like_any() -> None:
    assert CallRecord("", PartyRecord("192.0.2.1:5060"), None, "600", "alice").as_keys()["call_id"] == ""
