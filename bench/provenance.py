"""Where a figure comes from: machine, versions, commit. No figure goes without it."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results"
"""Published figures."""
LAST_RUNS = ROOT / "build" / "bench"
"""What the last run of each benchmark found."""

_PACKAGES = ("offhook", "pjsua2", "numpy", "uvloop", "webrtcvad-wheels", "onnxruntime", "pipecat-ai")


def provenance() -> dict[str, Json]:
    """The keys that every result carries: machine, versions, commit, measured_at."""
    return {
        "machine": _machine(),
        "versions": _versions(),
        "commit": _commit(),
        "measured_at": datetime.now(tz=UTC).isoformat(timespec="seconds"),
    }


def report(name: str, result: Mapping[str, Json], *, directory: Path = LAST_RUNS) -> None:
    """Print the result with its provenance as one line, and keep it as <directory>/<name>.json.

    A single run is kept beside what was built; bench/results, whose figures the README has, is `bench.results`' alone.
    """
    whole = {**result, **provenance()}
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{name}.json").write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(whole), flush=True)


def autogroup() -> bool | None:
    """Whether the kernel shares the cores among sessions (sched(7)); None where it does not say."""
    try:
        return Path("/proc/sys/kernel/sched_autogroup_enabled").read_text(encoding="ascii").strip() == "1"
    except OSError:
        return None


def _machine() -> dict[str, Json]:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(pages / 2**30, 1),
        "kernel": platform.release(),
        "os": platform.freedesktop_os_release().get("PRETTY_NAME", "unknown"),
        "load_1m": round(os.getloadavg()[0], 2),
    }


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _versions() -> dict[str, Json]:
    versions: dict[str, Json] = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _commit() -> str:
    """The commit measured, with `+` when the tree holds changes that are not in it; `unknown` outside a checkout."""
    git = shutil.which("git")
    if git is None:
        return "unknown"

    def ask(*arguments: str) -> str:
        command = [git, "-C", str(ROOT), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

    commit = ask("rev-parse", "--short=12", "HEAD")
    # Results are written by the measurement itself; they change nothing that is measured.
    changed = ask("status", "--porcelain", "--", ".", ":!bench/results")
    return (commit or "unknown") + ("+" if changed else "")
