"""Assembles what others use: headers, libraries, pkg-config, the wheel and BUILD.json; then tries them."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
import zipfile
from pathlib import Path

from recipe import sanitizer
from recipe.compiling import CONFIGURE_FLAGS, MODULES, extension_name, library_flags
from recipe.errors import BuildError
from recipe.layout import RECIPE_DIR, Layout
from recipe.patching import version
from recipe.progress import output, run, say
from recipe.wheel import LIBRARY_DIR, write_wheel

WANTED_CODECS = ("opus/48000", "G722/16000", "PCMU/8000", "PCMA/8000", "speex/8000", "L16/44100", "GSM/8000")


def assemble(layout: Layout, source_facts: dict[str, str], patches: dict[str, str]) -> Path:
    """The result directory, still in the work directory; the caller moves it to its place when all is well."""
    stage = layout.work / "result"
    shutil.rmtree(stage, ignore_errors=True)
    _install(layout, stage)
    _keep_sources(layout, stage)
    release = version(layout.source)
    wheel = _wheel(layout, stage, f"{release}+offhook.{layout.key[:8]}")
    facts = {
        "pjproject": release,
        "key": layout.key,
        "source": source_facts,
        "patches": patches,
        "python": sys.version.split()[0],
        "gcc": output(["gcc", "-dumpfullversion"]).strip(),
        "swig": _swig_version(),
        "wheel": wheel.name,
        "cflags": library_flags(),
        "configure": list(CONFIGURE_FLAGS),
        "limits": _limits(layout, stage),
        **_try(layout, wheel),
    }
    (stage / "BUILD.json").write_text(json.dumps(facts, indent=2) + "\n")
    return stage


def _swig_version() -> str:
    return next(line.split()[-1] for line in output(["swig", "-version"]).splitlines() if "Version" in line)


def _install(layout: Layout, stage: Path) -> None:
    run(
        "install headers and libraries",
        ["make", "install", f"prefix={stage}"],
        log=layout.logs / "install.log",
        cwd=layout.source,
    )
    for archive in (stage / "lib").glob("*.a"):
        archive.unlink()
    for library in _libraries(stage):
        output(["patchelf", "--set-rpath", "$ORIGIN", library])
    shutil.copy(layout.work / "wrapper/swigpyrun.h", stage / "include")
    pc = stage / "lib/pkgconfig/libpjproject.pc"
    text = pc.read_text().replace(f"prefix={stage}", "prefix=${pcfiledir}/../..").replace(str(stage), "${prefix}")
    pc.write_text(text)


def _keep_sources(layout: Layout, stage: Path) -> None:
    """What was compiled, patched: for the tests, for debuggers, and as the source that the licence asks for."""
    for module in MODULES:
        shutil.copytree(
            layout.source / module / "src",
            stage / "src" / module / "src",
            ignore=shutil.ignore_patterns("test", "*-test", "pjlib-samples", "pjturn-*"),
        )
    shutil.copy(layout.source / "COPYING", stage / "src")


def _libraries(stage: Path) -> list[Path]:
    return sorted(path for path in (stage / "lib").glob("*.so.*") if not path.is_symlink())


def _wheel(layout: Layout, stage: Path, release: str) -> Path:
    say(f"write the wheel {release}")
    wrapper = layout.work / "wrapper"
    members = {name: wrapper / name for name in ("pjsua2.py", extension_name())}
    members |= {f"{LIBRARY_DIR}/{path.name}": path for path in _libraries(stage)}
    directory = stage / "wheel"
    directory.mkdir()
    return write_wheel(directory, release, members, layout.source / "COPYING")


def _limits(layout: Layout, stage: Path) -> dict[str, int]:
    """The limits, as a program compiled against the installed headers prints them."""
    program = layout.work / "limits"
    run(
        "read the limits back",
        ["gcc", RECIPE_DIR / "recipe/limits.c", "-o", program,
         *pkg_config(stage, "--cflags"), *pkg_config(stage, "--libs"), f"-Wl,-rpath,{stage / 'lib'}"],
        log=layout.logs / "limits.log",
        cwd=layout.work,
    )  # fmt: skip
    limits: dict[str, int] = json.loads(output([program], env=sanitizer.environment()))
    return limits


def pkg_config(stage: Path, *flags: str) -> list[str]:
    """What pkg-config says of the library installed under `stage`."""
    # It quotes for a shell, byte by byte: until that is undone, a letter beyond ASCII is no UTF-8.
    words = shlex.split(output(["pkg-config", *flags, stage / "lib/pkgconfig/libpjproject.pc"]))
    return [word.encode(errors="surrogateescape").decode() for word in words]


def _try(layout: Layout, wheel: Path) -> dict[str, object]:
    """Imports the wheel in a fresh interpreter, and asks it what it can do."""
    say("try the wheel")
    place = layout.work / "try"
    shutil.rmtree(place, ignore_errors=True)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place)
    told = place / "facts.json"
    output([sys.executable, RECIPE_DIR / "recipe/try_wheel.py", place, told], env=sanitizer.environment())
    facts: dict[str, object] = json.loads(told.read_text())
    codecs = str(facts["codecs"])
    if missing := [codec for codec in WANTED_CODECS if codec not in codecs]:
        raise BuildError(f"the build lacks codecs: {', '.join(missing)}; it has {codecs}")
    if not str(facts["ioqueue"]).startswith("epoll"):
        raise BuildError(f"the build uses the ioqueue {facts['ioqueue']}, not epoll")
    return facts
