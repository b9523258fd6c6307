"""Agents of the tests, made as from `gateway.yaml`."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from gateway.agents import AgentSettings, BargeInOptions, Isolation, PythonSettings

if TYPE_CHECKING:
    from pathlib import Path

    from media.conversation.floor import BargeIn

S = TypeVar("S", bound=AgentSettings)


def python_agent(
    class_path: str,
    options: dict[str, object] | None = None,
    *,
    directory: Path | None = None,
    isolation: Isolation = Isolation.THREAD,
) -> PythonSettings:
    """A class of the tests."""
    written = {"class": class_path, "options": options or {}, "isolation": isolation}
    return PythonSettings.model_validate({**written, "directory": directory})


def changed(settings: S, *, mode: BargeIn | None = None, **options: object) -> S:
    """The same agent with other limits, by their names in the program, and another mode of barge-in."""
    barge_in = {} if mode is None else {"barge_in": BargeInOptions(mode=mode)}
    return settings.model_copy(update={**options, **barge_in})
