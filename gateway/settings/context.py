"""The context in which the values of a file are validated: its directory and the environment."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

from pydantic import BeforeValidator, ValidationInfo

from gateway.settings.validation import fault
from media.wav import WavError, check_wav

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class FileContext:
    """The validation context of one file."""

    base: Path = field(default_factory=Path.cwd)
    """Relative paths in the file start here: the directory of the file."""
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    offline: bool = False
    """True for a check outside the service: secrets that only the service can see may be missing."""

    def path(self, text: str) -> Path:
        """The absolute path of a path that is written in the file."""
        return self.base / text.strip()


def context_of(info: ValidationInfo) -> FileContext:
    """The context of a validation; if none was given, the working directory and the environment of the process."""
    return info.context if isinstance(info.context, FileContext) else FileContext()


def _file(value: object, info: ValidationInfo) -> object:
    if not isinstance(value, str):
        return value
    path = context_of(info).path(value)
    require_file(path)
    return path


def _sound(value: object, info: ValidationInfo) -> object:
    path = _file(value, info)
    if isinstance(path, Path):
        require_sound(path)
    return path


def _absolute(value: object, info: ValidationInfo) -> object:
    return context_of(info).path(value) if isinstance(value, str) else value


ExistingFile: TypeAlias = Annotated[Path, BeforeValidator(_file)]
"""A file that can be read, as an absolute path."""
SoundFile: TypeAlias = Annotated[Path, BeforeValidator(_sound)]
"""A sound file that the gateway can play, as an absolute path."""
AnyPath: TypeAlias = Annotated[Path, BeforeValidator(_absolute)]
"""An absolute path; the file need not exist."""


def require_file(path: Path) -> None:
    """Make sure that a file can be opened.

    Raises:
        PydanticCustomError: it cannot be opened; the message says why.
    """
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
        # Opening a pipe or a terminal could block for ever.
        if regular:
            path.open("rb").close()
    except (OSError, ValueError) as error:
        reason = error.strerror or str(error) if isinstance(error, OSError) else str(error)
        raise fault(f"cannot read {path}: {reason}", _file_fix(error)) from None
    if not regular:
        raise fault(f"{path} is not a file", "name a file")


def _file_fix(error: Exception) -> str:
    match error:
        case FileNotFoundError():
            return "create it, or correct the path; it is relative to the directory of this file"
        case PermissionError():
            return "give the gateway's user the right to read it"
        case _:
            return "name a file"


def require_sound(path: Path) -> None:
    """Check, by its header, that a file is a sound that the gateway can play.

    Raises:
        PydanticCustomError: it is not; the message says why.
    """
    try:
        check_wav(path)
    except WavError as error:
        message, _, fix = str(error).removeprefix(f"{path}: ").rpartition(": ")
        raise fault(message, fix) from None
