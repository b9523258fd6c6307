"""Print what the named extras of this project need, for `pip install`: `extras.py network,silero`."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path


def main(names: str) -> None:
    """One line, or an error that lists the extras that there are."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    extras: dict[str, list[str]] = project["optional-dependencies"]
    unknown = [name for name in names.split(",") if name not in extras]
    if unknown:
        sys.exit(f"there is no extra called {', '.join(unknown)}; use {', '.join(extras)}")
    sys.stdout.write(" ".join(needed for name in names.split(",") for needed in extras[name]) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
