"""baresip, a real softphone: it plays a WAV into the call and records what it hears. No sound card is needed."""

from __future__ import annotations

import json
import re
import shutil
import socket
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from .process import LOOPBACK, PeerError, Process, free_port, wait_until
from .sound import Pcm, read_wav, silence, write_wav

if TYPE_CHECKING:
    from types import TracebackType

START_DEADLINE_S = 10.0
RTP_PORTS = 8
MODULES = "/usr/lib/baresip/modules"


@dataclass(frozen=True, slots=True)
class Codec:
    """A codec as baresip names it, with the format that its audio file must have."""

    name: str
    module: str
    rate_hz: int
    channels: int = 1


PCMU = Codec("PCMU/8000/1", "g711", 8000)
PCMA = Codec("PCMA/8000/1", "g711", 8000)
G722 = Codec("G722/16000/1", "g722", 16000)
OPUS = Codec("opus/48000/2", "opus", 48000, 2)


@dataclass(frozen=True, slots=True)
class PhoneEvent:
    """What baresip tells: CALL_RINGING, CALL_ESTABLISHED, CALL_CLOSED, REGISTER_OK, ..."""

    type: str
    param: str
    """For CALL_CLOSED the reason."""


class Baresip:
    """A phone with one codec that speaks `pcm` (at the codec's rate, from the answer on), then silence up to `up_to_s`.

    It hangs up by itself when that time is over.

    As a caller: `dial`, `wait_event("CALL_ESTABLISHED")`, `hangup`, `heard`. As a callee it answers at once unless
    `answers=False`; with `registrar` and `password` it registers as `user`.
    """

    def __init__(
        self,
        pcm: Pcm | None = None,
        codec: Codec = PCMU,
        *,
        user: str = "phone",
        registrar: str | None = None,
        password: str = "",
        answers: bool = True,
        up_to_s: float = 60.0,
        transport: str = "udp",
        host: str = LOOPBACK,
    ) -> None:
        """Write its configuration; `start` or `with` begins."""
        self.codec = codec
        self.host = host
        self.port = free_port(host)
        self.user = user
        self._control_port = free_port(host)
        self._directory = Path(tempfile.mkdtemp(prefix="baresip-"))
        # baresip ends the call when its file ends.
        speech = silence(0, codec.rate_hz) if pcm is None else pcm
        rest = silence(max(0.0, 1000 * up_to_s - 1000 * len(speech) / codec.rate_hz), codec.rate_hz)
        write_wav(self._directory / "speech.wav", np.concatenate((speech, rest)), codec.rate_hz, codec.channels)
        mode = "auto" if answers else "manual"
        options = f"answermode={mode};audio_codecs={codec.name};auth_pass={password};regint={60 if registrar else 0}"
        account = f"<sip:{user}@{registrar or host};transport={transport}>;{options}\n"
        (self._directory / "accounts").write_text(account)
        (self._directory / "contacts").write_text("")
        (self._directory / "config").write_text(self._config())
        argv = ["baresip", "-4", "-f", str(self._directory)]
        self._process = Process("baresip", argv, self._directory / "baresip.log")
        self._events: list[PhoneEvent] = []
        self._control: socket.socket | None = None
        self._listener: threading.Thread | None = None

    @property
    def uri(self) -> str:
        """The address at which it can be called directly."""
        return f"sip:{self.user}@{self.host}:{self.port}"

    @property
    def events(self) -> tuple[PhoneEvent, ...]:
        """All events so far."""
        return tuple(self._events)

    def start(self) -> Self:
        """Start it; returns when it can be called and told to call."""
        self._process.start()
        try:
            self._process.wait_for_log("baresip is ready", START_DEADLINE_S)
            self._control = socket.create_connection((self.host, self._control_port), START_DEADLINE_S)
        except OSError as error:
            self._process.stop()
            raise PeerError(self._process.explain(f"control port: {error}")) from None
        self._control.settimeout(None)
        self._listener = threading.Thread(target=self._listen, args=(self._control,), name="baresip", daemon=True)
        self._listener.start()
        return self

    def dial(self, uri: str) -> None:
        """Begin a call."""
        self._command("dial", uri)

    def hangup(self) -> None:
        """End the call, and wait until it is over."""
        self._command("hangup")
        self.wait_event("CALL_CLOSED")

    def press(self, digit: str) -> None:
        """Press a key (RFC 4733)."""
        self._command("sndcode", digit)

    def wait_event(self, kind: str, deadline_s: float = 5.0) -> PhoneEvent:
        """The first event of this type."""
        try:
            return wait_until(
                lambda: next((event for event in self._events if event.type == kind), None),
                f"{kind} (so far {[event.type for event in self._events]})",
                deadline_s,
            )
        except PeerError as error:
            raise PeerError(self._process.explain(str(error))) from None

    def heard(self) -> tuple[Pcm, int]:
        """What it heard in its only or first call up to a hold, and its rate. Complete after the call has ended.

        Its recorder does not go on after a hold, and begins anew with a re-INVITE; both look like silence.
        """
        return self._recording("dec")

    def spoken(self) -> tuple[Pcm, int]:
        """What it said in its only or first call, before encoding, and its rate."""
        return self._recording("enc")

    def stop(self) -> None:
        """Stop it: a call that is still up gets a BYE."""
        self._process.stop()
        if self._control is not None:
            self._control.close()
        if self._listener is not None:
            self._listener.join()

    def close(self) -> None:
        """Stop it and remove its files."""
        self.stop()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _recording(self, side: str) -> tuple[Pcm, int]:
        paths = sorted(self._directory.glob(f"dump-*-{side}.wav"))
        if not paths:
            raise PeerError(self._process.explain("it recorded nothing"))
        return read_wav(paths[0])

    def _config(self) -> str:
        # aubridge with nobody at its other end takes sound and drops it at the right pace: a loudspeaker that needs
        # no hardware. sndfile records what passes on both sides.
        first_rtp_port = free_port(self.host, span=RTP_PORTS)
        lines = [
            f"sip_listen {self.host}:{self.port}",
            f"net_interface {self.host}",
            f"module_path {MODULES}",
            f"audio_source aufile,{self._directory / 'speech.wav'}",
            "audio_player aubridge,loudspeaker",
            "audio_alert aubridge,bell",
            f"audio_channels {self.codec.channels}",
            f"ausrc_channels {self.codec.channels}",
            f"auplay_channels {self.codec.channels}",
            f"rtp_ports {first_rtp_port}-{first_rtp_port + RTP_PORTS}",
            "jitter_buffer_delay 1-10",
            f"snd_path {self._directory}",
            f"ctrl_tcp_listen {self.host}:{self._control_port}",
            *(f"module {name}.so" for name in (self.codec.module, "aufile", "aubridge", "sndfile", "ctrl_tcp")),
            *(f"module_app {name}.so" for name in ("account", "menu")),
        ]
        return "\n".join([*lines, ""])

    def _command(self, name: str, params: str = "") -> None:
        if self._control is None:
            raise PeerError("baresip was not started")
        text = json.dumps({"command": name, "params": params}).encode()
        self._control.sendall(b"%d:%s," % (len(text), text))

    def _listen(self, control: socket.socket) -> None:
        """Read netstrings (`12:{...},`) until the connection ends."""
        buffer = b""
        while True:
            try:
                data = control.recv(65536)
            except OSError:
                return
            if not data:
                return
            buffer += data
            while (found := re.match(rb"(\d+):", buffer)) and len(buffer) > found.end() + int(found[1]):
                end = found.end() + int(found[1])
                message = json.loads(buffer[found.end() : end])
                buffer = buffer[end + 1 :]
                if message.get("event"):
                    self._events.append(PhoneEvent(message.get("type", ""), message.get("param", "")))

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if error is not None:
            error.add_note(self._process.explain("log"))
        self.close()
