"""Writes the wheel: pjsua2.py, its extension module, and the shared libraries beside them."""

from __future__ import annotations

import base64
import hashlib
import sys
import sysconfig
import zipfile
from pathlib import Path

MEMBER_DATE = (2020, 1, 1, 0, 0, 0)
LIBRARY_DIR = "pjsua2.libs"
PROJECT = "pjsua2"


def write_wheel(directory: Path, version: str, members: dict[str, Path], licence: Path) -> Path:
    """A wheel of `members` (name in the archive -> file), with its metadata and a record of hashes."""
    tag = _tag()
    wheel = directory / f"{PROJECT}-{version}-{tag}.whl"
    info = f"{PROJECT}-{version}.dist-info"
    contents = {name: path.read_bytes() for name, path in sorted(members.items())}
    contents[f"{info}/METADATA"] = _metadata(version).encode()
    contents[f"{info}/WHEEL"] = _wheel_file(tag).encode()
    contents[f"{info}/licenses/COPYING"] = licence.read_bytes()
    record = "".join(f"{name},{_digest(data)},{len(data)}\n" for name, data in contents.items())
    contents[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in contents.items():
            _add(archive, name, data)
    return wheel


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    member = zipfile.ZipInfo(name, MEMBER_DATE)
    mode = 0o755 if ".so" in name.rpartition("/")[2] else 0o644
    member.external_attr = (0o100000 | mode) << 16
    member.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(member, data)


def _tag() -> str:
    """Interpreter, ABI and platform of the Python that runs this."""
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    soabi = str(sysconfig.get_config_var("SOABI"))
    abi = f"cp{soabi.split('-')[1]}"
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    return f"{python}-{abi}-{platform}"


def _metadata(version: str) -> str:
    return (
        "Metadata-Version: 2.1\n"
        f"Name: {PROJECT}\n"
        f"Version: {version}\n"
        "Summary: PJSIP's object API for Python, built by Offhook with its limits and patches\n"
        "Home-page: https://www.pjsip.org\n"
        "License: GPL-2.0-or-later\n"
        f"Requires-Python: =={sys.version_info.major}.{sys.version_info.minor}.*\n"
    )


def _wheel_file(tag: str) -> str:
    return f"Wheel-Version: 1.0\nGenerator: offhook\nRoot-Is-Purelib: false\nTag: {tag}\n"


def _digest(data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest())
    return "sha256=" + digest.decode().rstrip("=")
