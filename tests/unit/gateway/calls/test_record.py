import time
import uuid

from gateway.calls.outcome import EndCause, Failure
from gateway.calls.party_record import PartyRecord
from gateway.calls.record import CallRecord, uuid7


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


def test_why_it_ended_stands_beside_what_sip_said() -> None:
    party = PartyRecord("192.0.2.1:5060", code=488, reason="Not Acceptable Here")
    record = CallRecord("id@host", party, None, "600", "alice", cause=EndCause.MEDIA_FAILED)
    record.failures = (Failure(EndCause.AGENT_BUSY, "no place"),)
    keys = record.as_keys()
    assert (keys["cause"], keys["ended_by"], keys["class"]) == ("media-failed", "gateway", "theirs")
    assert (keys["code"], keys["reason"]) == (488, "Not Acceptable Here")
    assert keys["failures"] == ("agent-busy: no place",)


def test_the_start_is_in_utc() -> None:
    keys = CallRecord("id@host", PartyRecord("192.0.2.1:5060"), None, "600", "alice").as_keys()
    assert str(keys["started"]).endswith("+00:00")


def test_an_id_sorts_by_the_time_of_its_call() -> None:
    before_ms = time.time_ns() // 1_000_000
    made = uuid7()
    assert before_ms <= made.int >> 80 <= time.time_ns() // 1_000_000
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
