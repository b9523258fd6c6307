"""Fetches pjproject: one component of Debian's source package `asterisk`, by apt, checked by Debian's signature.

apt runs on a configuration, state and cache of its own. The machine's sources tell where its mirror is; they stay as
they are.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from recipe.errors import BuildError
from recipe.progress import output, say

PACKAGE = "asterisk"
COMPONENT = "Xpjproject"
SUITE = "sid"
KEYRINGS = (
    Path("/usr/share/keyrings/debian-archive-keyring.pgp"),
    Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
)
APT_HELPER = Path("/usr/lib/apt/apt-helper")
OVERRIDE_HINT = "or set PJPROJECT_TARBALL to a pjproject release that you have"

APT_CONF = """\
Dir::State "{root}/state";
Dir::Cache "{root}/cache";
Dir::Etc::sourcelist "{root}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
APT::Update::Error-Mode "any";
Acquire::Languages "none";
Acquire::Retries "3";
"""

URI_LINE = re.compile(r"^'(?P<uri>[^']+)' (?P<name>\S+) \d+ (?P<digest>SHA256:[0-9a-f]{64})$", re.MULTILINE)

DSC_NAME = re.compile(rf"^{PACKAGE}_(?P<version>.+)\.dsc$")


@dataclass(frozen=True, slots=True)
class Source:
    """A tarball of pjproject and where it came from."""

    tarball: Path
    sha256: str
    origin: str
    """`debian` or `PJPROJECT_TARBALL`."""
    package_version: str
    """Debian's version of the source package; empty for a tarball of one's own."""

    def facts(self) -> dict[str, str]:
        """For BUILD.json."""
        return {name: str(value) for name, value in asdict(self).items()}


def own_tarball(path: Path) -> Source:
    """The tarball that PJPROJECT_TARBALL names."""
    return Source(path, _sha256(path), "PJPROJECT_TARBALL", "")


def fetch(downloads: Path) -> Source:
    """The component of the newest `asterisk` in Debian sid, downloaded unless it is there already."""
    keyring = _keyring()
    refused: list[str] = []
    for mirror in _mirrors():
        say(f"asking {mirror} for the source package {PACKAGE} of {SUITE}")
        with _private_apt(mirror, keyring) as conf:
            try:
                output(["apt-get", "-q", "-c", conf, "update"])
            except BuildError as error:
                refused.append(str(error))
                continue
            return _fetch_component(conf, downloads)
    raise BuildError(
        f"no mirror gave Debian's {SUITE} index: is there a network? Mend it, {OVERRIDE_HINT}.{_earlier(downloads)}\n\n"
        + "\n\n".join(refused)
    )


def _keyring() -> Path:
    for keyring in KEYRINGS:
        if keyring.exists():
            return keyring
    raise BuildError("the keys of Debian's archive are missing: apt-get install debian-archive-keyring")


def _mirrors() -> list[str]:
    """The archives that this machine's apt uses, likeliest first: one must carry `sid` with Debian's signature."""
    listing = output(
        ["apt-get", "indextargets", "--no-release-info", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)"]
    )
    found: dict[str, int] = {}
    for line in listing.splitlines():
        uri, _, rest = line.partition(" ")
        release, _, component = rest.partition(" ")
        if component == "main" and "security" not in release:
            plain = "-" not in release
            debian = re.search(r"/debian(\.list)?/?$", uri) is not None
            found[uri] = max(found.get(uri, 0), 2 * debian + plain)
    if not found:
        raise BuildError(f"apt on this machine has no Debian archive among its sources: add one, {OVERRIDE_HINT}")
    return sorted(found, key=lambda uri: -found[uri])


@contextmanager
def _private_apt(mirror: str, keyring: Path) -> Iterator[Path]:
    """An apt configuration that sees one mirror and one suite, and keeps everything in a directory of its own."""
    with tempfile.TemporaryDirectory(prefix="offhook-apt-") as name:
        root = Path(name)
        root.chmod(0o755)
        for part in ("state/lists/partial", "cache/archives/partial", "download"):
            (root / part).mkdir(parents=True)
        if os.geteuid() == 0:
            shutil.chown(root / "download", _apt_user())
        (root / "sources.list").write_text(f"deb-src [signed-by={keyring}] {mirror} {SUITE} main\n")
        conf = root / "apt.conf"
        conf.write_text(APT_CONF.format(root=root))
        yield conf


def _apt_user() -> str:
    """Whom apt downloads as when root calls it."""
    try:
        pwd.getpwnam("_apt")
    except KeyError:
        return "root"
    return "_apt"


def _fetch_component(conf: Path, downloads: Path) -> Source:
    listing = output(["apt-get", "-q", "-c", conf, "source", "--print-uris", PACKAGE])
    files = list(URI_LINE.finditer(listing))
    for file in files:
        if f".orig-{COMPONENT}.tar." in file["name"]:
            break
    else:
        names = ", ".join(file["name"] for file in files)
        raise BuildError(
            f"the source package {PACKAGE} no longer has a component {COMPONENT} (it has: {names}); "
            f"the recipe must learn the new place, {OVERRIDE_HINT}"
        )
    version = next((name["version"] for entry in files if (name := DSC_NAME.match(entry["name"]))), "unknown")
    tarball = downloads / file["name"]
    sha256 = file["digest"].removeprefix("SHA256:")
    if tarball.exists() and _sha256(tarball) == sha256:
        say(f"{tarball.name} is here already")
    else:
        say(f"downloading {tarball.name}")
        fresh = conf.parent / "download" / "component"
        output([APT_HELPER, "-c", conf, "download-file", file["uri"], fresh, file["digest"]])
        downloads.mkdir(parents=True, exist_ok=True)
        part = tarball.with_suffix(".part")
        shutil.copyfile(fresh, part)
        part.rename(tarball)
    return Source(tarball, sha256, "debian", version)


def _earlier(downloads: Path) -> str:
    """A hint at tarballs of earlier builds, checked when they were fetched."""
    names = sorted(str(path) for path in downloads.glob("*.tar.*"))
    return "".join(f"\nFetched earlier: PJPROJECT_TARBALL={name}" for name in names)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
