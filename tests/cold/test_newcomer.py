"""The first commands that somebody types, on a Debian that has git, make and sudo. Takes about ten minutes for each."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.cold.debian import Debian
from tests.systemd.rootfs import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator

SUITES = ("bookworm", "trixie")
USER, HOME = "newcomer", "/home/jörg"
PLACE = f"{HOME}/Meine Projekte/offhook"
"""A space and an umlaut, as in anybody's home."""
BUILD_DEADLINE_S = 3600.0
RUN = """
setsid make run >log 2>&1 &
until grep -q "sip:602@" log; do kill -0 $!; sleep 0.2; done
kill -INT -- -$!
wait $!
cat log
"""
"""Until it says what to dial, then Ctrl-C."""


@pytest.fixture(scope="module", params=SUITES)
def newcomer(request: pytest.FixtureRequest) -> Iterator[Debian]:
    """Somebody with sudo, whose files are nobody else's, and a fresh clone."""
    if os.geteuid() != 0:
        pytest.skip("a file system of one's own takes root: sudo make test-cold")
    with Debian(request.param) as debian:
        debian.script([
            f"useradd --create-home --home-dir {HOME} --shell /bin/bash {USER}",
            f"echo '{USER} ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/newcomer",
        ])  # fmt: skip
        bundle = debian.root / "srv/offhook.bundle"
        subprocess.run(["git", "-C", REPOSITORY, "bundle", "create", "-q", bundle, "HEAD"], check=True)
        bundle.chmod(0o644)
        clone = [
            "umask 077",
            f"git init -q '{PLACE}' 2>&1",
            f"git -C '{PLACE}' fetch -q /srv/offhook.bundle HEAD",
            f"git -C '{PLACE}' checkout -q FETCH_HEAD",
        ]
        debian.script(clone, user=USER, home=HOME)
        yield debian


def _type(newcomer: Debian, *lines: str, alone: bool = False, deadline_s: float = BUILD_DEADLINE_S) -> str:
    start = ["umask 077", f"cd '{PLACE}'"]
    return newcomer.script([*start, *lines], user=USER, home=HOME, alone=alone, deadline_s=deadline_s)


def test_make_run(newcomer: Debian) -> None:
    _type(newcomer, "make .venv/installed")
    printed = _type(newcomer, RUN, alone=True, deadline_s=120)
    assert "gateway.ready" in printed
    assert "sip:600@127.0.0.1:5060" in printed
    assert "gateway.stopped" in printed


def test_make_asks_the_network_for_nothing_a_second_time(newcomer: Debian) -> None:
    _type(
        newcomer, "touch pyproject.toml", "sudo() { exit 1; }", "systemd/packages.sh systemd/packages.txt", alone=True
    )


def test_make_install_and_uninstall(newcomer: Debian) -> None:
    assert "installed" in _type(newcomer, "sudo make install")
    assert newcomer.run("offhook", "version").startswith("offhook ")
    assert "no faults" in newcomer.run("offhook", "check")
    _type(newcomer, "sudo make uninstall")
    assert not (newcomer.root / "opt/offhook").exists()
    assert (newcomer.root / "etc/offhook/gateway.yaml").exists()
