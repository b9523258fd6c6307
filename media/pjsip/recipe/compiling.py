"""Configures and compiles pjproject as shared libraries, and SWIG's Python wrapper around pjsua2."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path

from recipe import sanitizer
from recipe.errors import BuildError
from recipe.layout import Layout
from recipe.progress import run

CFLAGS = "-O2 -fPIC -fstack-protector-strong -D_FORTIFY_SOURCE=2 -Werror=implicit-function-declaration"
"""Newer compilers refuse a call without a declaration: a patch that makes one fails here already."""
LDFLAGS = "-Wl,-z,relro,-z,now"

CONFIGURE_FLAGS = (
    "--enable-shared",
    "--enable-epoll",
    # Debian's component comes without third-party code; its libraries are the distribution's.
    "--with-external-speex",
    "--with-external-gsm",
    "--with-external-srtp",
    "--enable-speex-resample",
    # A server has neither screen nor sound card.
    "--disable-video",
    "--disable-sound",
    "--disable-sdl",
    "--disable-ffmpeg",
    "--disable-v4l2",
    "--disable-openh264",
    "--disable-vpx",
    "--disable-libyuv",
    # Codecs that no trunk asks for, or that need code which is not there.
    "--disable-libwebrtc",
    "--disable-ilbc-codec",
    "--disable-g7221-codec",
    "--disable-silk",
    "--disable-bcg729",
    "--disable-lyra",
    "--disable-opencore-amr",
    "--disable-upnp",
)

DEFINES = ("-DPJ_AUTOCONF=1", "-DPJ_IS_BIG_ENDIAN=0", "-DPJ_IS_LITTLE_ENDIAN=1")
MODULES = ("pjlib", "pjlib-util", "pjnath", "pjmedia", "pjsip")

WRAPPER_LIBRARIES = (
    "pjsua2",
    "pjsua",
    "pjsip-ua",
    "pjsip-simple",
    "pjsip",
    "pjmedia-codec",
    "pjmedia",
    "pjnath",
    "pjlib-util",
    "pj",
)


def configure(layout: Layout) -> None:
    """Upstream's configure, with our choice of features."""
    run(
        "configure",
        ["./aconfigure", *CONFIGURE_FLAGS],
        log=layout.logs / "configure.log",
        cwd=layout.source,
        env={"CFLAGS": library_flags(), "CXXFLAGS": library_flags(), "LDFLAGS": _linker_flags()},
    )


def library_flags() -> str:
    """For the compiler, C and C++."""
    return sanitizer.CFLAGS if sanitizer.wanted() else CFLAGS


def _linker_flags() -> str:
    return sanitizer.LDFLAGS if sanitizer.wanted() else LDFLAGS


def compile_libraries(layout: Layout) -> None:
    """The libraries alone; make goes on where an interrupted run stopped."""
    run(
        "make",
        ["make", f"-j{jobs()}", "lib"],
        log=layout.logs / "make.log",
        cwd=layout.source,
    )


def jobs() -> int:
    """As many as there are processors for us."""
    return len(os.sched_getaffinity(0))


def wrap(layout: Layout) -> None:
    """pjsua2.py and the wrapper's C++, as upstream's makefile has SWIG write them, and SWIG's runtime header."""
    wrapper = layout.work / "wrapper"
    wrapper.mkdir(exist_ok=True)
    swig_dir = layout.source / "pjsip-apps/src/swig"
    includes = [f"-I{path}" for path in include_dirs(layout.source)]
    run(
        "swig",
        # -threads: the wrapper lets go of the GIL around every call, and callbacks take it.
        ["swig", *includes, "-c++", "-w312", "-threads", "-doxygen", "-python",
         "-outdir", wrapper, "-o", wrapper / "pjsua2_wrap.cpp", swig_dir / "pjsua2.i"],
        log=layout.logs / "swig.log",
        cwd=swig_dir / "python",
    )  # fmt: skip
    run(
        "swig runtime header",
        ["swig", "-python", "-external-runtime", wrapper / "swigpyrun.h"],
        log=layout.logs / "swigpyrun.log",
        cwd=wrapper,
    )


def compile_wrapper(layout: Layout) -> None:
    """The wrapper's object file: 170,000 lines in one file, so at -O1."""
    wrapper = layout.work / "wrapper"
    includes = [f"-I{path}" for path in (*include_dirs(layout.source), python_include())]
    run(
        "compile the wrapper",
        ["g++", *CFLAGS.split(), "-O1", "-w", *DEFINES, *includes,
         "-c", wrapper / "pjsua2_wrap.cpp", "-o", wrapper / "pjsua2_wrap.o"],
        log=layout.logs / "wrapper.log",
        cwd=wrapper,
    )  # fmt: skip


def link_wrapper(layout: Layout) -> None:
    """The extension module, which finds its libraries in the directory beside it."""
    wrapper = layout.work / "wrapper"
    run(
        "link the wrapper",
        ["g++", "-shared", *LDFLAGS.split(), "-Wl,-rpath,$ORIGIN/pjsua2.libs", wrapper / "pjsua2_wrap.o",
         *(f"-L{layout.source / module / 'lib'}" for module in MODULES),
         *(f"-l{name}" for name in WRAPPER_LIBRARIES),
         "-o", wrapper / extension_name()],
        log=layout.logs / "link.log",
        cwd=wrapper,
    )  # fmt: skip


def extension_name() -> str:
    """The file name of the extension module for the running interpreter."""
    return f"_pjsua2{sysconfig.get_config_var('EXT_SUFFIX')}"


def include_dirs(source: Path) -> list[Path]:
    """Where pjproject's headers lie before they are installed."""
    return [source / module / "include" for module in MODULES]


def python_include() -> Path:
    """The running interpreter's headers."""
    path = Path(str(sysconfig.get_config_var("INCLUDEPY")))
    if not (path / "Python.h").exists():
        raise BuildError(f"the headers of this Python are missing: no Python.h in {path}; run with /usr/bin/python3")
    return path
