"""Opening files whose path somebody else wrote."""

from __future__ import annotations

import os
import stat
from pathlib import Path


class NotRegularError(OSError):
    """What is there is a pipe, a device, a socket or a directory."""


def open_regular(path: Path) -> int:
    """A file descriptor to read a file that ends.

    Opening a pipe waits for a writer, and a device may have no end: neither is read, however it came there.

    Raises:
        NotRegularError: it is no regular file; `strerror` says what it is.
        OSError: it cannot be opened.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    # Of what was opened: another one may stand at the path by now.
    kind = stat.S_IFMT(os.fstat(fd).st_mode)
    if kind != stat.S_IFREG:
        os.close(fd)
        raise NotRegularError(0, f"it is {_KINDS.get(kind, 'something else')}, no file", str(path))
    return fd


_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a directory",
}
