"""`offhook route`: which route a call would take, why not an earlier one, and what would happen."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING

from gateway.dialplan.explain import as_json, as_text, explain
from gateway.dialplan.invite import Invite, user_part
from gateway.dialplan.load import load_plan
from gateway.header_names import fold_headers
from gateway.settings.load import load_settings
from gateway.settings.problem import choice, shown

if TYPE_CHECKING:
    import argparse
    from pathlib import Path


def route(path: Path | None, args: argparse.Namespace) -> int:
    """Print the explanation; returns 0, even when no route takes the call, and 1 when an option is wrong.

    Raises:
        ConfigurationError: settings or dialplans have faults.
    """
    to, from_ = _called(args.to), _called(args.from_)
    for option, written, user in (("--to", args.to, to), ("--from", args.from_, from_)):
        if written and not user:
            sys.stderr.write(f"{option}: it has no user part, got {shown(written)}; write 600 or sip:600@host\n")
            return 1
    settings = load_settings(path, offline=True).settings
    if args.trunk is not None and args.trunk not in settings.trunks:
        sys.stderr.write(
            f"--trunk: there is no such trunk, got {shown(args.trunk)}; {choice(settings.trunks, args.trunk)}\n"
        )
        return 1
    plan = load_plan(settings.dialplans, agents=settings.agents, trunks=settings.trunks).plan
    facts = Invite(to, from_, args.trunk, fold_headers(args.headers))
    explanation = explain(plan, facts)
    text = json.dumps(as_json(explanation), indent=2) if args.json else as_text(explanation)
    sys.stdout.write(text + "\n")
    return 0


def _called(text: str) -> str:
    """The number or name in a text that may also be its URI, with or without the scheme."""
    if re.match(r"(?:.*<)?(?:sips?|tel):", text, re.IGNORECASE):
        return user_part(text)
    return user_part(f"sip:{text}") if "@" in text else text
