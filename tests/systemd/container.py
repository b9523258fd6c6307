"""A Debian booted with systemd in a container, with a network of its own and this host at the other end of it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.e2e.peers.process import PeerError, Process, wait_until

if TYPE_CHECKING:
    import signal
    from collections.abc import Mapping
    from types import TracebackType

BOOT_DEADLINE_S = 60.0
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"


class Container:
    """systemd-nspawn without machined: works where the host runs no systemd of its own.

    `address` is the container, `host_address` this host as the container sees it. Commands run in all namespaces of
    the container's first process.
    """

    def __init__(self, archive: Path, binds: Mapping[Path, str]) -> None:
        """Describe it; `binds` are directories of this host and where the container sees them, read-only."""
        self._archive = archive
        self._directory = Path(tempfile.mkdtemp(prefix="offhook-container-", dir=archive.parent))
        self._root = self._directory / "root"
        # Process ids are unique among runs that go on at the same time, and so is all that is named after them.
        number = os.getpid()
        self._namespace = f"offhook-{number}"
        self._link = f"oh{number}"
        network = f"10.213.{number // 64 % 256}.{number % 64 * 4}"
        first = int(network.rsplit(".", 1)[1])
        self.host_address = f"{network.rsplit('.', 1)[0]}.{first + 1}"
        self.address = f"{network.rsplit('.', 1)[0]}.{first + 2}"
        argv = ["systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit", "--console=pipe"]
        argv += ["-D", str(self._root), "-M", self._namespace, "--timezone=off", "--resolv-conf=off"]
        argv += [f"--network-namespace-path=/run/netns/{self._namespace}"]
        argv += [f"--bind-ro={source}:{target}" for source, target in binds.items()]
        self._process = Process("systemd-nspawn", argv, self._directory / "console.log")
        self._leader = 0

    def boot(self) -> Self:
        """Unpack, connect and boot; returns when systemd says that the system runs.

        Raises:
            PeerError: it did not come up; the message holds the console's log.
        """
        self._root.mkdir()
        subprocess.run(["tar", "--zstd", "-C", str(self._root), "-xpf", str(self._archive)], check=True)
        self._connect()
        self._process.start()
        try:
            self._leader = wait_until(self._find_leader, "the container's first process", BOOT_DEADLINE_S)
            wait_until(self._is_up, "the container is up", BOOT_DEADLINE_S, every_s=0.2)
        except PeerError as error:
            raise PeerError(self._process.explain(str(error))) from None
        return self

    def run(self, *command: str, check: bool = True, deadline_s: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run a command as the container's root; text output.

        Raises:
            PeerError: it failed and `check` is set, or it ran longer than `deadline_s`.
        """
        enter = ["nsenter", "-t", str(self._leader), "-a", "env", "-i", f"PATH={PATH}", "LC_ALL=C.UTF-8", *command]
        try:
            done = subprocess.run(enter, check=False, capture_output=True, text=True, timeout=deadline_s)
        except subprocess.TimeoutExpired as late:
            raise PeerError(f"{' '.join(command)}: still running after {deadline_s:g} s\n{late.output}") from None
        if check and done.returncode:
            raise PeerError(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def write(self, path: str, text: str) -> None:
        """Replace a file's text; its owner and mode stay."""
        (self._root / path.lstrip("/")).write_text(text)

    def read(self, path: str) -> str:
        """A file's text."""
        return (self._root / path.lstrip("/")).read_text()

    def exists(self, path: str) -> bool:
        """True if there is such a file or directory, whatever a link there points to."""
        return os.path.lexists(self._root / path.lstrip("/"))

    def kill(self, pid: int, sign: signal.Signals) -> None:
        """Send a signal to a process by its number in the container."""
        self.run("kill", f"-{sign.value}", str(pid))

    def close(self) -> None:
        """Power off, and remove the file system and the network."""
        try:
            if self._leader and self._process.running:
                self.run("systemctl", "poweroff", "--no-block", check=False)
                wait_until(lambda: not self._process.running, "the container is off", BOOT_DEADLINE_S)
        finally:
            self._process.stop()
            for command in (["ip", "link", "delete", self._link], ["ip", "netns", "delete", self._namespace]):
                subprocess.run(command, check=False, capture_output=True)
            shutil.rmtree(self._directory)

    def _connect(self) -> None:
        """A network namespace with one end of a virtual cable; the container is started in it."""
        there = ["ip", "-n", self._namespace]
        for command in (
            ["ip", "netns", "add", self._namespace],
            ["ip", "link", "add", self._link, "type", "veth", "peer", "name", "host0", "netns", self._namespace],
            ["ip", "address", "add", f"{self.host_address}/30", "dev", self._link],
            ["ip", "link", "set", self._link, "up"],
            [*there, "address", "add", f"{self.address}/30", "dev", "host0"],
            [*there, "link", "set", "host0", "up"],
            [*there, "link", "set", "lo", "up"],
        ):
            subprocess.run(command, check=True, capture_output=True)

    def _find_leader(self) -> int:
        """The child of nspawn that has become systemd; before, other children come and go."""
        if not self._process.running:
            raise PeerError("systemd-nspawn ended")
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        for child in children:
            with contextlib.suppress(FileNotFoundError):
                if Path(f"/proc/{child}/comm").read_text() == "systemd\n":
                    return int(child)
        return 0

    def _is_up(self) -> bool:
        if not self._process.running:
            raise PeerError("systemd-nspawn ended")
        return self.run("systemctl", "is-system-running", check=False).stdout.strip() in {"running", "degraded"}

    def __enter__(self) -> Self:
        try:
            return self.boot()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
