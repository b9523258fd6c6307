"""A minimal Debian as an archive: made once by debootstrap, then kept in the cache."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

SUITE = "bookworm"
REPOSITORY = Path(__file__).resolve().parents[2]
# What a Debian server has beyond debootstrap's minimum; what Offhook needs is added from systemd/packages.txt.
BASE_PACKAGES = ("dbus", "iproute2", "procps", "systemd", "systemd-sysv")


def rootfs_archive() -> Path:
    """The archive of a Debian 12 in which Offhook can be installed. A change of systemd/packages.txt makes a new one.

    Raises:
        RuntimeError: debootstrap failed; the message has the end of its log.
    """
    lines = (REPOSITORY / "systemd" / "packages.txt").read_text().splitlines()
    return archive_of(
        SUITE, {*BASE_PACKAGES, *(line for line in lines if line and not line.startswith("#"))}, "service"
    )


def archive_of(suite: str, packages: Collection[str], use: str) -> Path:
    """The archive of a suite's minimal system and these packages, made first if it is not in the cache.

    A new one takes the place of the old one of the same suite and use.

    Raises:
        RuntimeError: debootstrap failed; the message has the end of its log.
    """
    key = hashlib.sha256("\n".join([suite, *sorted(packages)]).encode()).hexdigest()[:16]
    cache = _pjsip_cache().with_name("rootfs")
    archive = cache / f"{suite}-{use}-{key}.tar.zst"
    if not archive.exists():
        cache.mkdir(parents=True, exist_ok=True)
        for stale in cache.glob(f"{suite}-{use}-*.tar.zst"):
            stale.unlink()
        _debootstrap(suite, packages, archive)
    return archive


def _debootstrap(suite: str, packages: Collection[str], archive: Path) -> None:
    # The file system must be able to hold devices and owners, as the cache's may; /tmp often is mounted nodev.
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix="making-") as directory:
        root = Path(directory) / "root"
        include = f"--include={','.join(sorted(packages))}"
        command = ["debootstrap", "--variant=minbase", include, suite, str(root), mirror()]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"debootstrap failed:\n{(done.stdout + done.stderr)[-3000:]}")
        shutil.rmtree(root / "var" / "cache" / "apt" / "archives", ignore_errors=True)
        shutil.rmtree(root / "var" / "lib" / "apt" / "lists", ignore_errors=True)
        packed = Path(directory) / "packed"
        pack = ["tar", "--zstd", "--numeric-owner", "--xattrs", "-C", str(root), "-cf", str(packed), "."]
        subprocess.run(pack, check=True)
        packed.rename(archive)


def mirror() -> str:
    """The mirror from which this machine's own apt takes Debian 12."""
    query = ["apt-get", "indextargets", "--format", "$(REPO_URI)"]
    filters = ["Identifier: Packages", f"Codename: {SUITE}", "Label: Debian", "Component: main"]
    found = subprocess.run([*query, *filters], check=False, capture_output=True, text=True).stdout.split()
    if not found:
        raise RuntimeError(f"apt knows no mirror of {SUITE}: run apt-get update, or add one to its sources")
    return found[0]


def _pjsip_cache() -> Path:
    """Where PJSIP's builds are kept. Its recipe is a program of its own and no package of ours."""
    sys.path.insert(0, str(REPOSITORY / "media/pjsip"))
    try:
        return Path(import_module("recipe.layout").find_layout(None).cache)
    finally:
        sys.path.pop(0)
