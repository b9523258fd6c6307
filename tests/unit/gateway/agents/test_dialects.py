"""The messages of each provider, as its documentation has them."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from gateway.agents.network.dialects import DIALECTS, Exotel, Plivo, Telnyx
from gateway.agents.network.twilio import BadMessageError, BotAudio, Clear, Dialect, Mark, StreamFacts, Twilio

FACTS = StreamFacts("0123abcd", "ac1", "+4930", "600", {"tier": "gold%d"})
AUDIO = b"\x00\x7f\xff"
PAYLOAD = base64.b64encode(AUDIO)


def parsed(text: bytes | None) -> Any:
    assert text is not None
    return json.loads(text)


@pytest.mark.parametrize("name", DIALECTS)
def test_each_message_is_json_and_counts_on(name: str) -> None:
    stream = DIALECTS[name](FACTS)
    numbered = [*stream.opening(), stream.media(PAYLOAD, 20), stream.dtmf("5", 100), stream.mark('a"b'), stream.stop()]
    numbers = [parsed(text).get("sequenceNumber", parsed(text).get("sequence_number")) for text in numbered]
    counted = [int(number) for number in numbers if number is not None]
    assert counted == list(range(counted[0], counted[0] + len(counted)))
    assert parsed(stream.media(PAYLOAD, 20))["media"]["payload"] == PAYLOAD.decode()


@pytest.mark.parametrize("make", [Twilio, Telnyx, Exotel])
def test_a_bot_that_writes_as_for_twilio(make: Any) -> None:
    stream: Dialect = make(FACTS)
    media = {"event": "media", "streamSid": "x", "media": {"payload": PAYLOAD.decode()}}
    assert stream.command(json.dumps(media).encode()) == BotAudio(AUDIO)
    assert stream.command(b'{"event":"mark","mark":{"name":"a"}}') == Mark("a")
    assert stream.command(b'{"event":"clear"}') == Clear()
    assert stream.command(b'{"event":"dance"}') is None
    assert stream.cleared() is None
    for bad in (b"", b"{", b"\xff", b'{"event":"mark"}', b'{"event":"media","media":{"payload":"%"}}'):
        with pytest.raises(BadMessageError):
            stream.command(bad)


def test_telnyx() -> None:
    stream = Telnyx(FACTS)
    connected, start = (parsed(text) for text in stream.opening())
    assert connected == {"event": "connected", "version": "1.0.0"}
    assert (start["stream_id"], start["sequence_number"]) == ("0123abcd", "1")
    assert start["start"]["call_control_id"] == "v3:0123abcd"
    assert start["start"]["media_format"] == {"encoding": "PCMU", "sample_rate": 8000, "channels": 1}
    assert (start["start"]["from"], start["start"]["to"]) == ("+4930", "600")
    assert parsed(stream.media(PAYLOAD, 20))["media"]["timestamp"] == "0"
    assert parsed(stream.media(PAYLOAD, 20))["media"]["timestamp"] == "20"
    assert parsed(stream.dtmf("5", 100))["dtmf"] == {"digit": "5"}


def test_exotel() -> None:
    stream = Exotel(FACTS)
    assert stream.coding == "l16"
    start = parsed(stream.opening()[1])
    assert start["start"]["stream_sid"] == start["stream_sid"] == "0123abcd"
    assert (start["start"]["call_sid"], start["start"]["account_sid"]) == ("0123abcd", "ac1")
    assert start["start"]["custom_parameters"] == {"tier": "gold%d"}
    assert parsed(stream.dtmf("5", 120))["dtmf"] == {"digit": "5", "duration": "120"}
    assert parsed(stream.stop())["stop"]["reason"] == "callended"


def test_plivo() -> None:
    stream = Plivo(FACTS)
    (text,) = stream.opening()
    start = parsed(text)
    assert (start["event"], start["start"]["callId"], start["start"]["streamId"]) == ("start", "0123abcd", "0123abcd")
    assert start["extra_headers"] == "tier=gold%d"
    media = parsed(stream.media(PAYLOAD, 20))
    assert (media["sequenceNumber"], media["media"]["chunk"], media["extra_headers"]) == (1, 1, "tier=gold%d")
    assert parsed(stream.mark("a")) == {
        "event": "playedStream",
        "sequenceNumber": 2,
        "streamId": "0123abcd",
        "name": "a",
    }
    assert parsed(stream.cleared())["event"] == "clearedAudio"
    play = {"contentType": "audio/x-mulaw", "sampleRate": "8000", "payload": PAYLOAD.decode()}
    assert stream.command(json.dumps({"event": "playAudio", "media": play}).encode()) == BotAudio(AUDIO)
    assert stream.command(b'{"event":"checkpoint","streamId":"x","name":"a"}') == Mark("a")
    assert stream.command(b'{"event":"clearAudio","streamId":"x"}') == Clear()
    assert stream.command(b'{"event":"media"}') is None
    wrong = json.dumps({"event": "playAudio", "media": {**play, "sampleRate": 16000}}).encode()
    for bad in (b"", b'{"event":"checkpoint"}', b'{"event":"playAudio"}', wrong):
        with pytest.raises(BadMessageError):
            stream.command(bad)
