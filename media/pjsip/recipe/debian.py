"""Debian's archive by apt: pjproject is one component of the source package `asterisk`, checked by Debian's signature.

apt runs on a configuration, state and cache of its own. The machine's sources tell where its mirror is; they stay as
they are. What comes from elsewhere is downloaded by apt too, since it knows the machine's proxies.
"""

from __future__ import annotations

import os
import platform
import pwd
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recipe.errors import BuildError
from recipe.progress import output, say
from recipe.source import Tarball

PACKAGE = "asterisk"
COMPONENT = "Xpjproject"
SUITE = "sid"
KEYRINGS = (
    Path("/usr/share/keyrings/debian-archive-keyring.pgp"),
    Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
)
APT_HELPER = Path("/usr/lib/apt/apt-helper")

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

URI_LINE = re.compile(r"^'(?P<uri>[^']+)' (?P<name>\S+) \d+ SHA256:(?P<sha256>[0-9a-f]{64})$", re.MULTILINE)

DSC_NAME = re.compile(rf"^{PACKAGE}_(?P<version>.+)\.dsc$")


class Apt:
    """Asks the mirrors of this machine, and downloads."""

    def suites(self) -> tuple[str, ...]:
        """Debian's newest, and this machine's own release if it is one of Debian's."""
        try:
            release = platform.freedesktop_os_release()
        except OSError:
            return (SUITE,)
        own = release.get("VERSION_CODENAME", SUITE)
        return (SUITE,) if release.get("ID") != "debian" or own == SUITE else (SUITE, own)

    def offers(self, suite: str) -> tuple[Tarball, ...]:
        """The component of a suite's `asterisk`.

        Raises:
            BuildError: no mirror tells, or it has none.
        """
        keyring = _keyring()
        refused: list[str] = []
        for mirror in _mirrors():
            say(f"asking {mirror} for the source package {PACKAGE} of {suite}")
            with _private_apt(f"deb-src [signed-by={keyring}] {mirror} {suite} main\n") as conf:
                try:
                    output(["apt-get", "-q", "-c", conf, "update"])
                    return (component(output(["apt-get", "-q", "-c", conf, "source", "--print-uris", PACKAGE])),)
                except BuildError as error:
                    refused.append(str(error))
        raise BuildError("\n\n".join([f"no mirror of this machine has {PACKAGE} of Debian's {suite}", *refused]))

    def download(self, tarball: Tarball, target: Path) -> None:
        """Download a tarball, checked by its SHA-256.

        Raises:
            BuildError: there is no network, no such file, or another one.
        """
        with _private_apt("") as conf:
            fresh = conf.parent / "download" / "tarball"
            output([APT_HELPER, "-c", conf, "download-file", tarball.uri, fresh, f"SHA256:{tarball.sha256}"])
            shutil.copyfile(fresh, target)


def component(listing: str) -> Tarball:
    """The tarball of pjproject in what apt lists of the source package.

    Raises:
        BuildError: it has none.
    """
    files = list(URI_LINE.finditer(listing))
    version = next((name["version"] for entry in files if (name := DSC_NAME.match(entry["name"]))), "unknown")
    for file in files:
        if f".orig-{COMPONENT}.tar." in file["name"]:
            return Tarball(file["name"], file["uri"], file["sha256"], "debian", version)
    names = ", ".join(file["name"] for file in files)
    raise BuildError(f"the source package {PACKAGE} no longer has a component {COMPONENT} (it has: {names})")


def _keyring() -> Path:
    for keyring in KEYRINGS:
        if keyring.exists():
            return keyring
    raise BuildError("the keys of Debian's archive are missing: apt-get install debian-archive-keyring")


def _mirrors() -> list[str]:
    """The archives that this machine's apt uses, likeliest first: one must carry the suite with Debian's signature."""
    listing = output(
        ["apt-get", "indextargets", "--no-release-info", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)"]
    )
    found: dict[str, int] = {}
    for line in listing.splitlines():
        uri, _, rest = line.partition(" ")
        release, _, component_name = rest.partition(" ")
        if component_name == "main" and "security" not in release:
            plain = "-" not in release
            debian = re.search(r"/debian(\.list)?/?$", uri) is not None
            found[uri] = max(found.get(uri, 0), 2 * debian + plain)
    if not found:
        raise BuildError("apt on this machine has no Debian archive among its sources")
    return sorted(found, key=lambda uri: -found[uri])


@contextmanager
def _private_apt(sources: str) -> Iterator[Path]:
    """An apt configuration that sees these sources alone, and keeps everything in a directory of its own."""
    with tempfile.TemporaryDirectory(prefix="offhook-apt-") as name:
        root = Path(name)
        root.chmod(0o755)
        for part in ("state/lists/partial", "cache/archives/partial", "download"):
            (root / part).mkdir(parents=True)
        if os.geteuid() == 0:
            shutil.chown(root / "download", _apt_user())
        (root / "sources.list").write_text(sources)
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
