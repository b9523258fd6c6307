"""An Asterisk of its own for a measurement: Debian sid's, in a folder of the cache, on loopback and free ports.

Its CPU and memory are read as the gateway's are. Needs root, and a mirror of Debian that has sid.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import MeasurementFailedError, PeerMissingError
from bench.gateway_process import HOST, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SUITE = "sid"
READY_LIMIT_S, STOP_LIMIT_S = 60.0, 20.0
RTP_PORTS = (16000, 32766)
"""As the gateway's: below the ports that the kernel hands out."""
UUID = "40325ec2-5efd-4bd3-805f-53576e581d13"
"""Of the one AudioSocket stream that every call names; the bot does not look at it."""

ECHO = "Answer()\nsame => n,Echo()"
"""A dialplan that gives every call its own sound again."""


def audiosocket(port: int) -> str:
    """A dialplan that connects every call with a bot."""
    return f"Answer()\nsame => n,AudioSocket({UUID},{HOST}:{port})"


@contextlib.contextmanager
def running_asterisk(dialplan: str) -> Iterator[tuple[int, str]]:
    """Start it, wait until it takes calls; its process id and where it takes SIP, "host:port".

    Raises:
        PeerMissingError: it cannot be had here; the message says why.
        MeasurementFailedError: it does not become ready.
    """
    root = _root()
    port = free_port()
    etc = root / "bench"
    shutil.rmtree(etc, ignore_errors=True)
    etc.mkdir()
    for name, text in _config(port, dialplan).items():
        (etc / name).write_text(text, encoding="utf-8")
    command = _in(root, "-f", "-p", "-C", "/bench/asterisk.conf")
    log = etc / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        _await_ready(process, root, log)
        yield process.pid, f"{HOST}:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def version() -> str:
    """What it calls itself."""
    command = _in(_root(), "-V")
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _in(root: Path, *arguments: str) -> list[str]:
    return ["chroot", str(root), "/usr/sbin/asterisk", *arguments]


def _root() -> Path:
    cache = Path(os.environ.get("OFFHOOK_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "offhook")
    root = cache.expanduser() / "bench" / f"asterisk-{SUITE}"
    if not (root / "usr/sbin/asterisk").exists():
        _debootstrap(root)
    return root


def _debootstrap(root: Path) -> None:
    if os.geteuid() != 0:
        raise PeerMissingError("Asterisk needs root: a Debian sid is made for it in a folder")
    if shutil.which("debootstrap") is None:
        raise PeerMissingError("Asterisk needs debootstrap: apt-get install debootstrap")
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root.parent, prefix="making-") as directory:
        made = Path(directory) / "root"
        command = ["debootstrap", "--variant=minbase", "--include=asterisk", SUITE, str(made), _mirror()]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            raise PeerMissingError(f"debootstrap of {SUITE} failed:\n{(done.stdout + done.stderr)[-2000:]}")
        shutil.rmtree(made / "var/cache/apt/archives", ignore_errors=True)
        shutil.rmtree(root, ignore_errors=True)
        made.rename(root)


def _mirror() -> str:
    query = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Identifier: Packages", "Label: Debian"]
    found = subprocess.run([*query, "Component: main"], check=False, capture_output=True, text=True).stdout.split()
    if not found:
        raise PeerMissingError("apt knows no mirror of Debian: run apt-get update, or add one to its sources")
    return found[0]


def _config(port: int, dialplan: str) -> Mapping[str, str]:
    first, last = RTP_PORTS
    directories = "".join(
        f"{name} => {path}\n"
        for name, path in {
            "astetcdir": "/bench",
            "astmoddir": "/usr/lib/x86_64-linux-gnu/asterisk/modules",
            "astvarlibdir": "/var/lib/asterisk",
            "astdatadir": "/usr/share/asterisk",
            "astdbdir": "/bench",
            "astspooldir": "/bench",
            "astrundir": "/bench",
            "astlogdir": "/bench",
        }.items()
    )
    return {
        "asterisk.conf": f"[directories]\n{directories}\n[options]\nmaxfiles = 65536\n",
        "modules.conf": "[modules]\nautoload = yes\n",
        "logger.conf": "[general]\n[logfiles]\nconsole => error\n",
        "rtp.conf": f"[general]\nrtpstart = {first}\nrtpend = {last}\nstrictrtp = no\n",
        "pjsip.conf": (
            f"[transport-udp]\ntype = transport\nprotocol = udp\nbind = {HOST}:{port}\n"
            "[anonymous]\ntype = endpoint\ncontext = all\ndisallow = all\nallow = ulaw\ndirect_media = no\n"
        ),
        "extensions.conf": f"[all]\nexten => _X.,1,{dialplan}\nsame => n,Hangup()\n",
    }


def _await_ready(process: subprocess.Popen[bytes], root: Path, log: Path) -> None:
    command = _in(root, "-C", "/bench/asterisk.conf", "-rx", "core waitfullybooted")
    until_s = time.monotonic() + READY_LIMIT_S
    while time.monotonic() < until_s and process.poll() is None:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=READY_LIMIT_S, check=False)
        if "fully booted" in asked.stdout:
            return
        time.sleep(0.5)
    said = log.read_text(encoding="utf-8", errors="replace")[-2000:]
    raise MeasurementFailedError(f"Asterisk is not ready (exit {process.poll()}):\n{said}")
