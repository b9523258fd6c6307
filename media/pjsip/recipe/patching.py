"""Unpacks pjproject and applies our patches, of which some may have reached upstream meanwhile."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from recipe import sanitizer
from recipe.errors import BuildError
from recipe.layout import CONFIG_SITE, PATCH_DIR
from recipe.progress import output, say

VERSION_LINE = re.compile(r"^export PJ_VERSION_(MAJOR|MINOR|REV|SUFFIX)\s*:=[ \t]*(\S*)", re.MULTILINE)
MARKER_LINE = re.compile(r"^Upstream-has: (?P<file>\S+): (?P<text>.+)$", re.MULTILINE)

STRIPPED_FILES = ("pjmedia/src/pjmedia-audiodev/bdimad_dev.c",)
"""Named in the makefiles, and removed from Debian's component; they hold nothing that our build uses."""


def unpack(tarball: Path, source: Path) -> None:
    """The tarball's one top directory becomes `source`, whichever of Debian's and upstream's tarballs it is."""
    scratch = source.with_name(source.name + ".unpacking")
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.rmtree(source, ignore_errors=True)
    scratch.mkdir(parents=True)
    say(f"unpacking {tarball.name}")
    output(["tar", "-xf", tarball, "--no-same-owner", "-C", scratch])
    tops = list(scratch.iterdir())
    if len(tops) != 1 or not (tops[0] / "version.mak").exists():
        raise BuildError(f"{tarball}: this is no pjproject: no version.mak in its top directory")
    tops[0].rename(source)
    scratch.rmdir()
    for name in STRIPPED_FILES:
        (source / name).touch()
    config_site = CONFIG_SITE.read_text() + (sanitizer.CONFIG_SITE if sanitizer.wanted() else "")
    (source / "pjlib/include/pj/config_site.h").write_text(config_site)


def version(source: Path) -> str:
    """What version the sources are, as their own makefiles write it."""
    return version_in((source / "version.mak").read_text())


def version_in(makefile: str) -> str:
    """What version a version.mak tells."""
    parts = dict(VERSION_LINE.findall(makefile))
    if not parts.keys() >= {"MAJOR", "MINOR"}:
        raise BuildError("this is no pjproject: its version.mak tells no version")
    rev = f".{parts['REV']}" if parts.get("REV") else ""
    return f"{parts['MAJOR']}.{parts['MINOR']}{rev}{parts.get('SUFFIX', '')}"


def apply_patches(source: Path) -> dict[str, str]:
    """Applies every patch in order; for each name, `applied` or `upstream`, where upstream has it already."""
    found = version(source)
    say(f"pjproject {found}")
    states: dict[str, str] = {}
    for patch in sorted(PATCH_DIR.glob("*.patch")):
        states[patch.name] = _apply(patch, source, found)
        say(f"  {patch.name}: {states[patch.name]}")
    return states


def _apply(patch: Path, source: Path, found: str) -> str:
    if _upstream_marker(patch, source):
        return "upstream"
    reason = _patch(patch, source, "--dry-run", "--forward")
    if reason is None:
        if (reason := _patch(patch, source, "--forward")) is None:
            return "applied"
    elif _patch(patch, source, "--dry-run", "--reverse") is None:
        return "upstream"
    raise BuildError(
        f"{patch.name} neither applies to pjproject {found} nor is in it already. Look whether upstream fixed this "
        f"fault in another way (then name its code in an `Upstream-has:` line of the patch), or rebase the patch:\n\n"
        f"{reason}"
    )


def _upstream_marker(patch: Path, source: Path) -> bool:
    """Whether a file holds the text by which the patch's header recognises upstream's own fix."""
    for marker in MARKER_LINE.finditer(patch.read_text()):
        file = source / marker["file"]
        if file.exists() and marker["text"] in file.read_text(errors="replace"):
            return True
    return False


def _patch(patch: Path, source: Path, *flags: str) -> str | None:
    """None if patch(1) is content, else what it says. No fuzz: a fix in the wrong place is worse than none."""
    command = ["patch", "-p1", "--batch", "--fuzz=0", "--no-backup-if-mismatch", *flags, "-i", str(patch)]
    done = subprocess.run(command, cwd=source, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else (done.stdout + done.stderr).strip()
