"""The log under attack: strangers' junk, a full disk, a reader that is gone or sleeps. Calls notice nothing."""

from __future__ import annotations

import os
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.e2e.gateway_process import OFFHOOK, GatewayProcess
from tests.e2e.listening import assert_heard
from tests.e2e.peers.caller import Caller
from tests.e2e.peers.process import wait_until
from tests.e2e.peers.sound import tone

if TYPE_CHECKING:
    from collections.abc import Iterator

JUNK = (
    # No Call-ID: PJSIP says so, with the whole message.
    b"OPTIONS sip:600@example SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nFrom: <sip:a@h>;tag=1\r\n"
    b"To: <sip:b@h>\r\nCSeq: 1 OPTIONS\r\nContent-Length: 1000\r\n\r\n\x1b[2J\xc3\x28" + b"\xff" * 994,
    b"INVITE sip:\xff\xfe@example SIP/2.0\r\nVia: \x1b[2J\xc3\x28\r\nFrom: \xf0\x28\r\n\r\n",
    b"SIP/2.0 200 \xff\xfe\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nFrom: <sip:\xff@h>\r\nCall-ID: \xff\r\n\r\n",
)
PACKETS = 3000
STOP_S = 20.0


@pytest.fixture
def unstarted() -> Iterator[GatewayProcess]:
    gateway = GatewayProcess()
    yield gateway
    gateway.close()


def assert_talks(gateway: GatewayProcess) -> None:
    with Caller(gateway.address) as caller:
        call = caller.dial("600")
        call.wait_answered()
        call.send(tone(440, 400))
        assert_heard(call.wait_heard(600), [440])
        assert call.hangup() == 200


def test_junk_that_is_no_utf_8_neither_blinds_nor_fills_the_log() -> None:
    with GatewayProcess() as gateway:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for number in range(PACKETS):
                stranger.sendto(JUNK[number % len(JUNK)], gateway.address)
        assert_talks(gateway)
        wait_until(lambda: gateway.events("pjsip.log_overflow"), "it tells how many lines it left out", 20)
        log = gateway.process.log()
        assert any("\\xff\\xff" in str(line["text"]) for line in gateway.events("pjsip.said"))
        assert len(log) < PACKETS * 50
        assert len(gateway.events("pjsip.said")) < PACKETS / 4
        assert all(len(line) < 5000 for line in log.splitlines())
        assert "\x1b" not in log


class Started:
    """A gateway whose standard error the test chose."""

    def __init__(self, gateway: GatewayProcess, stderr: int | None) -> None:
        command = [OFFHOOK, "run", "--config", str(gateway.config_path)]
        if stderr is None:
            command = ["/bin/sh", "-c", 'exec "$@" 2>&-', "sh", *command]
        self.popen = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr, cwd=gateway.directory
        )

    def __enter__(self) -> subprocess.Popen[bytes]:
        return self.popen

    def __exit__(self, *_: object) -> None:
        self.popen.kill()
        self.popen.wait()


def is_ready(gateway: GatewayProcess) -> bool:
    try:
        return gateway.status()["state"] == "ready"
    except OSError:
        return False


@pytest.mark.parametrize("stream", ["full", "closed", "reader gone", "reader asleep"])
def test_calls_do_not_notice_what_becomes_of_standard_error(unstarted: GatewayProcess, stream: str) -> None:
    reader, writer = os.pipe()
    if stream == "full":
        os.close(writer)
        writer = os.open("/dev/full", os.O_WRONLY)
    if stream == "reader gone":
        os.close(reader)
    if stream == "reader asleep":
        os.set_blocking(writer, False)
        while True:
            try:
                os.write(writer, b"x" * 65536)
            except BlockingIOError:
                break
        os.set_blocking(writer, True)
    try:
        with Started(unstarted, None if stream == "closed" else writer) as gateway:
            wait_until(lambda: is_ready(unstarted), "it takes calls", 30)
            for _ in range(3):
                assert_talks(unstarted)
            assert gateway.poll() is None
            gateway.terminate()
            assert gateway.wait(STOP_S) == 0
    finally:
        os.close(writer)
        if stream != "reader gone":
            os.close(reader)
