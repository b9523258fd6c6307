"""What the gateway is compared with: the bot behind AudioSocket, and where there is no Asterisk."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from bench import asterisk
from bench.audiosocket_bot import Parrot
from bench.errors import PeerMissingError

if TYPE_CHECKING:
    from pathlib import Path

CALL = b"\x01\x00\x10" + bytes(16)
FRAME = b"\x10\x01\x40" + bytes(range(160)) * 2


class Written(asyncio.Transport):
    """A connection that keeps what is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = bytearray()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep it."""
        self.sent += data


@pytest.mark.parametrize("piece", [1, 7, 323, 10_000])
def test_the_bot_says_what_it_hears_in_whatever_pieces_it_comes(piece: int) -> None:
    parrot, transport = Parrot(), Written()
    parrot.connection_made(transport)
    heard = CALL + FRAME + FRAME
    for start in range(0, len(heard), piece):
        parrot.data_received(heard[start : start + piece])
    assert transport.sent == FRAME + FRAME


def test_without_root_it_is_said_why_there_is_no_asterisk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OFFHOOK_CACHE", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(PeerMissingError, match="root"), asterisk.running_asterisk(asterisk.ECHO):
        pass


def test_without_debootstrap_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OFFHOOK_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(PeerMissingError, match="apt-get install debootstrap"), asterisk.running_asterisk(asterisk.ECHO):
        pass
