"""Whose RTP is heard, and where ours goes: the caller's, whoever else sends."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from typing import TYPE_CHECKING, Self

import numpy as np
import pytest

from tests.e2e.gateway_process import GatewayProcess, Setup
from tests.e2e.listening import tones
from tests.e2e.peers.call import Manner
from tests.e2e.peers.caller import Caller
from tests.e2e.peers.process import FIRST_PORT, LAST_PORT, wait_until
from tests.e2e.peers.rtp import FRAME_SAMPLES, PCMU, RtpPacket
from tests.e2e.peers.rtp_stream import FRAME_S
from tests.e2e.peers.sound import level_dbfs, tone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from tests.e2e.peers.call import Call

STRANGER = "127.0.0.2"
SSRC = 0xBAD
LOUD_FRAME = bytes([0x90]) * FRAME_SAMPLES
UNPROVED_PACKETS = 50
"""What goes to an address before it has shown that it wants it: a second of sound."""
ELSEWHERE_PACKETS = 500
"""What goes to another host than acknowledged that it wants it."""


class Stranger:
    """Sends to a call's port as often as it likes, and counts what it gets for it."""

    def __init__(self, call: Call) -> None:
        assert call.stream.remote is not None
        self._target = call.stream.remote
        self._sequence = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((STRANGER, 0))
        self._socket.setblocking(False)

    def send(self, packets: int) -> None:
        """So many at once."""
        for _ in range(packets):
            self._sequence += 1
            timestamp = self._sequence * FRAME_SAMPLES
            packet = RtpPacket(0.0, self._sequence, timestamp, SSRC, PCMU, marker=False, payload=LOUD_FRAME)
            self._socket.sendto(packet.pack(), self._target)

    def send_for(self, seconds: float, packets: int, every_s: float = FRAME_S) -> None:
        """So many again and again."""
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            self.send(packets)
            time.sleep(every_s)

    def received(self) -> int:
        """Packets that came since this was asked last."""
        count = 0
        while True:
            try:
                self._socket.recv(4096)
            except BlockingIOError:
                return count
            count += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()


@pytest.fixture(scope="module")
def gateway() -> Iterator[GatewayProcess]:
    with GatewayProcess(Setup()) as running:
        yield running


def test_ports_begin_at_a_random_place_after_a_start() -> None:
    """The telephone of a call that a restart has ended goes on sending to its port: the next call gets another."""
    first_ports = set()
    with GatewayProcess(Setup()) as gateway:
        for start in range(4):
            if start:
                gateway.kill()
                gateway.start()
            with Caller(gateway.address) as caller:
                call = caller.dial("600")
                call.wait_answered()
                assert call.stream.remote is not None
                first_ports.add(call.stream.remote[1])
                assert call.hangup() == 200
    assert len(first_ports) > 1


def test_talk_spurts_come_back_whole(caller: Caller) -> None:
    """A caller that sends nothing while it is silent; every spurt begins with a marker (RFC 3551 section 4.1)."""
    call = caller.dial("600", Manner(phone=False))
    call.wait_answered()
    noise = np.random.default_rng(1).integers(100, 8000, size=(8, 4000), dtype=np.int16)  # no frame is like another
    for spurt in noise:
        call.send(spurt)
        call.stream.wait_sent()
        time.sleep(0.2)  # the rest
    call.wait_heard(300, since_s=time.monotonic())
    heard = {packet.payload for packet in call.received}
    lost = [number for number, packet in enumerate(call.stream.sent) if packet.payload not in heard]
    assert not lost, f"of {len(call.stream.sent)} frames"
    assert call.hangup() == 200


def heard_hz(call: Call, since_s: float) -> set[float]:
    return {round(run.tone_hz, -1) for run in tones(call.heard(since_s))}


def test_a_stranger_who_sends_first_is_not_the_caller(gateway: GatewayProcess, caller: Caller) -> None:
    call = caller.dial("600", Manner(speak=False))
    call.wait_answered()
    with Stranger(call) as stranger:
        stranger.send_for(0.3, 1, every_s=0.1)
        assert call.stream.remote is not None
        call.stream.start(call.stream.remote)
        call.wait_heard(100)
        stranger.received()
        began_s = time.monotonic()
        call.send(tone(440, 1000))
        stranger.send_for(1.3, 1, every_s=0.1)
        assert heard_hz(call, began_s) == {440}
        assert stranger.received() == 0
    assert call.hangup() == 200
    foreign = gateway.record(call.call_id)["packets_foreign"]
    assert isinstance(foreign, int)
    assert foreign >= 8


@pytest.mark.parametrize("speaks", [True, False], ids=["speaks", "is-silent"])
@pytest.mark.parametrize("packets", [1, 12], ids=["50-a-second", "600-a-second"])
def test_a_stranger_takes_over_no_call(gateway: GatewayProcess, caller: Caller, packets: int, *, speaks: bool) -> None:
    call = caller.dial("600", Manner(phone=speaks))
    call.wait_answered()
    call.send(tone(700, 300))
    call.wait_heard(400)
    with Stranger(call) as stranger:
        stranger.send_for(2.0, packets)
        began_s = time.monotonic()
        call.send(tone(440, 500))
        stranger.send_for(1.0, packets)
        assert heard_hz(call, began_s) == {440}
        assert stranger.received() == 0
    assert call.hangup() == 200
    record = gateway.record(call.call_id)
    assert record["packets_received"] == len(call.stream.sent)


def test_a_caller_behind_a_nat_is_heard_and_hears_at_once(caller: Caller) -> None:
    call = caller.dial("600", Manner(speak=False))
    call.wait_answered()
    outside = call.stream.send_from(STRANGER)
    assert call.stream.remote is not None
    call.stream.start(call.stream.remote)
    call.send(tone(440, 200))
    wait_until(lambda: any(level_dbfs(packet.pcm) > -30 for packet in call.received), "the echo", 5)
    first = next(packet for packet in call.received if level_dbfs(packet.pcm) > -30)
    assert first.target == outside
    wait_until(lambda: sum(level_dbfs(packet.pcm) > -30 for packet in call.received) >= 10, "all of it", 5)
    assert call.hangup() == 200


def test_the_first_words_go_where_the_caller_hears() -> None:
    """Behind a NAT: its first packet, some time after the ACK, is the first to tell where that is."""
    with GatewayProcess(Setup(media={"first_packet_wait": "20s"})) as gateway, Caller(gateway.address) as caller:
        call = caller.dial("601", Manner(speak=False))
        call.wait_answered()
        wait_until(lambda: len(call.received) > 10, "silence, to where its SDP says", 10)
        outside = call.stream.send_from(STRANGER)
        assert call.stream.remote is not None
        call.stream.start(call.stream.remote)

        def loud() -> list[RtpPacket]:
            return [packet for packet in call.received if level_dbfs(packet.pcm) > -30]

        wait_until(lambda: len(loud()) > 10, "the tone", 10)
        assert {packet.target for packet in loud()} == {outside}
        assert call.hangup() == 200


def test_media_goes_to_strangers_in_small_measure_before_the_ack(caller: Caller) -> None:
    call = caller.dial("600", Manner(ack=False, speak=False))
    call.wait_answered()
    wait_until(lambda: len(call.received) >= UNPROVED_PACKETS, "what it gets before the ACK", 10)
    time.sleep(0.5)  # more would come now
    assert len(call.received) == UNPROVED_PACKETS
    assert call.hangup() == 200


@pytest.mark.parametrize("again", [False, True], ids=["once", "by-re-invites"])
def test_little_goes_to_another_host_than_acknowledged(caller: Caller, *, again: bool) -> None:
    """Somebody else may be meant by the SDP, and would be sent RTP for as long as the call is."""
    seconds = ELSEWHERE_PACKETS // 50 + 3
    with contextlib.ExitStack() as sockets:
        victims = [sockets.enter_context(victim()) for _ in range(seconds)]
        host, port = victims[0].getsockname()
        sdp = f"v=0\no=- 1 1 IN IP4 {host}\ns=-\nc=IN IP4 {host}\nt=0 0\nm=audio {port} RTP/AVP 0\n"
        call = caller.dial("600", Manner(sdp=sdp, speak=False))
        call.wait_answered()
        assert call.stream.remote is not None
        for victim_now in victims[1:]:
            time.sleep(1.0)
            if again:
                packet = RtpPacket(0.0, 1, 0, SSRC, PCMU, marker=False, payload=LOUD_FRAME)
                call.stream.send_raw(packet.pack(), call.stream.remote)
                assert call.reinvite(address=victim_now.getsockname()).status == 200
        assert 0 < sum(map(waiting, victims)) <= ELSEWHERE_PACKETS
        assert call.hangup() == 200


def victim() -> socket.socket:
    """Somebody who has nothing to do with the call."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.bind((STRANGER, 0))
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_000_000)
    bound.setblocking(False)
    return bound


def waiting(peer: socket.socket) -> int:
    """How many packets have come that were not counted yet."""
    count = 0
    with contextlib.suppress(BlockingIOError):
        while peer.recv(4096):
            count += 1
    return count


def test_rtp_from_where_media_goes_shows_that_it_is_wanted(caller: Caller) -> None:
    call = caller.dial("600", Manner(ack=False))
    call.wait_answered()
    wait_until(lambda: len(call.received) > UNPROVED_PACKETS, "more than goes to a stranger", 10)
    assert call.hangup() == 200


@pytest.mark.parametrize(("lost", "pct"), [(0x7FFFFF, 100.0), (0xFFFFFF, 0.0)], ids=["more than all", "less than none"])
def test_what_a_peer_says_that_it_lost_is_a_share(
    gateway: GatewayProcess, caller: Caller, lost: int, pct: float
) -> None:
    """The count in a report has a sign (RFC 3550 section 6.4.1), and may be anything."""
    call = caller.dial("600")
    call.wait_answered()
    call.wait_heard(100)
    assert call.stream.remote is not None
    host, port = call.stream.remote
    report = struct.pack("!BBHIIIIIII", 0x81, 201, 7, SSRC, call.received[0].ssrc, lost, 1, 0, 0, 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as rtcp:
        rtcp.bind((host, 0))
        for _ in range(10):
            rtcp.sendto(report, (host, port + 1))
            call.wait_heard(20, since_s=time.monotonic())
    assert call.hangup() == 200
    assert gateway.record(call.call_id)["peer_loss_pct"] == pct


def test_others_on_this_machine_may_have_ports_of_the_gateways_range() -> None:
    """A soft phone where `make run` was tried, or an Asterisk beside the gateway."""
    with (
        GatewayProcess(Setup(media={"rtp_ports": f"{FIRST_PORT}-{LAST_PORT}"})) as gateway,
        Caller(gateway.address) as caller,
    ):
        call = caller.dial("600")
        call.wait_answered()
        call.send(tone(440, 500))
        wait_until(lambda: heard_hz(call, 0.0) == {440}, "the echo", 10)
        assert call.hangup() == 200


@pytest.mark.parametrize("where", ["rtp", "rtcp", "sip"])
def test_a_call_that_points_at_the_gateway_itself_ends(gateway: GatewayProcess, caller: Caller, where: str) -> None:
    other = caller.dial("600")
    other.wait_answered()
    assert other.stream.remote is not None
    rtp_port = other.stream.remote[1]
    port = {"rtp": rtp_port, "rtcp": rtp_port + 1, "sip": gateway.port}[where]
    sdp = f"v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio {port} RTP/AVP 0\n"
    call = caller.dial("600", Manner(sdp=sdp, speak=False))
    assert call.wait_ended() in {"them", "rejected"}
    record = gateway.record(call.call_id)
    assert record["cause"] == "media-failed"
    assert "an address of this gateway" in str(record["detail"])
    assert other.hangup() == 200
