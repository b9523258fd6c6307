"""Which pjproject the recipe builds: where it looks, what it takes when Debian has moved on, and what it says then."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
from dataclasses import dataclass, field
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

RECIPE = Path(__file__).parents[3] / "media/pjsip"
DEBIANS = "6860c2f7604b4eee75f38151a9ef69774eb3f0c5286fc1d14bc1db2dc5a9e8aa"


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The recipe's module, which is a program of its own and no package of ours."""
    monkeypatch.syspath_prepend(str(RECIPE))
    return import_module("recipe.source")


@pytest.fixture
def debian(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(RECIPE))
    return import_module("recipe.debian")


# The decision

SHA = {"ours": DEBIANS, "repacked": "1" * 64, "newer": "2" * 64, "newest": "3" * 64, "older": "4" * 64}


def _known(source: ModuleType, **facts: Any) -> Any:
    offered = tuple(
        source.Tarball(name, f"http://mirror.invalid/{name}", SHA[name], "debian") for name in facts.pop("offered", ())
    )
    here = {SHA.get(name, name): version for name, version in facts.pop("here", {}).items()}
    failed = frozenset(SHA.get(name, name) for name in facts.pop("failed", ()))
    return source.Known(facts.pop("suites", ()), offered, here, failed)


def test_what_is_here_is_used_without_asking_anybody(source: ModuleType) -> None:
    for sha256 in source.PINNED_SHA256:
        assert source.decide(_known(source, suites=("sid",), here={sha256: "2.17"})) == source.Use(sha256)


def test_what_nobody_vouches_for_is_not_used(source: ModuleType) -> None:
    known = _known(source, suites=("sid",), here={"0" * 64: "2.17"})
    assert source.decide(known) == source.Ask("sid")


def test_debians_are_downloaded_before_another_suite_is_asked(source: ModuleType) -> None:
    known = _known(source, suites=("trixie",), offered=("newer", "ours"))
    assert source.decide(known).tarball.sha256 == DEBIANS
    known = _known(source, suites=("trixie",), offered=("newer",))
    assert source.decide(known).tarball.sha256 == SHA["newer"]
    known = _known(source, suites=("trixie",), offered=("newer",), here={"newer": "2.18"})
    assert source.decide(known) == source.Ask("trixie")


def test_the_pinned_release_in_a_packing_of_debians_that_we_do_not_know(source: ModuleType) -> None:
    known = _known(source, suites=("trixie",), offered=("repacked",), here={"repacked": "2.17"})
    assert source.decide(known) == source.Use(SHA["repacked"])


def test_upstream_comes_before_a_newer_release_of_debians(source: ModuleType) -> None:
    first, second = source.UPSTREAM
    facts: dict[str, Any] = {"offered": ("newer",), "here": {"newer": "2.18"}}
    assert source.decide(_known(source, **facts)) == source.Download(first)
    assert source.decide(_known(source, **facts, failed=[first.sha256])) == source.Download(second)


def test_the_newest_to_which_the_patches_apply_is_the_last_resort(source: ModuleType) -> None:
    gone = [tarball.sha256 for tarball in source.UPSTREAM]
    facts: dict[str, Any] = {
        "offered": ("older", "newer", "newest"),
        "here": {"older": "2.9", "newer": "2.17.1", "newest": "2.18"},
    }
    assert source.decide(_known(source, **facts, failed=gone)) == source.Use(SHA["newest"])
    assert source.decide(_known(source, **facts, failed=[*gone, "newest"])) == source.Use(SHA["newer"])
    assert source.decide(_known(source, **facts, failed=[*gone, "newest", "newer"])) == source.GiveUp()


# What follows from it


def _pjproject(version: str, *, patched: bool = True) -> bytes:
    """A tarball as upstream's, which our patches go together with or not."""
    major, _, minor = version.partition(".")
    makefile = f"export PJ_VERSION_MAJOR  := {major}\nexport PJ_VERSION_MINOR  := {minor}\n"
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name, text in (("version.mak", makefile), ("third_party/build/Makefile", "ours" if patched else "other")):
            member = tarfile.TarInfo(f"pjproject-{version}/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return content.getvalue()


@dataclass(slots=True)
class Archive:
    """What each suite offers, and what can be downloaded, by SHA-256; of a suite with none, no mirror tells."""

    source: ModuleType
    offered: dict[str, str]
    contents: dict[str, bytes]
    asked: list[str] = field(default_factory=list)

    def suites(self) -> tuple[str, ...]:
        return tuple(self.offered)

    def offers(self, suite: str) -> tuple[Any, ...]:
        self.asked.append(suite)
        if not self.offered[suite]:
            raise self.source.BuildError(f"no mirror of this machine has asterisk of Debian's {suite}")
        name = f"asterisk_{suite}.orig-Xpjproject.tar.gz"
        return (self.source.Tarball(name, f"http://mirror.invalid/{name}", self.offered[suite], "debian", "22-1"),)

    def download(self, tarball: Any, target: Path) -> None:
        self.asked.append(tarball.uri)
        if tarball.sha256 not in self.contents:
            raise self.source.BuildError(f"{tarball.uri}: no route to host")
        target.write_bytes(self.contents[tarball.sha256])


def _find(source: ModuleType, archive: Archive, downloads: Path) -> tuple[Any, str]:
    """The source that is found, and the top directory of its tarball."""
    tops: list[str] = []

    def prepare(path: Path) -> dict[str, str]:
        with tarfile.open(path) as tarball:
            top = tarball.getnames()[0].partition("/")[0]
            file = tarball.extractfile(f"{top}/third_party/build/Makefile")
            assert file is not None
            if file.read() != b"ours":
                raise source.BuildError(f"01-fault.patch does not apply to {top}")
        tops.append(top)
        return {"01-fault.patch": "applied"}

    found, patches = source.find_source(downloads, archive, prepare)
    assert patches == {"01-fault.patch": "applied"}
    return found, tops[-1]


def test_the_pinned_release_is_downloaded_once(source: ModuleType, tmp_path: Path) -> None:
    archive = Archive(source, {"sid": DEBIANS}, {DEBIANS: _pjproject("2.17")})
    found, top = _find(source, archive, tmp_path)
    assert (found.origin, found.package_version, top) == ("debian", "22-1", "pjproject-2.17")
    assert len(archive.asked) == 2  # the suite, and the tarball
    assert [path.name for path in tmp_path.iterdir()] == ["asterisk_sid.orig-Xpjproject.tar.gz"]


def test_on_the_day_that_sid_moves_on_another_suite_may_have_it(source: ModuleType, tmp_path: Path) -> None:
    contents = {SHA["newer"]: _pjproject("2.18"), DEBIANS: _pjproject("2.17")}
    found, top = _find(source, Archive(source, {"sid": SHA["newer"], "forky": DEBIANS}, contents), tmp_path)
    assert (found.tarball.name, top) == ("asterisk_forky.orig-Xpjproject.tar.gz", "pjproject-2.17")


def test_on_the_day_that_debian_moves_on_upstreams_release_is_built(source: ModuleType, tmp_path: Path) -> None:
    contents = {SHA["newer"]: _pjproject("2.18"), source.UPSTREAM[0].sha256: _pjproject("2.17")}
    found, top = _find(source, Archive(source, {"sid": SHA["newer"]}, contents), tmp_path)
    assert (found.origin, found.tarball.name, top) == ("upstream", "pjproject-2.17.tar.gz", "pjproject-2.17")


def test_without_debian_upstreams_release_is_built(source: ModuleType, tmp_path: Path) -> None:
    archive = Archive(source, {"sid": DEBIANS}, {source.UPSTREAM[1].sha256: _pjproject("2.17")})
    found, _ = _find(source, archive, tmp_path)
    assert (found.origin, found.tarball.name) == ("upstream", "pjproject-2.17.tar.bz2")


def test_where_no_mirror_has_a_suite_the_next_one_and_then_upstream_is_asked(
    source: ModuleType, tmp_path: Path
) -> None:
    """As on Ubuntu, whose mirrors have nothing of Debian's."""
    contents = {DEBIANS: _pjproject("2.17"), source.UPSTREAM[0].sha256: _pjproject("2.17")}
    for offered, origin in (({"sid": "", "trixie": DEBIANS}, "debian"), ({"sid": ""}, "upstream")):
        downloads = tmp_path / origin
        archive = Archive(source, offered, contents)
        assert _find(source, archive, downloads)[0].origin == origin
        assert archive.asked[: len(offered)] == list(offered)


def test_without_upstream_debians_newer_release_is_built_if_the_patches_apply(
    source: ModuleType, tmp_path: Path
) -> None:
    contents = {SHA["newer"]: _pjproject("2.18"), SHA["newest"]: _pjproject("2.19", patched=False)}
    archive = Archive(source, {"sid": SHA["newest"], "forky": SHA["newer"]}, contents)
    assert _find(source, archive, tmp_path)[1] == "pjproject-2.18"


def test_when_nothing_can_be_had_one_sentence_says_what_to_download_and_where_to_put_it(
    source: ModuleType, tmp_path: Path
) -> None:
    contents = {SHA["newer"]: _pjproject("2.18", patched=False), SHA["older"]: _pjproject("2.16")}
    archive = Archive(source, {"sid": SHA["newer"], "trixie": SHA["older"]}, contents)
    with pytest.raises(source.BuildError) as caught:
        _find(source, archive, tmp_path)
    sentence, *reasons = str(caught.value).split("\n\n")
    assert sentence == (
        f"pjproject 2.17 could not be had: download {source.UPSTREAM[0].uri} "
        f"and put it at {tmp_path}/pjproject-2.17.tar.gz"
    )
    assert "01-fault.patch does not apply to pjproject-2.18" in reasons
    assert f"{source.UPSTREAM[0].uri}: no route to host" in reasons


def test_what_was_put_there_is_built_and_a_wrong_file_is_named(
    source: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = _pjproject("2.17")
    placed = tmp_path / source.UPSTREAM[0].name
    archive = Archive(source, {}, {})
    for wrong in (_pjproject("2.16"), b"<html>"):
        placed.write_bytes(wrong)
        with pytest.raises(source.BuildError, match=f"{placed}: this is another file, the SHA-256 is not"):
            _find(source, archive, tmp_path)
    placed.write_bytes(content)
    monkeypatch.setattr(source, "PINNED_SHA256", frozenset({hashlib.sha256(content).hexdigest()}))
    archive.asked.clear()
    found, _ = _find(source, archive, tmp_path)
    assert (found.tarball, found.origin, archive.asked) == (placed, "downloads", [])


def test_a_patch_that_does_not_apply_to_the_pinned_release_is_the_end(source: ModuleType, tmp_path: Path) -> None:
    archive = Archive(source, {"sid": DEBIANS}, {DEBIANS: _pjproject("2.17", patched=False)})
    with pytest.raises(source.BuildError, match=r"01-fault\.patch does not apply to pjproject-2\.17"):
        _find(source, archive, tmp_path)


# Debian's archive, and downloads


@pytest.mark.parametrize(
    ("release", "suites"),
    [
        ({"ID": "debian", "VERSION_CODENAME": "bookworm"}, ("sid", "bookworm")),
        ({"ID": "debian", "VERSION_CODENAME": "sid"}, ("sid",)),
        ({"ID": "ubuntu", "VERSION_CODENAME": "noble"}, ("sid",)),
    ],
    ids=["debian-12", "sid", "ubuntu"],
)
def test_the_suites_to_ask(
    debian: ModuleType, monkeypatch: pytest.MonkeyPatch, release: dict[str, str], suites: tuple[str, ...]
) -> None:
    monkeypatch.setattr("platform.freedesktop_os_release", lambda: release)
    assert debian.Apt().suites() == suites


def _listing(*names: str) -> str:
    return "Need to get 13.2 MB of source archives.\n" + "".join(
        f"'http://mirror.invalid/pool/{name}' {name} 5 SHA256:{hashlib.sha256(name.encode()).hexdigest()}\n"
        for name in names
    )


def test_the_debian_archive_is_asked_first(debian: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    targets = (
        "http://other.invalid/repo bookworm main\n"
        "http://mirror.invalid/debian-security/ bookworm-security main\n"
        "http://mirror.invalid/debian/ bookworm-updates main\n"
        "http://mirror.invalid/debian/ bookworm main\n"
        "http://vendor.invalid/debian/ bookworm stable\n"
    )
    monkeypatch.setattr(debian, "output", lambda _argv: targets)
    assert debian._mirrors() == ["http://mirror.invalid/debian/", "http://other.invalid/repo"]


def test_the_component_is_found_in_the_source_package(debian: ModuleType) -> None:
    name = "asterisk_9~cs1.orig-Xpjproject.tar.xz"
    found = debian.component(_listing("asterisk_9~cs1-1.dsc", "asterisk_9~cs1.orig.tar.xz", name))
    assert (found.name, found.uri) == (name, f"http://mirror.invalid/pool/{name}")
    assert found.sha256 == hashlib.sha256(name.encode()).hexdigest()
    assert found.package_version == "9~cs1-1"


def test_a_missing_component_is_explained(debian: ModuleType) -> None:
    with pytest.raises(debian.BuildError, match=r"no longer has a component Xpjproject.*asterisk_9\.orig"):
        debian.component(_listing("asterisk_9-1.dsc", "asterisk_9.orig.tar.xz"))


class Quiet(SimpleHTTPRequestHandler):
    """Files of a directory; what begins with /moved is elsewhere, as tags at upstream's are."""

    def do_GET(self) -> None:
        if self.path.startswith("/moved"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/moved"))
            self.end_headers()
        else:
            super().do_GET()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The address of an HTTP server with the files of tmp_path."""
    with HTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as http:
        serving = threading.Thread(target=http.serve_forever)
        serving.start()
        try:
            yield f"http://127.0.0.1:{http.server_port}"
        finally:
            http.shutdown()
            serving.join()


def test_a_download_is_checked(debian: ModuleType, source: ModuleType, server: str, tmp_path: Path) -> None:
    content = _pjproject("2.17")
    (tmp_path / "2.17.tar.gz").write_bytes(content)
    target = tmp_path / "kept.tar.gz.part"
    sha256 = hashlib.sha256(content).hexdigest()
    debian.Apt().download(source.Tarball("kept.tar.gz", f"{server}/moved/2.17.tar.gz", sha256, "upstream"), target)
    assert target.read_bytes() == content
    for uri, expected in ((f"{server}/2.17.tar.gz", "0" * 64), (f"{server}/2.18.tar.gz", sha256)):
        target.unlink(missing_ok=True)
        with pytest.raises(debian.BuildError):
            debian.Apt().download(source.Tarball("kept.tar.gz", uri, expected, "upstream"), target)
        assert not target.exists()
