"""`offhook reload`: the running gateway reads its dialplans again."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from gateway.control.client import NoAnswerError, ask
from gateway.loglines.values import printable
from gateway.logs import complain
from gateway.settings import load_control, service_socket

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from gateway.control.status import Json

_RELOAD_S = 60.0
"""Ten thousand routes on a busy machine take several seconds."""


def reload(path: Path | None, _args: argparse.Namespace) -> int:
    """Returns 0 when the new dialplans are in force; 1 when they are refused, or no gateway answers.

    Raises:
        ConfigurationError: the control socket cannot be read from the settings; other faults do not matter.
    """
    try:
        said = ask(service_socket(path, load_control(path)), "reload", deadline_s=_RELOAD_S)
    except NoAnswerError as error:
        complain(f"{error}\n")
        return 1
    for text in _texts(said.get("warnings")):
        complain(f"{text}\n", "warning")
    for text in _texts(said.get("problems")):
        complain(f"{text}\n")
    if said.get("problems"):
        complain("the new dialplans are refused, the old ones stay in force\n")
        return 1
    settings = printable(str(said.get("settings") or "embedded default"))
    sys.stdout.write(f"{settings}: reloaded, {said.get('routes')} routes\n")
    return 0


def _texts(listed: Json) -> list[str]:
    return [printable(str(one)) for one in listed] if isinstance(listed, list) else []
