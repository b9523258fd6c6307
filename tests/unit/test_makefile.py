"""What a make would do on a machine that has changed since the last one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = Path("/usr/bin/python3").resolve().name


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A directory in which everything is made, as far as make can see."""
    place = tmp_path / "a checkout"
    for directory in ("media/pjsip", "media/engine"):
        (place / directory).mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "media/engine/CMakeLists.txt"):
        shutil.copy(ROOT / name, place / name)
    environment = place / ".venv"
    environment.mkdir()
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", environment], check=True)
    (environment / "installed").touch()
    return place


def _would_do(place: Path) -> str:
    command = ["make", "-n", ".venv/installed"]
    clean = {"PATH": os.environ["PATH"]}
    return subprocess.run(command, cwd=place, env=clean, capture_output=True, text=True, check=True).stdout


def test_what_is_made_is_not_made_again(checkout: Path) -> None:
    assert "pip" not in _would_do(checkout)


def test_a_moved_checkout_gets_a_new_environment(checkout: Path) -> None:
    moved = checkout.rename(checkout.with_name("moved"))
    assert "rm -rf .venv\n" in _would_do(moved)
    assert "-m venv .venv" in _would_do(moved)


def test_an_environment_of_another_python_is_made_anew(checkout: Path) -> None:
    (checkout / ".venv/lib" / PYTHON).rename(checkout / ".venv/lib/python3.0")
    assert "rm -rf .venv\n" in _would_do(checkout)


def test_pip_finds_the_constraints_in_a_directory_with_a_space(checkout: Path) -> None:
    shell = 'include Makefile\nshow:\n\t@echo "$$PIP_CONSTRAINT"\n'
    command = ["make", "-s", "-f", "-", "show"]
    shown = subprocess.run(command, cwd=checkout, input=shell, capture_output=True, text=True, check=True).stdout
    assert shown == f"{(checkout / 'constraints.txt').as_uri()}\n"


def test_extras_are_those_of_the_project() -> None:
    command = [sys.executable, str(ROOT / "systemd/extras.py")]
    found = subprocess.run([*command, "network,silero"], capture_output=True, text=True, check=True)
    assert {one.partition(">")[0] for one in found.stdout.split()} == {"msgspec", "picows", "onnxruntime"}
    refused = subprocess.run([*command, "network,sliero"], capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert refused.stderr == "there is no extra called sliero; use network, silero\n"


def test_only_whole_calls_are_run_again() -> None:
    """What fails once in virtual time fails."""
    command = ["make", "-n", "check", "check-slow"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "tests/unit tests/component" in shown
    assert "--reruns" not in shown


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A PATH of somebody who is not root, has no sudo, and on whose machine no package is installed."""
    place = tmp_path / "bin"
    place.mkdir()
    for name in ("cat", "grep", "sed", "tr"):
        (place / name).symlink_to(shutil.which(name) or name)
    for name, script in (("id", "echo 1000"), ("dpkg-query", "echo installed libc6,")):
        (place / name).write_text(f"#!/bin/sh\n{script}\n")
        (place / name).chmod(0o755)
    return place


def _packages(tools: Path, *names: str) -> subprocess.CompletedProcess[str]:
    command = ["/bin/sh", str(ROOT / "systemd/packages.sh"), *names]
    return subprocess.run(command, env={"PATH": str(tools)}, capture_output=True, text=True, check=False)


def test_without_sudo_packages_that_are_missing_are_named(tools: Path) -> None:
    done = _packages(tools, "libc6", "swig", "cmake")
    assert done.returncode == 1
    assert done.stderr == "be root, or install sudo: apt-get must install swig cmake\n"


def test_without_sudo_nothing_is_missed_where_no_package_is(tools: Path) -> None:
    done = _packages(tools, "libc6")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
