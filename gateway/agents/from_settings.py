"""Converts the entries below `agents:` of gateway.yaml to the settings of their kinds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from gateway.agents.kinds import AgentSettings, AnyAgent
from gateway.settings.service import service_account, unseen
from gateway.settings.validation import problems

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gateway.settings.context import FileContext
    from gateway.settings.document import Document
    from gateway.settings.problem import Problem

_ANY_AGENT: TypeAdapter[AgentSettings] = TypeAdapter(AnyAgent)


def agent_settings(
    agents: Mapping[str, object], document: Document, context: FileContext
) -> tuple[dict[str, AgentSettings], list[Problem]]:
    """The settings of valid agents, by name, and the problems of the others, each with its place in the file."""
    right: dict[str, AgentSettings] = {}
    found: list[Problem] = []
    for name, written in agents.items():
        try:
            right[name] = _ANY_AGENT.validate_python(written, context=context)
        except ValidationError as error:
            found += problems(error, AnyAgent, document, ("agents", name))
    return right, found


def unseen_files(agents: Mapping[str, AgentSettings], document: Document) -> Iterator[Problem]:
    """Warn of agents' files that this user can read, but the service cannot. For the service's settings only."""
    account = service_account()
    for name, agent in agents.items():
        of_backup = agent.backup.named_files() if agent.backup is not None else ()
        for at, file in (*agent.named_files(), *of_backup):
            found = unseen(file, account)
            if found is not None:
                yield document.problem(("agents", name, *at), *found)
