"""Finds out which of the files in its settings the installed service can read.

The service and the administrator who checks its settings are different users, and its unit (`systemd/offhook.service`)
hides some directories from the service.
"""

from __future__ import annotations

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.settings.shipped import DIALPLANS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.settings.document import Document, PathStep
    from gateway.settings.model import Settings
    from gateway.settings.problem import Problem

SYSTEM_DIRECTORY = Path("/etc/offhook")
"""Settings in this directory belong to the service."""
USER = "offhook"
HIDDEN = {"ProtectHome": ("/home", "/root", "/run/user"), "PrivateTmp": ("/tmp", "/var/tmp")}  # noqa: S108 - only named
"""The unit's options, and the directories that each hides from the service (systemd.exec(5))."""

_READ, _SEARCH = 4, 1


@dataclass(frozen=True, slots=True)
class SystemUser:
    """A user as the kernel checks permissions; access control lists are ignored."""

    uid: int
    gids: frozenset[int]

    def kept_out_by(self, path: Path) -> Path | None:
        """The path that the user has no access to: a file or directory, or one above it; None if it is readable."""
        path = path.resolve()
        for directory in reversed(path.parents):
            if not self._may(directory, _SEARCH):
                return directory
        return None if self._may(path, _READ | _SEARCH if _is_directory(path) else _READ) else path

    def _may(self, path: Path, wanted: int) -> bool:
        try:
            found = path.stat()
        except FileNotFoundError:
            return True  # reported elsewhere
        except OSError:
            return False
        shift = 6 if found.st_uid == self.uid else 3 if found.st_gid in self.gids else 0
        return stat.S_IMODE(found.st_mode) >> shift & wanted == wanted


_ANYBODY = SystemUser(-1, frozenset())


def is_system(settings_file: Path) -> bool:
    """Whether a settings file is the one of the installed service."""
    return settings_file.is_relative_to(SYSTEM_DIRECTORY)


def service_account() -> SystemUser | None:
    """The service's user; None when it does not exist, because the service is not installed."""
    try:
        user = pwd.getpwnam(USER)
    except KeyError:
        return None
    return SystemUser(user.pw_uid, frozenset(os.getgrouplist(USER, user.pw_gid)))


def exposed(settings: Settings, document: Document, path: Path) -> Iterator[Problem]:
    """Warn about secrets in files that everyone on the machine can read."""
    for name, trunk in settings.trunks.items():
        at = ("trunks", name)
        elsewhere = trunk.password_file or trunk.password_env or trunk.password_credential
        if trunk.password is not None and not elsewhere and _ANYBODY.kept_out_by(path) is None:
            message = "warning: everyone can read this file, and the password in it"
            yield document.problem((*at, "password"), message, f"{_restrict(path, path)}, or use password_file")
        if trunk.password_file is not None and _ANYBODY.kept_out_by(trunk.password_file) is None:
            message = f"warning: everyone can read {trunk.password_file}"
            yield document.problem((*at, "password_file"), message, _restrict(trunk.password_file, path))


def _restrict(secret: Path, settings_file: Path) -> str:
    return _open_to_service(secret) if is_system(settings_file) else f"chmod o= {secret}"


def unseen_by_service(settings: Settings, document: Document, path: Path) -> Iterator[Problem]:
    """Warn about files that the service cannot read, although its administrator can. Only for its own settings."""
    account = service_account()
    for at, file in (((), path), *_named(settings)):
        found = unseen(file, account)
        if found is not None:
            yield document.problem(at, *found)


def unseen(path: Path, account: SystemUser | None) -> tuple[str, str] | None:
    """Why the service cannot read a file, and the fix; None when it can."""
    real = path.resolve()
    for option, directories in HIDDEN.items():
        hidden = next((directory for directory in directories if real.is_relative_to(directory)), None)
        if hidden is not None:
            fix = f"put it below {SYSTEM_DIRECTORY}, or change {option} with systemctl edit offhook"
            return f"warning: the service does not see {path}, because the shipped unit hides {hidden}", fix
    barrier = None if account is None else account.kept_out_by(path)
    if barrier is None:
        return None
    because = "" if barrier == real else f", it may not enter {barrier}"
    return f"warning: the service cannot read {path}{because}", _open_to_service(barrier)


def _open_to_service(path: Path) -> str:
    return f"chgrp {USER} {path}; chmod {'750' if _is_directory(path) else '640'} {path}"


def _is_directory(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # we may not search a directory above it
        return False


def _named(settings: Settings) -> Iterator[tuple[tuple[PathStep, ...], Path]]:
    """Each file that the settings name, with its key, except those of agents and those shipped with Offhook."""
    for index, dialplan in enumerate(settings.dialplans):
        if not dialplan.is_relative_to(DIALPLANS):
            yield ("dialplans", index), dialplan
    for name, trunk in settings.trunks.items():
        if trunk.password_file is not None:
            yield ("trunks", name, "password_file"), trunk.password_file
