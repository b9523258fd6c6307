"""`offhook status`: trunks, calls, agents and limits of the running gateway."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from gateway.control.client import NoAnswerError, ask
from gateway.loglines.values import printable
from gateway.logs import complain
from gateway.settings import load_control, service_socket

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from pathlib import Path

    from gateway.control.status import Json


def status(path: Path | None, args: argparse.Namespace) -> int:
    """Print the status; returns 1 when no gateway answers, else 0.

    Raises:
        ConfigurationError: the control socket cannot be read from the settings; other faults do not matter.
    """
    try:
        said = ask(service_socket(path, load_control(path)), "status")
    except NoAnswerError as error:
        complain(f"{error}\n")
        return 1
    # The text may contain a registrar's reason phrase, which could command the terminal.
    text = json.dumps(said, indent=2) if args.json else "\n".join(printable(line) for line in _lines(said))
    sys.stdout.write(text + "\n")
    return 0


def _lines(said: dict[str, Json]) -> Iterator[str]:
    calls, process = _object(said, "calls"), _object(said, "process")
    yield f"{said.get('state')}, up {said.get('uptime_s')} s, pid {process.get('pid')}, version {said.get('version')}"
    yield f"settings {said.get('settings') or 'embedded default'}"
    overloaded = "; overloaded: new calls are refused" if calls.get("overloaded") else ""
    yield f"calls    {calls.get('live')} of {calls.get('limit')}, {calls.get('total')} since the start{overloaded}"
    for name, trunk in _object(said, "trunks").items():
        if isinstance(trunk, dict):
            yield f"trunk    {name}: {_trunk(trunk)}"
    for name, agent in _object(said, "agents").items():
        tripped = isinstance(agent, dict) and agent.get("breaker") not in {None, "closed"}
        if isinstance(agent, dict) and (agent.get("calls") or agent.get("failed") or tripped):
            ending = "; it fails repeatedly: calls go to its backup" if tripped else ""
            yield f"agent    {name}: {agent.get('calls')} calls, {agent.get('failed')} failed{ending}"


def _trunk(trunk: dict[str, Json]) -> str:
    text = str(trunk.get("state"))
    if trunk.get("why"):
        text += f": {trunk['why']}"
    if trunk.get("next_attempt_s") is not None:
        text += f"; next attempt in {trunk['next_attempt_s']} s"
    return text


def _object(said: dict[str, Json], key: str) -> dict[str, Json]:
    value = said.get(key)
    return value if isinstance(value, dict) else {}
