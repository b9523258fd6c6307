"""Where things lie: the recipe's own files, the cache, and the key under which a result is kept."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from recipe import sanitizer

RECIPE_DIR = Path(__file__).resolve().parent.parent
PATCH_DIR = RECIPE_DIR / "patches"
CONFIG_SITE = RECIPE_DIR / "config_site.h"
PACKAGES = RECIPE_DIR / "packages.txt"

KEY_LENGTH = 16


@dataclass(frozen=True, slots=True)
class Layout:
    """Every path that a build with this key uses."""

    cache: Path
    key: str

    @property
    def result(self) -> Path:
        """The finished build; it exists only when it is complete."""
        return self.cache / self.key

    @property
    def work(self) -> Path:
        """Everything unfinished; kept when a build is interrupted, so that the next run goes on."""
        return self.cache / "work" / self.key

    @property
    def source(self) -> Path:
        """pjproject, unpacked and patched."""
        return self.work / "pjproject"

    @property
    def logs(self) -> Path:
        """Output of each step."""
        return self.work / "logs"

    @property
    def downloads(self) -> Path:
        """Tarballs already fetched and checked."""
        return self.cache / "downloads"

    @property
    def lock(self) -> Path:
        """Held while a build runs."""
        return self.cache / "lock"


def find_layout(tarball: Path | None) -> Layout:
    """The paths for this recipe, interpreter and machine; needs no network.

    Raises:
        FileNotFoundError: there is no place for a cache.
    """
    return Layout(cache=_offhook_cache() / "pjsip", key=_key(tarball))


def _offhook_cache() -> Path:
    if own := os.environ.get("OFFHOOK_CACHE"):
        return Path(own).expanduser().resolve()
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    try:
        return Path(home).expanduser().resolve() / "offhook"
    except RuntimeError:  # neither HOME nor an entry in passwd
        message = "this user has no home directory: set OFFHOOK_CACHE to a directory of its own"
        raise FileNotFoundError(message) from None


def recipe_files() -> Iterator[Path]:
    """Every file of which a change makes another build, in a fixed order."""
    yield RECIPE_DIR / "build.py"
    yield PACKAGES
    yield CONFIG_SITE
    yield from sorted((RECIPE_DIR / "recipe").glob("*.py"))
    yield from sorted((RECIPE_DIR / "recipe").glob("*.c"))
    yield from sorted(PATCH_DIR.glob("*.patch"))


def _key(tarball: Path | None) -> str:
    digest = hashlib.sha256()
    for path in recipe_files():
        digest.update(f"{path.relative_to(RECIPE_DIR)}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    for fact in (*_machine(), sanitizer.wanted()):
        digest.update(f"{fact}\0".encode())
    if tarball is not None:
        digest.update(hashlib.sha256(tarball.read_bytes()).digest())
    return digest.hexdigest()[:KEY_LENGTH]


def _machine() -> tuple[str, ...]:
    """What a binary is bound to: the interpreter's ABI and headers, the processor, the distribution's libraries."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    return (
        str(sysconfig.get_config_var("SOABI")),
        str(sysconfig.get_config_var("INCLUDEPY")),
        sys.version.split()[0],
        platform.machine(),
        release.get("ID", "?") + release.get("VERSION_ID", "?"),
    )
