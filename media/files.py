"""Opens files whose path comes from somebody else."""

from __future__ import annotations

import os
import stat
from pathlib import Path


class NotRegularError(OSError):
    """The path leads to a pipe, a device, a socket or a directory."""


def open_regular(path: Path) -> int:
    """Open a regular file for reading; returns its file descriptor.

    Opening a pipe would wait for a writer, and a device may have no end, so both are refused.

    Raises:
        NotRegularError: it is not a regular file; `strerror` says what it is.
        OSError: it cannot be opened.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    # Check the opened file, not the path: meanwhile the path may lead to another file.
    kind = stat.S_IFMT(os.fstat(fd).st_mode)
    if kind != stat.S_IFREG:
        os.close(fd)
        raise NotRegularError(0, f"it is {_KINDS.get(kind, 'something else')}, not a file", str(path))
    return fd


_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a directory",
}
