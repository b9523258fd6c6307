"""ControlMessages messages of Asterisk's WebSocket channel, against what Asterisk's own source writes and reads."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.agents.network.chan_websocket import (
    FORMATS,
    BadCommandError,
    ControlMessages,
    MediaCommand,
    Verb,
    frame_bytes,
)

PLAIN, JSON = ControlMessages("c1", as_json=False), ControlMessages("c1", as_json=True)


def test_the_start_as_plain_text_and_as_json() -> None:
    about = ("WebSocket/c1", "slin16", FORMATS["slin16"], {"FROM": "+49 30"})
    fields = "connection_id:c1 channel:WebSocket/c1 channel_id:c1 format:slin16 optimal_frame_size:640 ptime:20"
    assert PLAIN.started(*about).decode() == f"MEDIA_START {fields}"
    assert json.loads(JSON.started(*about)) == {
        "event": "MEDIA_START",
        "connection_id": "c1",
        "channel": "WebSocket/c1",
        "channel_id": "c1",
        "format": "slin16",
        "optimal_frame_size": 640,
        "ptime": 20,
        "channel_variables": {"FROM": "+49 30"},
    }


def test_events_as_plain_text() -> None:
    assert PLAIN.key("#") == b"DTMF_END digit:# channel_id:c1"
    assert (PLAIN.marked("a b"), PLAIN.marked("")) == (b"MEDIA_MARK_PROCESSED a b", b"MEDIA_MARK_PROCESSED")
    assert PLAIN.buffered("7") == b"MEDIA_BUFFERING_COMPLETED 7"
    assert (PLAIN.drained(), PLAIN.wait(), PLAIN.go_on()) == (b"QUEUE_DRAINED", b"MEDIA_XOFF", b"MEDIA_XON")
    assert PLAIN.error("no") == b"ERROR channel_id:c1 error_text:no"
    assert PLAIN.status(12, full=True, buffering=False) == (
        b"STATUS channel_id:c1 queue_length:12 xon_level:800 xoff_level:900 "
        b"queue_full:true bulk_media:false media_paused:false"
    )


def test_events_as_json() -> None:
    assert json.loads(JSON.key("5")) == {"event": "DTMF_END", "digit": "5", "channel_id": "c1"}
    marked = {"event": "MEDIA_MARK_PROCESSED", "channel_id": "c1", "correlation_id": ""}
    assert json.loads(JSON.marked("")) == marked
    assert json.loads(JSON.drained()) == {"event": "QUEUE_DRAINED", "channel_id": "c1"}
    assert json.loads(JSON.status(0, full=False, buffering=True))["bulk_media"] is True


@pytest.mark.parametrize("verb", Verb)
def test_commands(verb: Verb) -> None:
    assert PLAIN.command(f"{verb.value} id 1 \n".encode()) == MediaCommand(verb, "id 1")
    assert PLAIN.command(verb.value.encode()) == MediaCommand(verb)
    assert JSON.command(json.dumps({"command": verb.value, "correlation_id": "7"}).encode()) == MediaCommand(verb, "7")
    assert JSON.command(json.dumps({"command": verb.value, "correlation_id": 7}).encode()) == MediaCommand(verb)


@pytest.mark.parametrize("text", [b"", b"DANCE", b"answer", b"\xff", b"{", b"[]", b'{"command": ["ANSWER"]}', b"null"])
def test_what_is_no_command(text: bytes) -> None:
    for control in (PLAIN, JSON):
        with pytest.raises(BadCommandError):
            control.command(text)


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: f"MARK_MEDIA {text}".encode()))
def test_nothing_that_comes_raises_anything_else(text: bytes) -> None:
    for control in (PLAIN, JSON):
        with contextlib.suppress(BadCommandError):
            assert len(control.command(text).correlation_id) <= 128


@pytest.mark.parametrize(
    ("name", "size"), [("ulaw", 160), ("alaw", 160), ("slin", 320), ("slin44", 1764), ("slin48", 1920)]
)
def test_the_size_of_a_frame(name: str, size: int) -> None:
    assert frame_bytes(FORMATS[name]) == size
