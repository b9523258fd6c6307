"""What is shipped with Offhook: the directory of dialplans and sounds, and the agents that need no key."""

from __future__ import annotations

import sys
from pathlib import Path


def shipped_directory() -> Path:
    """The directory of the shipped dialplans: the one of the checkout, else the one of the installation."""
    checkout = Path(__file__).resolve().parents[2] / "dialplans"
    installed = Path(sys.prefix) / "share" / "offhook" / "dialplans"
    return checkout if (checkout / "default.yaml").is_file() else installed


DIALPLANS = shipped_directory()
DEFAULT_DIALPLAN = DIALPLANS / "default.yaml"

BUILT_IN_AGENTS: dict[str, dict[str, object]] = {
    "echo": {"kind": "echo"},
    "tone": {"kind": "tone"},
    "welcome": {"kind": "speaker", "files": [str(DIALPLANS / "sounds" / "welcome.wav")]},
}
