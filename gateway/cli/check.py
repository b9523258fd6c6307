"""`offhook check`: the faults of settings, dialplans and agents that can be found without a network, and used ports."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from gateway.cli.ports import unavailable
from gateway.cli.prepare import prepare

if TYPE_CHECKING:
    import argparse
    from pathlib import Path


def check(path: Path | None, args: argparse.Namespace) -> int:
    """Print each warning on a line, and a summary; returns 0, since the gateway would start.

    Raises:
        ConfigurationError: the gateway would not start.
    """
    del args
    prepared = prepare(path, offline=True)
    taken = unavailable(prepared.settings, prepared.document, prepared.source)
    for warning in (*prepared.warnings, *taken):
        sys.stderr.write(f"{warning}\n")
    settings = prepared.settings
    counts = ", ".join(
        (
            _count(len(settings.trunks), "trunk"),
            _count(len(settings.agents), "agent"),
            _count(len(prepared.plans.plan.routes), "route"),
        )
    )
    sys.stdout.write(f"{prepared.source or 'embedded default'}: no faults ({counts})\n")
    return 0


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
