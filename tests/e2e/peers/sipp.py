"""SIPp: scripted callers, and callees, whose every SIP message is known."""

from __future__ import annotations

import csv
import re
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from .process import LOOPBACK, PeerError, Process, free_port, wait_until
from .sip_message import SipMessage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from types import TracebackType

SCENARIOS = Path(__file__).with_name("scenarios")
RTPMAP = {0: "PCMU/8000", 8: "PCMA/8000", 9: "G722/8000", 18: "G729/8000", 101: "telephone-event/8000"}
RTP_PORTS = 8


@dataclass(frozen=True, slots=True)
class SippResult:
    """How a SIPp run ended."""

    exit_code: int
    """0: every call followed the scenario; 1: at least one did not."""
    successful: int
    failed: int
    retransmissions: int
    messages: tuple[SipMessage, ...]
    """All messages of all calls, in order; empty when they were not to be kept."""
    errors: str
    """What SIPp found unexpected."""

    def received(self, status: int, method: str | None = None) -> tuple[SipMessage, ...]:
        """Answers received with this status, of one method or of any."""
        return tuple(
            message
            for message in self.messages
            if not message.sent and message.status == status and method in {None, message.method}
        )

    def requests(self, method: str) -> tuple[SipMessage, ...]:
        """Requests received with this method."""
        return tuple(m for m in self.messages if not m.sent and m.status is None and m.method == method)


@dataclass(frozen=True, slots=True)
class Script:
    """What SIPp shall do, and with what values; `scenario` names a file in `scenarios/`."""

    scenario: str
    number: str = "service"
    """The user part of the Request-URI and To (for `register`: the user)."""
    caller: str = "sipp"
    hold_ms: int = 0
    """The length of the scenario's pauses."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Added to INVITE and OPTIONS."""
    codecs: Sequence[int] = (0, 101)
    """RTP payload types offered, in order; 18 is one that no side here decodes."""
    rtp_file: Path | None = None
    """Raw bytes of the first codec, sent again and again from the 200 on; None: no packet is ever sent."""
    rtp_echo: bool = False
    """Send back every RTP packet."""
    direction: str = "sendonly"
    """Direction attribute in the first re-INVITE; the second one always has sendrecv."""
    moved_port: int | None = None
    """The port in re-INVITEs; None: the same as before."""
    status: int = 200
    """The final answer that `rejected`, `register` and `register_refused` need."""
    password: str = ""
    expires_s: int = 60

    def xml(self) -> str:
        """The scenario with its slots filled."""
        media = ""
        if self.rtp_file is not None:
            stream = f'<exec rtp_stream="{self.rtp_file},-1,{self.codecs[0]}" />'
            media = f"<nop><action>{stream}</action></nop>"
        port = "[rtpstream_audio_port]" if self.rtp_file is not None else "[media_port]"
        moved = str(self.moved_port) if self.moved_port is not None else port
        slots = {
            "HEADERS": _lines(f"{name}: {value}" for name, value in self.headers.items()) or "X-None: none",
            "OFFER": self._sdp(1, port, "sendrecv"),
            "SECOND_OFFER": self._sdp(2, moved, self.direction),
            "THIRD_OFFER": self._sdp(3, moved, "sendrecv"),
            "MEDIA": media,
            "STATUS": str(self.status),
            "USER": self.number,
            "PASSWORD": self.password,
            "EXPIRES": str(self.expires_s),
        }
        text = (SCENARIOS / f"{self.scenario}.xml").read_text()
        return re.sub(r"@@(\w+)@@", lambda slot: slots[slot[1]], text)

    def _sdp(self, version: int, port: str, direction: str) -> str:
        lines = ["v=0", f"o=sipp 1 {version} IN IP[local_ip_type] [local_ip]", "s=-"]
        lines += ["c=IN IP[media_ip_type] [media_ip]", "t=0 0"]
        lines.append(f"m=audio {port} RTP/AVP {' '.join(map(str, self.codecs))}")
        lines += [f"a=rtpmap:{codec} {RTPMAP[codec]}" for codec in self.codecs]
        return _lines([*lines, f"a={direction}"])


def _lines(lines: Iterable[str]) -> str:
    return "\n      ".join(lines)


class Sipp:
    """SIPp running one script, `calls` times at `rate` a second, against `target` (`host:port`).

    A callee (`answer`) needs no target. As a context manager it runs within the block; `finish` waits for its result.
    """

    def __init__(
        self,
        script: Script,
        target: str = "",
        *,
        calls: int = 1,
        rate: float = 10.0,
        transport: str = "udp",
        host: str = LOOPBACK,
        port: int = 0,
        keep_messages: bool = True,
    ) -> None:
        """Prepare; `start` or `with` begins. `transport` is udp or tcp; to keep messages costs time at high rates."""
        self.script = script
        self.host = host
        self.port = port or free_port(host)
        self.media_port = free_port(host, span=RTP_PORTS)
        self._target = target
        self._transport = transport
        self._directory = Path(tempfile.mkdtemp(prefix="sipp-"))
        scenario_path = self._directory / f"{script.scenario}.xml"
        scenario_path.write_text(script.xml())
        argv = ["sipp", "-sf", str(scenario_path), "-nostdin", "-m", str(calls), "-r", f"{rate:g}"]
        argv += ["-i", host, "-p", str(self.port), "-mi", host, "-mp", str(self.media_port)]
        argv += ["-t", {"udp": "u1", "tcp": "t1"}[transport], "-d", str(script.hold_ms), "-s", script.number]
        argv += ["-key", "caller", script.caller, "-trace_stat", "-stf", str(self._directory / "stat.csv")]
        argv += ["-trace_err", "-error_file", str(self._directory / "errors.log"), "-l", str(max(calls, 10))]
        if keep_messages:
            argv += ["-trace_msg", "-message_file", str(self._directory / "messages.log")]
        if script.rtp_echo:
            argv.append("-rtp_echo")
        if target:
            argv.append(target)
        self._process = Process(f"sipp {script.scenario}", argv, self._directory / "screen.log", {"TERM": "dumb"})

    @property
    def address(self) -> str:
        """Its own `host:port` for SIP."""
        return f"{self.host}:{self.port}"

    def start(self) -> Self:
        """Start it; returns when it can be called, if it is a callee, or else at once."""
        self._process.start()
        if not self._target:
            wait_until(self._listens, "SIPp listens", deadline_s=10.0)
        return self

    def _listens(self) -> bool | None:
        # A socket in the kernel's list: to try the port would be to take it.
        local = f":{self.port:04X} "
        lines = Path(f"/proc/net/{self._transport}").read_text().splitlines()[1:]
        return any(local in f"{line.split()[1]} " for line in lines) or None

    def finish(self, deadline_s: float = 30.0) -> SippResult:
        """Wait until all calls are over; returns what happened, whether as scripted or not.

        Raises:
            PeerError: it did not end in time, or could not run at all.
        """
        code = self._process.wait(deadline_s)
        if not (self._directory / "stat.csv").exists():
            raise PeerError(self._process.explain(f"could not run, exit code {code}\n{self._read('errors.log')}"))
        return self._result(code)

    def close(self) -> None:
        """Stop it if it still runs, and remove its files."""
        self._process.stop()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _result(self, code: int) -> SippResult:
        with (self._directory / "stat.csv").open(newline="") as stat:
            last = list(csv.DictReader(stat, delimiter=";"))[-1]
        return SippResult(
            exit_code=code,
            successful=int(last["SuccessfulCall(C)"]),
            failed=int(last["FailedCall(C)"]),
            retransmissions=int(last["Retransmissions(C)"]),
            messages=tuple(_messages(self._read("messages.log"))),
            errors=self._read("errors.log"),
        )

    def _read(self, name: str) -> str:
        path = self._directory / name
        return path.read_text(errors="replace") if path.exists() else ""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.stop()
        if error is not None:
            error.add_note(f"sipp errors:\n{self._read('errors.log')}\nmessages:\n{self._read('messages.log')[-6000:]}")
        self.close()


def run_sipp(
    script: Script,
    target: str,
    *,
    calls: int = 1,
    rate: float = 10.0,
    transport: str = "udp",
    port: int = 0,
    deadline_s: float = 30.0,
) -> SippResult:
    """Run a script to its end and demand that every call followed it; for other endings use `Sipp`.

    Raises:
        PeerError: a call did not go as scripted; the message holds SIPp's errors and the last messages.
    """
    with Sipp(script, target, calls=calls, rate=rate, transport=transport, port=port) as sipp:
        result = sipp.finish(deadline_s)
    if result.exit_code != 0 or result.failed:
        log = "\n".join(f"{'>' if message.sent else '<'} {message.text}" for message in result.messages[-12:])
        raise PeerError(f"sipp {script.scenario}: {result.failed} of {calls} failed\n{result.errors}\n{log}")
    return result


def _messages(log: str) -> Iterator[SipMessage]:
    """The messages in SIPp's log: for each a line of dashes, a line with the direction, an empty line, the text."""
    for part in re.split(r"^-{20,} .*\n", log, flags=re.MULTILINE)[1:]:
        title, _, text = part.partition("\n")
        yield SipMessage(sent=" sent " in title, text=text.strip().replace("\r", ""))
