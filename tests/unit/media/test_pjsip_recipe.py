"""The recipe that builds PJSIP: where it looks, what it keeps, and what it says when it cannot go on."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

RECIPE = Path(__file__).parents[3] / "media/pjsip"
BUILD = RECIPE / "build.py"

Load = Callable[[str], ModuleType]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    """A module of the recipe, which is a program of its own and no package of ours."""
    monkeypatch.syspath_prepend(str(RECIPE))
    return import_module


def _build(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(BUILD), *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


# Where things lie


def test_the_cache_is_ours_or_the_users(tmp_path: Path) -> None:
    ours = _build("--print-path", OFFHOOK_CACHE=str(tmp_path / "ours"), XDG_CACHE_HOME=str(tmp_path / "users"))
    assert Path(ours.stdout.strip()).parent == tmp_path / "ours/pjsip"
    users = _build("--print-path", OFFHOOK_CACHE="", XDG_CACHE_HOME=str(tmp_path / "users"))
    assert Path(users.stdout.strip()).parent == tmp_path / "users/offhook/pjsip"


def test_a_tarball_of_ones_own_has_a_result_of_its_own(tmp_path: Path) -> None:
    tarball = tmp_path / "pjproject.tar.gz"
    paths = set()
    for content in (b"one", b"another"):
        tarball.write_bytes(content)
        paths.add(_build("--print-path", PJPROJECT_TARBALL=str(tarball)).stdout)
    paths.add(_build("--print-path", PJPROJECT_TARBALL="").stdout)
    assert len(paths) == 3


@pytest.mark.parametrize(
    ("cache", "says"), [("a file/cache", "cannot be written"), ("with space", "no path with a space")]
)
def test_a_cache_that_cannot_be_used_is_refused_with_the_way_out(tmp_path: Path, cache: str, says: str) -> None:
    (tmp_path / "a file").touch()
    done = _build(OFFHOOK_CACHE=str(tmp_path / cache))
    assert done.returncode == 1
    assert says in done.stderr
    assert "set OFFHOOK_CACHE to" in done.stderr


def test_a_user_without_a_home_is_told_of_a_place_for_the_cache(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = load("recipe.layout")
    monkeypatch.setattr(os, "environ", {})

    def nobody(_: int) -> None:
        raise KeyError

    monkeypatch.setattr("pwd.getpwuid", nobody)
    with pytest.raises(OSError, match="set OFFHOOK_CACHE"):
        layout.find_layout(None)


# Patches

PATCH = "A title\n\n{marker}--- a/file.c\n+++ b/file.c\n@@ -1,3 +1,3 @@\n one\n-two\n+fixed\n three\n"


@pytest.mark.parametrize(
    ("content", "marker", "state"),
    [
        ("one\ntwo\nthree\n", "", "applied"),
        ("one\nfixed\nthree\n", "", "upstream"),
        ("one\nfixed otherwise\nthree\n", "Upstream-has: file.c: fixed otherwise\n\n", "upstream"),
    ],
)
def test_patches_are_applied_or_found_upstream(  # noqa: PLR0917
    load: Load, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str, marker: str, state: str
) -> None:
    patching = load("recipe.patching")
    (tmp_path / "version.mak").write_text("export PJ_VERSION_MAJOR  := 2\nexport PJ_VERSION_MINOR  := 18\n")
    (tmp_path / "file.c").write_text(content)
    (tmp_path / "01-fault.patch").write_text(PATCH.format(marker=marker))
    monkeypatch.setattr(patching, "PATCH_DIR", tmp_path)
    assert patching.apply_patches(tmp_path) == {"01-fault.patch": state}
    assert (tmp_path / "file.c").read_text() == content.replace("two", "fixed")


def test_a_patch_that_neither_applies_nor_is_there_stops_the_build(
    load: Load, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    patching, errors = load("recipe.patching"), load("recipe.errors")
    (tmp_path / "version.mak").write_text("export PJ_VERSION_MAJOR  := 2\nexport PJ_VERSION_MINOR  := 18\n")
    (tmp_path / "file.c").write_text("something else\n")
    (tmp_path / "01-fault.patch").write_text(PATCH.format(marker=""))
    monkeypatch.setattr(patching, "PATCH_DIR", tmp_path)
    with pytest.raises(errors.BuildError, match=r"01-fault\.patch neither applies to pjproject 2\.18 nor"):
        patching.apply_patches(tmp_path)


# The result


def test_pkg_config_is_understood_wherever_the_result_lies(load: Load, tmp_path: Path) -> None:
    stage = tmp_path / "Jörgs"
    (stage / "lib/pkgconfig").mkdir(parents=True)
    (stage / "lib/pkgconfig/libpjproject.pc").write_text(
        f"prefix={stage}\nName: a\nDescription: b\nVersion: 1\nCflags: -DA=1 -I${{prefix}}/include\n"
    )
    assert load("recipe.result").pkg_config(stage, "--cflags") == ["-DA=1", f"-I{stage}/include"]


# Failures


def test_missing_packages_are_named_with_the_command_that_installs_them(tmp_path: Path) -> None:
    packages = [name for name in (RECIPE / "packages.txt").read_text().splitlines() if not name.startswith("#")]
    status = {name: f"installed {name}, " for name in packages}
    status["pkg-config"] = "installed pkgconf, pkg-config (= 2), pkgconf-bin"  # under another name
    status["swig"] = "config-files swig, "
    fake = tmp_path / "dpkg-query"
    fake.write_text("#!/bin/sh\ncat <<.\n" + "\n".join(status.values()) + "\n.\n")
    fake.chmod(0o755)
    done = _build(OFFHOOK_CACHE=str(tmp_path / "cache"), PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "apt-get install --no-install-recommends swig\n" in done.stderr


def test_a_tarball_that_is_no_pjproject_is_refused(tmp_path: Path) -> None:
    tarball = tmp_path / "other.tar.gz"
    with tarfile.open(tarball, "w:gz") as archive:
        archive.add(__file__, arcname="top/file")
    done = _build(OFFHOOK_CACHE=str(tmp_path), PJPROJECT_TARBALL=str(tarball))
    assert done.returncode == 1
    assert "no pjproject" in done.stderr


def test_a_full_disk_is_noticed_before_the_build(load: Load, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    build, errors = load("build"), load("recipe.errors")
    monkeypatch.setattr(build, "FREE_BYTES", 1 << 60)
    with pytest.raises(errors.BuildError, match="MiB free, and a build needs"):
        build._check_disk(tmp_path)


def test_a_failed_step_shows_the_end_of_its_log(load: Load, tmp_path: Path) -> None:
    progress, errors = load("recipe.progress"), load("recipe.errors")
    log = tmp_path / "logs/make.log"
    with pytest.raises(errors.BuildError) as caught:
        progress.run("make", ["sh", "-c", "seq 100; exit 2"], log=log, cwd=tmp_path)
    message = str(caught.value)
    assert str(log) in message
    assert [line.strip() for line in message.splitlines()[-30:]] == [str(n) for n in range(71, 101)]


def test_a_step_is_not_repeated_once_it_is_done(load: Load, tmp_path: Path) -> None:
    build, layout = load("build"), load("recipe.layout").Layout(cache=tmp_path, key="key")
    layout.work.mkdir(parents=True)
    runs: list[str] = []

    def interrupted() -> None:
        runs.append("interrupted")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build._stage(layout, "configured", interrupted)
    for _ in range(2):
        build._stage(layout, "configured", lambda: runs.append("done"))
    assert runs == ["interrupted", "done"]


def test_two_builds_at_once_wait_for_each_other(tmp_path: Path) -> None:
    tarball = tmp_path / "empty.tar"
    tarball.write_bytes(b"")
    (tmp_path / "pjsip").mkdir()
    with (tmp_path / "pjsip/lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = subprocess.Popen(
            [sys.executable, str(BUILD)],
            env={**os.environ, "OFFHOOK_CACHE": str(tmp_path), "PJPROJECT_TARBALL": str(tarball)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert second.stderr is not None
        assert "another build is running" in second.stderr.readline()
        assert second.poll() is None
    _, rest = second.communicate(timeout=60)
    assert "unpacking empty.tar" in rest
