"""The gateway under test: `offhook run` as its users start it, with a configuration, ports and a log of its own."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeAlias

from tests.e2e.peers.process import LOOPBACK, PeerError, Process, free_port, wait_until
from tests.e2e.peers.sound import write_wav

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType

    from tests.e2e.peers.sound import Pcm

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Object: TypeAlias = "dict[str, Json]"

OFFHOOK = os.environ.get("HOSTILE_OFFHOOK") or str(Path(sys.executable).with_name("offhook"))
"""Of the environment that runs the tests, or one that was built to be attacked."""

READY_S = 20.0
STOP_S = 15.0
ASK_S = 5.0
FIRST_RTP_PORT, LAST_RTP_PORT = 4000, 19000
"""Below the ports of the peers, and of what the kernel hands out."""

FAULTS = frozenset(
    {
        "call.lost",
        "call.failed",
        "call.end_unconfirmed",
        "sip.failed",
        "leg.failed",
        "control.failed",
        "gateway.crashed",
    }
)
"""What the gateway logs when it is itself at fault: no test may bring one about."""

USER_AGENTS = Path(__file__).with_name("user_agents.py")
SOUND_RATE_HZ = 8000

ROUTES: tuple[Object, ...] = (
    {"name": "echo", "match": {"to": "600"}, "steps": ["answer", {"agent": "echo"}]},
    {"name": "tone", "match": {"to": "601"}, "steps": ["answer", {"agent": "tone"}]},
)


def python_agent(name: str, **settings: Json) -> Object:
    """An agent of `user_agents.py`, as `gateway.yaml` has it."""
    return {"kind": "python", "class": f"user_agents:{name}", "directory": ".", **settings}


def to_agent(number: str, name: str, **others: Json) -> Object:
    """A route from a number to an agent."""
    label = f"{name}-{number.removeprefix('+')}"
    return {"name": label, "match": {"to": number}, "steps": ["answer", {"agent": name}], **others}


@dataclass(frozen=True, slots=True)
class Setup:
    """What a gateway is started with; ports, the control socket and the log are filled in."""

    routes: Sequence[Object] = ROUTES
    agents: Mapping[str, Json] = field(default_factory=dict)
    trunks: Mapping[str, Json] = field(default_factory=dict)
    sip: Mapping[str, Json] = field(default_factory=dict)
    media: Mapping[str, Json] = field(default_factory=dict)
    limits: Mapping[str, Json] = field(default_factory=dict)
    sounds: Mapping[str, Pcm] = field(default_factory=dict)
    """WAV files at 8 kHz, beside the configuration."""
    rtp_ports: int = 1000
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to the test's own."""


FOUND_AT_THE_END: list[str] = []
"""What a gateway had done wrong by its end. It fails the session, also where a test that failed with it is tried again:
a gateway may have served a whole module, and only the module's last test would be."""


class GatewayProcess:
    """One gateway. `with GatewayProcess(Setup(...)) as gateway:` waits until it takes calls, and stops it at the end.

    When it is left without an error, every call that was taken has one record, no call's media is left behind, nothing
    was the gateway's own fault, and it ended with 0.
    """

    def __init__(self, setup: Setup | None = None) -> None:
        """Write the configuration; `start` begins."""
        self.setup = setup or Setup()
        self.directory = Path(tempfile.mkdtemp(prefix="offhook-"))
        self.host = LOOPBACK
        self.port = free_port()
        first = random.randrange(FIRST_RTP_PORT, LAST_RTP_PORT - self.setup.rtp_ports, 2)
        self.rtp_ports = range(first, first + self.setup.rtp_ports)
        self.config_path = self.directory / "gateway.yaml"
        self.dialplan_path = self.directory / "dialplan.yaml"
        self._socket_path = self.directory / "control"
        shutil.copy(USER_AGENTS, self.directory)
        for name, pcm in self.setup.sounds.items():
            write_wav(self.directory / name, pcm, SOUND_RATE_HZ)
        self.write_dialplan(self.setup.routes)
        self.config_path.write_text(json.dumps(self._config(), indent=1))
        argv = [OFFHOOK, "run", "--config", str(self.config_path)]
        self.process = Process("offhook", argv, self.directory / "log", self.setup.environment)

    # --- its life ---

    @property
    def address(self) -> tuple[str, int]:
        """Where it takes SIP, over UDP and TCP."""
        return self.host, self.port

    @property
    def target(self) -> str:
        """The same as `host:port`."""
        return f"{self.host}:{self.port}"

    def launch(self) -> Self:
        """Start it without waiting for anything."""
        self.process.start()
        return self

    def start(self) -> Self:
        """Start it; returns when it takes calls."""
        self.launch()
        return self.wait_ready()

    def wait_ready(self, deadline_s: float = READY_S) -> Self:
        """Return when its control socket says that it is ready."""

        def ready() -> bool:
            if not self.process.running:
                raise PeerError("it ended while starting")
            try:
                return self.status()["state"] == "ready"
            except OSError:
                return False

        try:
            wait_until(ready, "the gateway is ready", deadline_s)
        except PeerError as error:
            raise PeerError(self.process.explain(str(error))) from None
        return self

    def terminate(self) -> None:
        """SIGTERM: drain and end. Returns at once."""
        os.kill(self.process.pid, signal.SIGTERM)

    def reload(self) -> None:
        """SIGHUP: read the dialplans again. Returns at once."""
        os.kill(self.process.pid, signal.SIGHUP)

    def kill(self) -> None:
        """SIGKILL, as the kernel does it when memory is short; returns when it is dead."""
        self.process.stop(signal.SIGKILL)

    def finish(self, deadline_s: float = STOP_S) -> None:
        """SIGTERM if it still runs, then everything that must hold at the end of any gateway."""
        if self.process.running:
            self.terminate()
        code = self.process.wait(deadline_s)
        assert code == 0, self.process.explain(f"it ended with {code}")
        self.assert_sane()

    def assert_sane(self) -> None:
        """No fault of the gateway's own in its log, and one record for each call."""
        log = self.process.log()
        assert "Traceback" not in "\n".join(line for line in log.splitlines() if not line.startswith("{")), log
        faults = [event for event in self.events() if event["event"] in FAULTS]
        faults += self.events("library.said", sender="asyncio")
        assert not faults, json.dumps(faults, indent=1)
        # By the call's own id: two callers may choose the same Call-ID, and fuzzers do.
        begun = Counter(event["id"] for event in self.events("call.incoming"))
        ended = Counter(event["id"] for event in self.events("call.ended"))
        if self.events("log.limited") or self.events("log.lost"):
            assert max(ended.values(), default=1) == 1, "a call has two records"
        else:
            assert begun == ended, f"calls without exactly one record: {begun - ended or ended - begun}"

    # --- what it says ---

    def status(self) -> Object:
        """What it says on its control socket.

        Raises:
            OSError: it does not answer.
        """
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(ASK_S)
            peer.connect(str(self._socket_path))
            peer.sendall(b'{"command": "status"}\n')
            with peer.makefile("rb") as answer:
                line = answer.read()  # to its end: the gateway's side of this connection is gone as well
        if not line:
            raise ConnectionResetError("the control socket was closed")
        said: Object = json.loads(line)
        return said

    def said(self, *path: str) -> Json:
        """One value of the status, as `said("calls", "live")`."""
        value: Json = self.status()
        for key in path:
            assert isinstance(value, dict), f"{path} leads to {value!r}"
            value = value[key]
        return value

    def number(self, *path: str) -> float:
        """One number of the status."""
        value = self.said(*path)
        assert isinstance(value, int | float), f"{path} is {value!r}"
        return value

    def trunk(self, name: str = "carrier") -> Object:
        """One trunk's state."""
        value = self.said("trunks", name)
        assert isinstance(value, dict)
        return value

    def wait_trunk(self, state: str, why: str = "", deadline_s: float = 10.0) -> Object:
        """The trunk `carrier`, once it is in this state, for a reason that contains `why`."""

        def look() -> Object | None:
            trunk = self.trunk()
            return trunk if trunk["state"] == state and why in str(trunk["why"]) else None

        try:
            return wait_until(look, f"the trunk is {state} {why}", deadline_s)
        except PeerError as error:
            raise PeerError(self.process.explain(f"{error}; it is {self.trunk()}")) from None

    def wait_idle(self, deadline_s: float = 10.0) -> None:
        """Return when nothing of any call is left: no call, no media, no SIP dialog, no agent at work."""

        def nothing_left() -> bool:
            left = ("calls", "live"), ("media", "legs"), ("sip", "calls")
            return not any(self.number(*what) for what in left)

        try:
            wait_until(nothing_left, "nothing is left of any call", deadline_s)
        except PeerError as error:
            raise PeerError(self.process.explain(f"{error}: {json.dumps(self.status(), indent=1)}")) from None

    def events(self, name: str | None = None, **wanted: Json) -> list[Object]:
        """Its log so far: all lines, or those with this event and these values."""
        lines = [line for line in self.process.log().splitlines() if line.startswith("{") and line.endswith("}")]
        found: list[Object] = [json.loads(line) for line in lines]
        return [
            event
            for event in found
            if name in {None, event.get("event")} and all(event.get(key) == value for key, value in wanted.items())
        ]

    def wait_event(self, name: str, deadline_s: float = 10.0, **wanted: Json) -> Object:
        """The first log line with this event and these values."""
        try:
            return wait_until(lambda: self.events(name, **wanted), f"log line {name} {wanted}", deadline_s)[0]
        except PeerError as error:
            raise PeerError(self.process.explain(str(error))) from None

    def record(self, call_id: str, deadline_s: float = 10.0) -> Object:
        """The one record of a call, once it is over."""
        self.wait_event("call.ended", deadline_s, call_id=call_id)
        (record,) = self.events("call.ended", call_id=call_id)
        return record

    def explain(self, what: str) -> str:
        """`what` and the end of its log."""
        return self.process.explain(what)

    # --- what it uses ---

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def descriptors(self) -> Counter[str]:
        """Its open files, by kind: `socket`, `anon_inode`, `pipe` or a path."""
        return Counter(re.sub(r":\[\d+\]$", "", link) for link in self._open_files())

    def _open_files(self) -> Iterator[str]:
        for entry in Path(f"/proc/{self.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                yield str(entry.readlink())

    def threads(self) -> Counter[str]:
        """Its threads, by name."""
        return Counter(path.read_text().strip() for path in Path(f"/proc/{self.pid}/task").glob("*/comm"))

    def rss_kb(self) -> int:
        """Its resident memory."""
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        assert found is not None
        return int(found[1])

    def rtp_ports_in_use(self) -> list[int]:
        """The UDP ports of its media range that it has bound."""
        own = {link.removeprefix("socket:[").removesuffix("]") for link in self._open_files()}
        lines = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
        bound = {int(words[1].partition(":")[2], 16) for words in lines if words[9] in own}
        return sorted(bound.intersection(self.rtp_ports))

    # --- its configuration ---

    def write_dialplan(self, routes: Sequence[Object]) -> None:
        """Replace the dialplan's file; `reload` puts it to work."""
        dialplan: Object = {"version": 1, "routes": list(routes)}
        self.dialplan_path.write_text(json.dumps(dialplan, indent=1))  # JSON is YAML

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `offhook` beside it, as its administrator, with the same settings."""
        argv = [OFFHOOK, *arguments, "--config", str(self.config_path)]
        return subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False, cwd=self.directory)

    def _config(self) -> Object:
        setup = self.setup
        ports = f"{self.rtp_ports.start}-{self.rtp_ports.stop - 1}"
        listen: list[Json] = [f"udp:{self.target}", f"tcp:{self.target}"]
        return {
            "sip": {"listen": listen, "codecs": ["PCMU", "PCMA"], **setup.sip},
            "media": {"rtp_ports": ports, **setup.media},
            "limits": {"drain_timeout": "2s", **setup.limits},
            "trunks": dict(setup.trunks),
            "agents": dict(setup.agents),
            "dialplans": [self.dialplan_path.name],
            "control": {"socket": str(self._socket_path)},
            "log": {"level": "info", "format": "json"},
        }

    def close(self) -> None:
        """End it, whatever its state, and remove its files."""
        self.process.stop(signal.SIGKILL)
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._finish_idle()
            else:
                error.add_note(self.process.explain("log"))
        finally:
            self.close()

    def _finish_idle(self) -> None:
        try:
            if self.process.running:
                self.wait_idle()
            self.finish()
        except AssertionError as error:
            FOUND_AT_THE_END.append(str(error))
            raise
