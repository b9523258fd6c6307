"""Decides which pjproject is built: exactly the pinned release wherever it comes from, else a newer one of Debian's.

The decision is `decide`, without any input or output; `find_source` does what it says until there are patched sources.
"""

from __future__ import annotations

import hashlib
import re
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Protocol

from recipe.errors import BuildError
from recipe.patching import version_in
from recipe.progress import say

PINNED = "2.17"


@dataclass(frozen=True, slots=True)
class Tarball:
    """A tarball of pjproject that somebody offers."""

    name: str
    """Of the file that keeps it."""
    uri: str
    sha256: str
    origin: str
    """`debian` or `upstream`."""
    package_version: str = ""
    """Debian's version of the source package."""


UPSTREAM = (
    Tarball(
        f"pjproject-{PINNED}.tar.gz",
        f"https://github.com/pjsip/pjproject/archive/refs/tags/{PINNED}.tar.gz",
        "065fe06c06788d97c35f563796d59f00ce52fe9558a52d7b490a042a966facce",
        "upstream",
    ),
    Tarball(
        f"pjproject-{PINNED}.tar.bz2",
        f"https://raw.githubusercontent.com/asterisk/third-party/master/pjproject/{PINNED}/pjproject-{PINNED}.tar.bz2",
        "04b2eb1f0f01aa0ad1945b167171843448a51aa6b7c3e806496d434f13a112b7",
        "upstream",
    ),
)
"""The release, and the copy of it that Asterisk builds with. The hashes are those that distributions publish."""

PINNED_SHA256 = frozenset(
    {
        "6860c2f7604b4eee75f38151a9ef69774eb3f0c5286fc1d14bc1db2dc5a9e8aa",  # Debian's component
        *(tarball.sha256 for tarball in UPSTREAM),
    }
)


@dataclass(frozen=True, slots=True)
class Known:
    """What is known so far."""

    suites: tuple[str, ...]
    """Debian's suites that have not been asked yet, the likeliest first."""
    offered: tuple[Tarball, ...] = ()
    """What the suites that were asked offer, checked by Debian's signature."""
    here: Mapping[str, str] = field(default_factory=dict)
    """Versions of the tarballs that are on this machine, by SHA-256."""
    failed: frozenset[str] = frozenset()
    """SHA-256 of what could not be downloaded, or does not go together with our patches."""


@dataclass(frozen=True, slots=True)
class Use:
    """Build this one, which is here."""

    sha256: str


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask what this suite offers."""

    suite: str


@dataclass(frozen=True, slots=True)
class Download:
    """Get this one."""

    tarball: Tarball


@dataclass(frozen=True, slots=True)
class GiveUp:
    """There is nothing left to try."""


Action = Use | Ask | Download | GiveUp


def decide(known: Known) -> Action:
    """The next step: the pinned release from here, Debian, or upstream; else the newest newer one of Debian's."""
    trusted = PINNED_SHA256 | {tarball.sha256 for tarball in known.offered}
    here = {sha256: version for sha256, version in known.here.items() if sha256 in trusted - known.failed}
    if pinned := next((sha256 for sha256, version in here.items() if version == PINNED), None):
        return Use(pinned)
    # Of Debian's others only their sources tell which release they are.
    debian = sorted(known.offered, key=lambda tarball: tarball.sha256 not in PINNED_SHA256)
    for tarball in debian:
        if tarball.sha256 not in known.failed | here.keys():
            return Download(tarball)
    if known.suites:
        return Ask(known.suites[0])
    for tarball in UPSTREAM:
        if tarball.sha256 not in known.failed | here.keys():
            return Download(tarball)
    newer = [sha256 for sha256, version in here.items() if _order(version) > _order(PINNED)]
    if newer:
        return Use(max(newer, key=lambda sha256: _order(here[sha256])))
    return GiveUp()


def _order(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)))


class Archive(Protocol):
    """Where tarballs come from."""

    def suites(self) -> tuple[str, ...]:
        """Debian's suites to ask, the likeliest first."""

    def offers(self, suite: str) -> tuple[Tarball, ...]:
        """What a suite offers. BuildError: it does not say."""

    def download(self, tarball: Tarball, target: Path) -> None:
        """Download, and check the SHA-256. BuildError: it cannot."""


@dataclass(frozen=True, slots=True)
class Source:
    """A tarball of pjproject and where it came from."""

    tarball: Path
    sha256: str
    origin: str
    """`debian`, `upstream`, `PJPROJECT_TARBALL`, or `downloads` where an earlier run or a person put it."""
    package_version: str
    """Debian's version of the source package; empty for any other."""

    def facts(self) -> dict[str, str]:
        """For BUILD.json."""
        return {name: str(value) for name, value in asdict(self).items()}


Prepare = Callable[[Path], dict[str, str]]
"""Unpacks and patches a tarball; for each patch what became of it. BuildError: they do not go together."""


def own_tarball(path: Path, prepare: Prepare) -> tuple[Source, dict[str, str]]:
    """The tarball that PJPROJECT_TARBALL names, prepared."""
    return Source(path, _sha256(path), "PJPROJECT_TARBALL", ""), prepare(path)


def find_source(downloads: Path, archive: Archive, prepare: Prepare) -> tuple[Source, dict[str, str]]:
    """The pjproject to build, prepared, and what became of each patch.

    Raises:
        BuildError: there is none; it says what to download, and where to put it.
    """
    downloads.mkdir(parents=True, exist_ok=True)
    files = {_sha256(path): path for path in sorted(downloads.glob("*.tar.*")) if path.suffix != ".part"}
    known = Known(archive.suites(), here=dict(_versions(files)))
    reasons: list[str] = []
    while not isinstance(action := decide(known), GiveUp):
        try:
            match action:
                case Use(sha256):
                    return _source(files[sha256], sha256, known), prepare(files[sha256])
                case Ask(suite):
                    known = replace(known, suites=known.suites[1:])
                    known = replace(known, offered=(*known.offered, *archive.offers(suite)))
                case Download(tarball):
                    say(f"downloading {tarball.uri}")
                    target = files[tarball.sha256] = _download(archive, tarball, downloads)
                    known = replace(known, here={**known.here, tarball.sha256: _version(target)})
        except BuildError as error:
            failed = _failed(action, known)
            if failed is None:
                raise
            say(f"  no: {str(error).splitlines()[0]}")
            reasons.append(str(error))
            known = replace(known, failed=known.failed | failed)
    raise BuildError(_advice(downloads, files, reasons))


def _failed(action: Ask | Download | Use, known: Known) -> frozenset[str] | None:
    """What is out of the question after an error; None when the error is the end."""
    match action:
        case Ask():
            return frozenset()
        case Download(tarball):
            return frozenset({tarball.sha256})
        case Use(sha256) if known.here[sha256] != PINNED:
            return frozenset({sha256})
        case Use():
            return None


def _source(path: Path, sha256: str, known: Known) -> Source:
    for tarball in (*known.offered, *UPSTREAM):
        if tarball.sha256 == sha256:
            return Source(path, sha256, tarball.origin, tarball.package_version)
    return Source(path, sha256, "downloads", "")


def _download(archive: Archive, tarball: Tarball, downloads: Path) -> Path:
    target = downloads / tarball.name
    part = target.with_name(f"{target.name}.part")
    archive.download(tarball, part)
    part.rename(target)
    return target


def _versions(files: Mapping[str, Path]) -> Iterator[tuple[str, str]]:
    for sha256, path in files.items():
        try:
            yield sha256, _version(path)
        except BuildError as error:
            say(f"passing over {error}")


def _version(path: Path) -> str:
    """Of the sources in a tarball, as their own makefiles tell it."""
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                if member.isfile() and re.fullmatch(r"[^/]+/version\.mak", member.name.removeprefix("./")):
                    file = archive.extractfile(member)
                    return version_in(file.read().decode()) if file else ""
    except (tarfile.TarError, OSError, EOFError) as error:
        raise BuildError(f"{path}: {error}") from error
    raise BuildError(f"{path}: this is no pjproject: no version.mak in its top directory")


def _advice(downloads: Path, files: Mapping[str, Path], reasons: list[str]) -> str:
    wanted = UPSTREAM[0]
    text = f"pjproject {PINNED} could not be had: download {wanted.uri} and put it at {downloads / wanted.name}"
    wrong = [path for sha256, path in files.items() if path.name == wanted.name and sha256 != wanted.sha256]
    text += "".join(f"\n\n{path}: this is another file, the SHA-256 is not {wanted.sha256}" for path in wrong)
    return "\n\n".join([text, *reasons])


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
