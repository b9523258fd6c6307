"""linphonec, linphone's telephone for a terminal: it plays a WAV into the call and records what it hears."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

from .process import LOOPBACK, PeerError, free_port, wait_until
from .sound import Pcm, read_wav, write_wav

if TYPE_CHECKING:
    from types import TracebackType

CODECS = {"PCMU": (8000, 1), "PCMA": (8000, 1), "G722": (8000, 1), "opus": (48000, 2), "speex": (16000, 1)}
"""Rate and channels as its configuration has them."""
SPEECH_HZ = 8000

CONFIG = """[sip]
sip_port={port}
sip_tcp_port={port}
guess_hostname=0
auto_net_state_mon=0
contact=sip:phone@{host}:{port}
[rtp]
audio_rtp_port={rtp_port}
"""


class Linphone:
    """`with Linphone(pcm, "opus") as phone:` is ready to dial; `pcm` at 8 kHz is said as soon as it is answered.

    It takes an IPv6 address where the machine has one, for calls over IPv4 too: give it a network without.
    """

    def __init__(self, pcm: Pcm, codec: str) -> None:
        """Write its configuration."""
        self._place = Path(tempfile.mkdtemp(prefix="linphone-"))
        (self._place / ".local/share/linphone").mkdir(parents=True)  # it makes the file, and not the directories
        write_wav(self._place / "speech.wav", pcm, SPEECH_HZ)
        config = CONFIG.format(host=LOOPBACK, port=free_port(), rtp_port=free_port())
        for number, (name, (rate_hz, channels)) in enumerate(CODECS.items()):
            config += f"[audio_codec_{number}]\nmime={name}\nrate={rate_hz}\nchannels={channels}\n"
            config += f"enabled={int(name == codec)}\n"
        (self._place / "rc").write_text(config)
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        with (self._place / "out").open("w") as out:
            self._process = subprocess.Popen(
                ["linphonec", "-c", str(self._place / "rc")],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
                text=True,
                env={**os.environ, "HOME": str(self._place)},
            )
        self._wait_said("linphonec>")
        self._type("soundcard use files")
        self._type(f"play {self._place}/speech.wav")
        self._type(f"record {self._place}/heard.wav")
        self._wait_said("Using wav files")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self._type("quit")
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def dial(self, uri: str) -> None:
        """Call, and return when the other side has answered."""
        self._type(f"call {uri}")
        self._wait_said("connected.")

    def hang_up(self) -> None:
        """End the call."""
        self._type("terminate")
        self._wait_said("ended")

    def heard(self) -> tuple[Pcm, int]:
        """What it has heard, and its rate."""
        return read_wav(self._place / "heard.wav")

    def _type(self, command: str) -> None:
        if self._process is None or self._process.stdin is None:
            raise PeerError("linphonec was not started")
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()

    def _wait_said(self, text: str) -> None:
        out = self._place / "out"
        try:
            wait_until(lambda: text in out.read_text(errors="replace"), f"linphonec says {text!r}", 10)
        except PeerError as error:
            raise PeerError(f"{error}\n{out.read_text(errors='replace')[-2000:]}") from None
