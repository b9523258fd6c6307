"""Builds PJSIP for Offhook: a pjsua2 wheel with its shared libraries, headers and pkg-config.

Progress goes to stderr; the last line, on stdout, is the path of the result. A result is kept under a hash of
everything that shapes it, so a second run only prints its path.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from recipe import compiling, patching
from recipe.debian import Apt
from recipe.errors import BuildError
from recipe.layout import PACKAGES, Layout, find_layout
from recipe.progress import output, say
from recipe.result import assemble
from recipe.source import find_source, own_tarball

FREE_BYTES = 1 << 30


def main() -> int:
    """Build, or find the build, and print where it is; 1 and a message if it cannot be."""
    arguments = _parse_arguments()
    try:
        tarball = _own_tarball()
        layout = find_layout(tarball)
        if arguments.print_path:
            print(layout.result)
            return 0
        if not layout.result.exists():
            with _lock(layout):
                if not layout.result.exists():
                    _build(layout, tarball, keep_work=arguments.keep_work)
    except (BuildError, OSError) as error:
        print(f"media/pjsip: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("media/pjsip: interrupted; the next run goes on from here", file=sys.stderr)
        return 130
    say(f"ready: {layout.result}")
    print(layout.result)
    return 0


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--print-path", action="store_true", help="print where the result is or would be; build nothing"
    )
    parser.add_argument("--keep-work", action="store_true", help="keep objects and logs after success")
    return parser.parse_args()


def _own_tarball() -> Path | None:
    name = os.environ.get("PJPROJECT_TARBALL")
    if not name:
        return None
    path = Path(name).expanduser().resolve()
    if not path.is_file():
        raise BuildError(f"PJPROJECT_TARBALL={name}: there is no such file")
    return path


@contextmanager
def _lock(layout: Layout) -> Iterator[None]:
    """One build at a time; a second run waits for the first, and finds its result."""
    try:
        layout.cache.mkdir(parents=True, exist_ok=True)
        file = layout.lock.open("w")
    except OSError as error:
        raise BuildError(
            f"{layout.cache}: cannot be written ({error.strerror}): set OFFHOOK_CACHE to a directory of yours"
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another build is running; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(layout: Layout, tarball: Path | None, *, keep_work: bool) -> None:
    compiling.python_include()
    _check_packages()
    _check_cache(layout.cache)
    _check_disk(layout.cache)
    layout.work.mkdir(parents=True, exist_ok=True)
    say(f"building in {layout.work}")
    _stage(layout, "unpacked", lambda: _unpack(layout, tarball))
    _stage(layout, "configured", lambda: compiling.configure(layout))
    with ThreadPoolExecutor() as threads:
        libraries = threads.submit(_stage, layout, "compiled", lambda: compiling.compile_libraries(layout))
        wrapper = threads.submit(_compile_wrapper, layout)
    libraries.result()
    wrapper.result()
    compiling.link_wrapper(layout)
    facts = json.loads((layout.work / "source.json").read_text())
    assemble(layout, facts["source"], facts["patches"]).rename(layout.result)
    if not keep_work:
        shutil.rmtree(layout.work.parent)


def _compile_wrapper(layout: Layout) -> None:
    """Needs pjproject's headers alone, so it need not wait for the libraries."""
    _stage(layout, "wrapped", lambda: compiling.wrap(layout))
    _stage(layout, "wrapper-compiled", lambda: compiling.compile_wrapper(layout))


def _stage(layout: Layout, name: str, work: Callable[[], None]) -> None:
    """Do the work unless an earlier run, interrupted later, has done it."""
    stamp = layout.work / f"{name}.stamp"
    if stamp.exists():
        say(f"{name} by an earlier run")
        return
    work()
    stamp.touch()


def _unpack(layout: Layout, tarball: Path | None) -> None:
    def prepare(found: Path) -> dict[str, str]:
        patching.unpack(found, layout.source)
        return patching.apply_patches(layout.source)

    source, patches = own_tarball(tarball, prepare) if tarball else find_source(layout.downloads, Apt(), prepare)
    facts = {"source": source.facts(), "patches": patches}
    (layout.work / "source.json").write_text(json.dumps(facts))


def _check_packages() -> None:
    lines = PACKAGES.read_text().splitlines()
    wanted = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    installed = _installed()
    missing = [name for name in wanted if name not in installed]
    if missing:
        raise BuildError(
            "these Debian packages are missing; install them as root, with\n\n"
            f"    apt-get install --no-install-recommends {' '.join(missing)}"
        )


def _installed() -> set[str]:
    """The packages that are installed, and what they provide: a newer Debian may have another name for one."""
    listing = output(["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package}, ${Provides}\\n"])
    lines = [line.removeprefix("installed ") for line in listing.splitlines() if line.startswith("installed ")]
    return {name.partition("(")[0].strip() for line in lines for name in line.split(",")}


def _check_cache(cache: Path) -> None:
    if re.search(r"\s", str(cache)):
        raise BuildError(f"{cache}: pjproject's makefiles take no path with a space: set OFFHOOK_CACHE to one without")


def _check_disk(cache: Path) -> None:
    free = shutil.disk_usage(cache).free
    if free < FREE_BYTES:
        raise BuildError(
            f"{cache}: {free >> 20} MiB free, and a build needs {FREE_BYTES >> 20}; "
            "make room, or set OFFHOOK_CACHE to another disk"
        )


if __name__ == "__main__":
    sys.exit(main())
