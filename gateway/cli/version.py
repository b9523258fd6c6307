"""Which release of Offhook this is, and which commit."""

import sys
from importlib import metadata
from pathlib import Path


def release() -> str:
    """Offhook's release as installed."""
    try:
        return metadata.version("offhook")
    except metadata.PackageNotFoundError:
        return "0+unknown"


def version() -> str:
    """The release, and the commit if `make install` knew it: `0.1.0+45d756c`."""
    try:
        commit = (Path(sys.prefix) / "share" / "offhook" / "commit").read_text()
        return f"{release()}+{commit.strip()}"
    except OSError:
        return release()
