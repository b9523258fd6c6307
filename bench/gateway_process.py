"""A gateway of its own for each measurement: written configuration, free ports, started, ready, stopped."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import MeasurementFailedError
from bench.provenance import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.provenance import Json

OFFHOOK = Path(sys.executable).with_name("offhook")
"""Of the virtual environment that runs the measurement."""

HOST = "127.0.0.1"
RTP_PORTS = "16000-32767"
"""Below the ports that the kernel hands out, from which the generator's come."""

READY_LIMIT_S = 30.0
STOP_LIMIT_S = 20.0
LOG_TAIL = 30


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """The one agent that every call of a measurement gets."""

    entry: str
    """`module:Class`"""
    options: dict[str, Json]
    barge_in: dict[str, Json]
    isolation: str = "none"
    """`none` is the gateway's own loop, `thread` one of its own for each call."""

    def written(self, directory: Path) -> dict[str, Json]:
        """As `gateway.yaml` has it."""
        return {
            "kind": "python",
            "class": self.entry,
            "directory": str(directory),
            "options": self.options,
            "isolation": self.isolation,
            "barge_in": self.barge_in,
        }


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway that is ready for calls."""

    pid: int
    target: str
    """host:port of its SIP."""
    config: Path

    def status(self) -> dict[str, Json]:
        """What `offhook status --json` says.

        Raises:
            MeasurementFailedError: it does not answer.
        """
        found = _status(self.config)
        if found is None:
            message = "the gateway does not answer on its control socket"
            raise MeasurementFailedError(message)
        return found

    def live_calls(self) -> int:
        """How many calls it believes to have."""
        calls = self.status().get("calls")
        live = calls.get("live") if isinstance(calls, dict) else None
        if not isinstance(live, int):
            message = f"status has no calls.live: {calls!r}"
            raise MeasurementFailedError(message)
        return live

    def has_realtime(self) -> bool:
        """Whether the threads that calls wait for go before other programs."""
        process = self.status().get("process")
        return isinstance(process, dict) and process.get("realtime") is True


@contextlib.contextmanager
def running_gateway(agent: AgentConfig | dict[str, Json], *, calls: int) -> Iterator[Gateway]:
    """Start a gateway whose dialplan gives every call to the agent, wait until it is ready; stop it at the end.

    An agent that is no class is given as `gateway.yaml` has it.

    Raises:
        MeasurementFailedError: it does not become ready.
    """
    with tempfile.TemporaryDirectory(prefix="offhook-bench-") as name:
        place = Path(name)
        port = free_port()
        settings = agent.written(place) if isinstance(agent, AgentConfig) else agent
        config = write_config(place, settings, port, calls)
        # Nothing but bench comes from the source tree: what is measured is the gateway that is installed.
        (place / "bench").symlink_to(ROOT / "bench")
        command = [str(OFFHOOK), "run", "--config", str(config)]
        signal.signal(signal.SIGTERM, _leave)
        with (place / "log").open("wb") as log:
            process = subprocess.Popen(command, cwd=place, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            _await_ready(process, config, place / "log")
            yield Gateway(process.pid, f"{HOST}:{port}", config)
            if process.poll() is not None:
                raise MeasurementFailedError(_epitaph(process, place / "log"))
        finally:
            _stop(process)


def write_config(place: Path, agent: dict[str, Json], port: int, calls: int) -> Path:
    """JSON is YAML, and needs no library to write."""
    dialplan: dict[str, Json] = {
        "version": 1,
        "routes": [{"name": "all", "match": {"any": True}, "steps": [{"answer": {}}, {"agent": {"name": "probe"}}]}],
    }
    config: dict[str, Json] = {
        "sip": {"listen": [f"udp:{HOST}:{port}"], "codecs": ["PCMU"]},
        "media": {"rtp_ports": RTP_PORTS},
        "limits": {"calls": min(calls + 200, 4000), "drain_timeout": "1s"},
        "agents": {"probe": agent},
        "dialplans": ["dialplan.yaml"],
        "control": {"socket": str(place / "control.sock")},
        "log": {"level": "warning", "format": "json"},
    }
    (place / "dialplan.yaml").write_text(json.dumps(dialplan), encoding="utf-8")
    path = place / "gateway.yaml"
    path.write_text(json.dumps(config), encoding="utf-8")
    return path


def free_port() -> int:
    """A port at which nobody takes UDP now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _await_ready(process: subprocess.Popen[bytes], config: Path, log: Path) -> None:
    deadline_s = time.monotonic() + READY_LIMIT_S
    while time.monotonic() < deadline_s:
        if process.poll() is not None:
            raise MeasurementFailedError(_epitaph(process, log))
        found = _status(config)
        if found is not None and found.get("state") == "ready":
            return
        time.sleep(0.2)
    message = f"the gateway is not ready after {READY_LIMIT_S:.0f} s\n{_tail(log)}"
    raise MeasurementFailedError(message)


def _status(config: Path) -> dict[str, Json] | None:
    command = [str(OFFHOOK), "status", "--json", "--config", str(config)]
    try:
        asked = subprocess.run(command, cwd=config.parent, capture_output=True, timeout=10, check=False)
        found = json.loads(asked.stdout) if asked.returncode == 0 else None
    except (subprocess.TimeoutExpired, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _epitaph(process: subprocess.Popen[bytes], log: Path) -> str:
    return f"the gateway ended with {process.returncode}\n{_tail(log)}"


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_TAIL:])


def _leave(signal_number: int, _frame: object) -> None:
    """Let a terminated measurement stop its gateway and its calls on the way out."""
    raise SystemExit(128 + signal_number)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
