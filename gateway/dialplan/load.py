"""Loads dialplan files into one `Plan`, or reports every fault in them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from gateway.dialplan.plan import Plan
from gateway.dialplan.reader import FileReader
from gateway.dialplan.review import review
from gateway.dialplan.source import Illegible, Names
from gateway.settings.context import FileContext
from gateway.settings.document import parse, read_text
from gateway.settings.problem import DialplanError, Problem
from gateway.settings.values import Model

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

    from gateway.dialplan.source import WrittenRoute
    from gateway.settings.document import Data

MAX_ROUTES = 10_000

_WITHIN_A_ROUTE = re.compile(r"routes\[[0-9]+\]\.(match|steps|fallback)\b")
"""A YAML fault in one of these places cannot hide a route's name."""


class _File(Model):
    """A dialplan's outermost keys."""

    version: Literal["1"] = "1"
    routes: list[object] = Field(max_length=MAX_ROUTES)


@dataclass(frozen=True, slots=True)
class LoadedPlan:
    """A plan that can be run, and warnings."""

    plan: Plan
    warnings: tuple[Problem, ...]


def load_plan(
    paths: Iterable[Path],
    *,
    agents: Collection[str] | None,
    trunks: Collection[str] | None = None,
    complete: bool = True,
) -> LoadedPlan:
    """Read dialplan files, in order, into one plan.

    Paths of sounds are relative to the file that names them. Reads files: do not call it on the asyncio thread.

    Args:
        paths: the files.
        agents: the names that agent steps may use; None leaves them unchecked.
        trunks: the names that `match: {trunk: ...}` may use; None leaves them unchecked.
        complete: False when some files are not known: routes or gotos that seem to be missing may be there.

    Raises:
        DialplanError: with every fault of every file.
    """
    loader = _Loader(names_hidden=not complete, gotos_hidden=not complete)
    for path in paths:
        loader.file(path)
    return loader.plan(Names(agents, trunks))


def load_text(
    text: str, path: Path, *, agents: Collection[str] = (), trunks: Collection[str] | None = None
) -> LoadedPlan:
    """As `load_plan`, for the text of one file.

    Raises:
        DialplanError: with every fault.
    """
    loader = _Loader()
    loader.text(text, path)
    return loader.plan(Names(agents, trunks))


@dataclass(slots=True)
class _Loader:
    """Collects routes and faults over all files."""

    written: list[WrittenRoute] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    names_hidden: bool = False
    gotos_hidden: bool = False
    texts: set[str] = field(default_factory=set)
    files: dict[str, int] = field(default_factory=dict)
    """Their positions, in the order in which they were given."""

    def plan(self, names: Names) -> LoadedPlan:
        illegible = Illegible(self.names_hidden, self.gotos_hidden, self.texts)
        found, warnings = review(self.written, names, illegible)
        if self.problems or found:
            raise DialplanError(sorted([*self.problems, *found], key=lambda problem: self.files[problem.file]))
        return LoadedPlan(Plan(tuple(written.route for written in self.written)), tuple(warnings))

    def file(self, path: Path) -> None:
        self.files.setdefault(str(path), len(self.files))
        try:
            text = read_text(path, regular=True)
        except OSError as error:
            fix = "create it, or correct dialplans in the settings"
            self._unread(Problem(str(path), None, "", f"cannot read the file: {error.strerror}", None, fix))
        except ValueError as error:
            message, _, fix = str(error).partition("; ")
            self._unread(Problem(str(path), None, "", message, None, fix))
        else:
            self.text(text, path)

    def text(self, text: str, path: Path) -> None:
        self.files.setdefault(str(path), len(self.files))
        document = parse(text, str(path))
        if not document.usable:
            self._unread(*document.problems)
            return
        self.problems += document.problems
        self.gotos_hidden |= bool(document.problems)
        self.names_hidden |= not all(_WITHIN_A_ROUTE.match(problem.field) for problem in document.problems)
        data = document.data()
        reader = FileReader(document, path, FileContext(path.absolute().parent), self.problems)
        reader.valid(_File, data, ())
        routes = data.get("routes") if isinstance(data, dict) else None
        if not isinstance(routes, list) or len(routes) > MAX_ROUTES:
            self._unread()
        for index, route in enumerate(routes[:MAX_ROUTES] if isinstance(routes, list) else ()):
            self._route(reader, route, index)

    def _route(self, reader: FileReader, data: Data, index: int) -> None:
        faults = len(self.problems)
        written = reader.route(data, ("routes", index))
        if written is not None:
            self.written.append(written)
        if written is None or not written.route.name:
            self.names_hidden = True
        if len(self.problems) > faults:
            self.texts.update(_texts({**data, "name": None} if isinstance(data, dict) else data))

    def _unread(self, *problems: Problem) -> None:
        self.problems += problems
        self.names_hidden = self.gotos_hidden = True


def _texts(data: Data) -> Iterator[str]:
    match data:
        case dict():
            for key, value in data.items():
                yield key
                yield from _texts(value)
        case list():
            for value in data:
                yield from _texts(value)
        case str():
            yield str(data)
