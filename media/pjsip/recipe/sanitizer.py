"""A build for tests that notices when PJSIP reads or writes where nothing is: OFFHOOK_SANITIZER=address.

PJSIP's memory pools hide such faults, so that each piece of a pool is an allocation of its own in this build.
"""

from __future__ import annotations

import os

from recipe.errors import BuildError
from recipe.progress import output

CFLAGS = "-O1 -g1 -fPIC -fsanitize=address -fno-omit-frame-pointer"
LDFLAGS = "-fsanitize=address"
CONFIG_SITE = "\n#define PJ_POOL_DEBUG 1\n"


def wanted() -> str:
    """Return "address", or nothing for a build that is to be used."""
    name = os.environ.get("OFFHOOK_SANITIZER", "")
    if name not in {"", "address"}:
        raise BuildError(f"OFFHOOK_SANITIZER={name}: only `address` is known; unset it for a build that is to be used")
    return name


def environment() -> dict[str, str]:
    """What programs need that load such a build and are none themselves, as Python."""
    if not wanted():
        return {}
    # Python knows nothing of C++: without its library at the start, AddressSanitizer could not follow an exception.
    libraries = [output(["gcc", f"-print-file-name={name}"]).strip() for name in ("libasan.so", "libstdc++.so")]
    return {"LD_PRELOAD": ":".join(libraries), "ASAN_OPTIONS": "detect_leaks=0"}
