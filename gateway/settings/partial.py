"""The parts of faulty settings that can be used, so that agents and dialplans are checked too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from gateway.settings.model import Settings
from gateway.settings.problem import ConfigurationError, Problem
from gateway.settings.shipped import BUILT_IN_AGENTS
from gateway.settings.values import is_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from gateway.settings.context import FileContext
    from gateway.settings.document import Data, Document


@dataclass(frozen=True, slots=True)
class PartialSettings:
    """The parts that are valid by themselves, and the names that can be read."""

    settings: Settings
    """With the default in place of each faulty part."""
    document: Document
    context: FileContext
    agents: Collection[str] | None
    """The names of all agents, faulty ones too; None when there may be others."""
    trunks: Collection[str] | None
    """The names of all trunks, likewise."""
    dialplans: tuple[Path, ...]
    """The dialplans that can be found."""
    all_dialplans: bool
    """Whether these are all dialplans."""


class SettingsError(ConfigurationError):
    """gateway.yaml cannot be used; `partial` has its valid parts, None when the file cannot be read."""

    def __init__(self, problems: Iterable[Problem], partial: PartialSettings | None = None) -> None:
        super().__init__(problems)
        self.partial = partial


def partial_settings(document: Document, context: FileContext) -> PartialSettings:
    """Validate every part of a faulty file by itself."""
    data = document.data()
    written = data if isinstance(data, dict) else {}
    valid: dict[str, Data] = {}
    for section, value in written.items():
        part = _valid_entries(section, value, context)
        if _is_valid({section: part}, context):
            valid[section] = part
    settings = Settings.model_validate(valid, context=context)
    # The names that seem to be missing may be under a misspelt or duplicate key.
    clear = written.keys() <= Settings.model_fields.keys() and all("." in fault.field for fault in document.problems)
    named = valid.get("dialplans")
    is_default = written.get("dialplans") is None
    return PartialSettings(
        settings,
        document,
        context,
        agents=_names(written.get("agents"), BUILT_IN_AGENTS) if clear else None,
        trunks=_names(written.get("trunks"), ()) if clear else None,
        dialplans=settings.dialplans if named or is_default else (),
        all_dialplans=clear and (is_default or named == written.get("dialplans")),
    )


def _valid_entries(section: str, value: Data, context: FileContext) -> Data:
    """A section without its faulty entries, if its entries can be used one by one."""
    match value:
        case dict() if section in {"agents", "trunks"}:
            return {name: one for name, one in value.items() if _is_valid({section: {name: one}}, context)}
        case list() if section == "dialplans":
            return [one for one in value if _is_valid({section: [one]}, context)]
        case _:
            return value


def _is_valid(data: Data, context: FileContext) -> bool:
    try:
        Settings.model_validate(data, context=context)
    except ValidationError:
        return False
    return True


def _names(section: Data, built_in: Collection[str]) -> Collection[str] | None:
    written = {} if section is None else section
    return [*built_in, *written] if isinstance(written, dict) and all(map(is_name, written)) else None
