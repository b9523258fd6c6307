"""The caller speaks over a 20 s answer: what goes over the wire, and what the agent is told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.e2e.gateway_process import GatewayProcess, Json, Setup, python_agent, to_agent
from tests.e2e.peers.caller import Caller
from tests.e2e.peers.process import wait_until
from tests.e2e.peers.rtp import decode_ulaw, encode_ulaw
from tests.e2e.peers.sound import level_dbfs, silence
from tests.fake_leg import voice

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.e2e.peers.call import Call
    from tests.e2e.peers.rtp import RtpPacket
    from tests.e2e.peers.sound import Pcm

RATE_HZ = 8000
ANSWER_MS = 20_000
MIN_SPEECH_MS = 120
STOP_MS = 80.0
"""From the packet that completes `min_speech` to the last one of the answer. The benchmark measures it."""

HEARD_MS = 20
"""How right the agent's count of heard milliseconds must be."""


def unlike_itself(length_ms: int) -> Pcm:
    """A sound without silence, no part of which is like another: noise, steadily loud."""
    return np.random.default_rng(7).integers(2000, 9000, length_ms * RATE_HZ // 1000).astype(np.int16)


ANSWER = unlike_itself(ANSWER_MS)
SPEECH = voice(RATE_HZ, 1500)
COUGH = voice(RATE_HZ, 150, seed=3)
MODES: tuple[str, ...] = ("cut", "pause", "off")


@pytest.fixture(scope="module")
def gateway() -> Iterator[GatewayProcess]:
    agents: dict[str, Json] = {
        mode: python_agent(
            "Diary", options={"sound": "answer.wav"}, barge_in={"mode": mode, "min_speech": f"{MIN_SPEECH_MS}ms"}
        )
        for mode in MODES
    }
    for mode in ("cut", "pause"):
        agents[f"real-time-{mode}"] = python_agent("SpeaksInRealTime", barge_in={"mode": mode})
    agents["speaker"] = {"kind": "speaker", "files": ["answer.wav"], "barge_in": {"mode": "cut"}}
    routes = [to_agent(name, name) for name in agents]
    with GatewayProcess(Setup(routes, agents, sounds={"answer.wav": ANSWER})) as running:
        yield running


def is_answer(packet: RtpPacket) -> bool:
    return packet.payload_type == 0 and level_dbfs(packet.pcm) > -40


def answer_ms(packets: Sequence[RtpPacket]) -> float:
    """How much of the answer these packets hold, to the sample."""
    samples = sum(int(np.count_nonzero(np.abs(packet.pcm) > 1000)) for packet in packets)
    return samples * 1000 / RATE_HZ


def spoken(call: Call) -> list[RtpPacket]:
    return [packet for packet in call.stream.sent if level_dbfs(packet.pcm) > -40]


def diary(gateway: GatewayProcess, call: Call, event: str) -> dict[str, int]:
    """The first note of this kind, once it is there."""
    path = gateway.directory / f"diary-{call.call_id}"

    def look() -> dict[str, int] | None:
        lines = path.read_text().splitlines() if path.exists() else []
        notes: list[dict[str, int]] = [json.loads(line) for line in lines]
        return next((note for note in notes if str(note["event"]) == event), None)

    return wait_until(look, f"{event} in the diary", 5)


def dial(caller: Caller, number: str) -> Call:
    """A call in which the answer has been heard for a second."""
    call = caller.dial(number)
    call.wait_answered()
    wait_until(lambda: answer_ms(call.received) > 1000, "a second of the answer", 5)
    return call


@pytest.mark.parametrize("mode", ["cut", "pause"])
def test_the_answer_stops_and_the_agent_knows_what_was_heard(
    gateway: GatewayProcess, caller: Caller, mode: str
) -> None:
    call = dial(caller, mode)
    call.send(SPEECH)
    interrupted = diary(gateway, call, "Interrupted")
    call.stream.wait_sent()
    wire = [packet for packet in call.received if is_answer(packet)]
    assert 1000 * (wire[-1].time_s - spoken(call)[0].time_s) - MIN_SPEECH_MS < STOP_MS
    assert interrupted["heard_ms"] == pytest.approx(answer_ms(wire), abs=HEARD_MS)
    assert interrupted["unheard_ms"] > 10_000, "it had queued far ahead"
    told = diary(gateway, call, "Spoken")
    assert told["interrupted"]
    assert told["heard_ms"] == interrupted["heard_ms"]
    assert call.hangup() == 200
    record = gateway.record(call.call_id)
    assert (record["barge_ins"], record["barge_ins_rejected"]) == (1, 0)
    assert record["unheard_ms"] == interrupted["unheard_ms"]


def test_a_cough_does_not_lose_a_word(gateway: GatewayProcess, caller: Caller) -> None:
    call = dial(caller, "pause")
    call.send(COUGH)
    assert diary(gateway, call, "Resumed")
    call.send(silence(700))
    wait_until(lambda: answer_ms(call.received) > 3000, "the answer goes on", 5)
    call.send(COUGH)
    wait_until(lambda: answer_ms(call.received) > ANSWER_MS - 1, "the whole answer", 25)
    assert diary(gateway, call, "Spoken")["heard_ms"] == ANSWER_MS
    assert call.hangup() == 200
    frames = [packet.pcm for packet in call.received if packet.payload_type == 0]
    loud = [frame for frame in frames if np.any(np.abs(frame) > 1000)]
    words = np.concatenate(loud)
    words = words[np.flatnonzero(np.abs(words) > 1000)]
    source = decode_ulaw(encode_ulaw(ANSWER))
    assert len(words) == len(source)
    assert np.abs(words.astype(np.int32) - source).max() <= np.abs(source).max() // 16, "no more than the codec's step"
    record = gateway.record(call.call_id)
    assert (record["barge_ins"], record["barge_ins_rejected"]) == (0, 2)


def test_the_pause_is_there_and_the_answer_goes_on(gateway: GatewayProcess, caller: Caller) -> None:
    call = dial(caller, "pause")
    call.send(COUGH)
    resumed = diary(gateway, call, "Resumed")
    wait_until(lambda: answer_ms(call.received) > resumed["heard_ms"] + 500, "the answer goes on", 5)
    loud = [packet.time_s for packet in call.received if is_answer(packet)]
    gaps_ms = 1000 * np.diff(loud)
    # From the pause until 300 ms of silence have rejected the interruption.
    assert gaps_ms.max() == pytest.approx(150 - MIN_SPEECH_MS + 300, abs=120)
    assert answer_ms(call.received[: int(np.argmax(gaps_ms)) + 1]) <= resumed["heard_ms"] + HEARD_MS
    assert call.hangup() == 200


def test_nobody_interrupts_in_mode_off(gateway: GatewayProcess, caller: Caller) -> None:
    call = dial(caller, "off")
    before_ms = answer_ms(call.received)
    call.send(SPEECH)
    call.stream.wait_sent()
    wait_until(lambda: answer_ms(call.received) > before_ms + 1700, "the answer goes on", 5)
    loud = [packet.time_s for packet in call.received if is_answer(packet)]
    assert 1000 * np.diff(loud).max() < 150
    assert diary(gateway, call, "SpeechStarted")
    assert call.hangup() == 200
    assert gateway.record(call.call_id)["barge_ins"] == 0


def test_a_speaker_gives_way_and_hangs_up(gateway: GatewayProcess, caller: Caller) -> None:
    call = dial(caller, "speaker")
    call.send(SPEECH)
    assert call.wait_ended() == "them"
    speech = spoken(call)
    last_s = [packet.time_s for packet in call.received if is_answer(packet)][-1]
    assert 1000 * (last_s - speech[0].time_s) - MIN_SPEECH_MS < STOP_MS
    assert gateway.record(call.call_id)["barge_ins"] == 1


@pytest.mark.parametrize("mode", ["cut", "pause"])
def test_an_agent_that_speaks_frame_by_frame_is_interrupted(gateway: GatewayProcess, caller: Caller, mode: str) -> None:
    call = dial(caller, f"real-time-{mode}")
    call.send(SPEECH)
    assert call.wait_ended() == "them"
    last_s = [packet.time_s for packet in call.received if is_answer(packet)][-1]
    assert 1000 * (last_s - spoken(call)[0].time_s) - MIN_SPEECH_MS < STOP_MS
    record = gateway.record(call.call_id)
    assert (record["barge_ins"], record["cause"]) == (1, "agent-hung-up")


def test_silence_and_line_noise_interrupt_nobody(gateway: GatewayProcess, caller: Caller) -> None:
    call = dial(caller, "cut")
    call.send(np.random.default_rng(5).normal(0, 30, RATE_HZ * 2).astype(np.int16))
    call.stream.wait_sent()
    wait_until(lambda: answer_ms(call.received) > 3200, "the answer goes on", 5)
    assert call.hangup() == 200
    assert gateway.record(call.call_id)["barge_ins"] == 0
