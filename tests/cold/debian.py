"""A fresh Debian that somebody sits at: not booted, with this machine's network, and thrown away afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.systemd.rootfs import archive_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PACKAGES = ("ca-certificates", "git", "iproute2", "make", "sudo", "systemd")
"""What a newcomer has, and `ip` to give a command a network of its own."""
MOUNT = """
root=$1 network=$2
shift 2
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
[ "$network" = shared ] || ip link set lo up
exec chroot "$root" "$@"
"""


class Debian:
    """The file system, and commands in it in namespaces of their own.

    Commands see no environment but PATH, HOME and what they are given: no machine of ours helps them.
    """

    def __init__(self, suite: str) -> None:
        archive = archive_of(suite, PACKAGES, "newcomer")
        self._directory = Path(tempfile.mkdtemp(prefix="offhook-cold-", dir=archive.parent))
        self.root = self._directory / "root"
        self.root.mkdir()
        subprocess.run(["tar", "--zstd", "-C", str(self.root), "-xpf", str(archive)], check=True)
        self._adopt_network()

    def run(
        self, *command: str, user: str = "root", home: str = "/root", alone: bool = False, deadline_s: float = 60.0
    ) -> str:
        """What a command prints, on both outputs; `alone`: in a network of its own, which is loopback.

        Raises:
            AssertionError: it failed.
        """
        enter = ["unshare", "--mount", "--pid", "--fork", "--kill-child", *(["--net"] if alone else [])]
        enter += ["bash", "-euc", MOUNT, "mount", str(self.root), "alone" if alone else "shared"]
        become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"] if user != "root" else []
        bare = ["/usr/bin/env", "-i", f"PATH={PATH}", f"HOME={home}"]
        done = subprocess.run(
            [*enter, *become, *bare, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=deadline_s,
        )
        printed = done.stdout.decode(errors="replace")
        assert done.returncode == 0, f"{' '.join(command)}: exit status {done.returncode}\n{printed[-6000:]}"
        return printed

    def script(self, lines: Sequence[str], **options: object) -> str:
        """As `run`, for lines of shell, of which the first that fails is the last."""
        return self.run("bash", "-euc", "\n".join(lines), **options)  # type: ignore[arg-type]

    def close(self) -> None:
        """Remove the file system."""
        shutil.rmtree(self._directory)

    def _adopt_network(self) -> None:
        """How this machine's programs reach the registries: they would otherwise not from in here."""
        for name in ("etc/resolv.conf", "etc/hosts", "etc/pip.conf", "etc/ssl/certs/ca-certificates.crt"):
            if Path("/", name).exists():
                shutil.copyfile(Path("/", name), self.root / name)
        for path in Path("/etc/apt/apt.conf.d").iterdir():
            if any(line.startswith("Acquire::") for line in path.read_text().splitlines()):
                shutil.copyfile(path, self.root / "etc/apt/apt.conf.d" / path.name)
        with (self.root / "etc/hosts").open("a") as hosts:
            hosts.write(f"\n127.0.1.1 {os.uname().nodename}\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
