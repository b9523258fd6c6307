"""`offhook route`: which route a call would take, why not the ones before it, and what would happen."""

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
    """Print the explanation; 0 also when no route takes the call, which is an answer too.

    Raises:
        ConfigurationError: settings or dialplans are at fault.
    """
    to, from_ = _called(args.to), _called(args.from_)
    for option, written, user in (("--to", args.to, to), ("--from", args.from_, from_)):
        if written and not user:
            sys.stderr.write(f"{option}: there is no user in it, got {shown(written)}; write 600 or sip:600@host\n")
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
    """A number or name, also when it is written as the URI that it came in, with or without its scheme."""
    if re.match(r"(?:.*<)?(?:sips?|tel):", text, re.IGNORECASE):
        return user_part(text)
    return user_part(f"sip:{text}") if "@" in text else text
