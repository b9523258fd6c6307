"""A secret of this installation. It is kept for later processes if there is a directory for it."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Mapping

_log = structlog.get_logger("gateway")

STATE = "STATE_DIRECTORY"
"""The variable with the directory for a service's state, which systemd makes (systemd.exec(5), StateDirectory=)."""
_BYTES = 32


def installation_key(environment: Mapping[str, str]) -> bytes:
    """32 random bytes: always the same for a service with a state directory, new ones for any other process."""
    directory = environment.get(STATE, "").partition(":")[0]
    if not directory:
        return secrets.token_bytes(_BYTES)
    path = Path(directory) / "installation.key"
    try:
        key = path.read_bytes()
        if len(key) == _BYTES:
            return key
    except FileNotFoundError:
        pass
    except OSError as error:
        return _unkept(path, error)
    key = secrets.token_bytes(_BYTES)
    try:
        _write(path, key)
    except OSError as error:
        return _unkept(path, error)
    return key


def _write(path: Path, key: bytes) -> None:
    """Write the file completely or not at all, even after a crash, and readable only by the gateway's user."""
    new = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(key)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def _unkept(path: Path, error: OSError) -> bytes:
    _log.warning(
        "installation.key_not_kept",
        path=str(path),
        why=f"{error.strerror}; after a crash, the old registration stays until its time is over",
    )
    return secrets.token_bytes(_BYTES)
