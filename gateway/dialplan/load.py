"""From dialplan files to one `Plan`, or to every fault in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias, TypeVar

from pydantic import BeforeValidator, Field, ValidationError

from gateway.dialplan.model import STEPS, Match, Plan, Route
from gateway.dialplan.pattern import Patterns
from gateway.dialplan.review import Names, Written, review
from gateway.settings.document import Document, dotted, parse, read_text
from gateway.settings.problem import DialplanError, Problem, choice, shown
from gateway.settings.reading import Reading
from gateway.settings.values import Model, Name
from gateway.settings.verdict import fault, problems

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from gateway.dialplan.model import Step as DialplanStep
    from gateway.settings.document import Data, Step

    _PlacedStep: TypeAlias = tuple[tuple[Step, ...], DialplanStep]

MAX_ROUTES = 10_000

_M = TypeVar("_M", bound=Model)


class _File(Model):
    """A dialplan's outermost keys."""

    version: Literal["1"] = "1"
    routes: list[object] = Field(max_length=MAX_ROUTES)


class _Route(Model):
    """A route's keys; steps are read one by one."""

    name: Name
    match: dict[str, object] | None = None
    steps: list[object] = Field(min_length=1)
    fallback: list[object] = Field(default=[])


def _headers(value: object) -> object:
    if isinstance(value, dict) and not value:
        raise fault("no header is named", "write X-Tier: gold below it, or remove the key")
    return value


class _Match(Model):
    """What a route may ask for."""

    to: Patterns = ()
    from_: Patterns = Field(default=(), alias="from")
    trunk: Patterns = ()
    header: Annotated[dict[str, Patterns], BeforeValidator(_headers)] = Field(default={}, validate_default=False)
    any: bool = False


@dataclass(frozen=True, slots=True)
class LoadedPlan:
    """A plan that can be run, and what should still be looked at."""

    plan: Plan
    warnings: tuple[Problem, ...]


def load_plan(paths: Iterable[Path], *, agents: Collection[str], trunks: Collection[str] | None = None) -> LoadedPlan:
    """Read dialplan files, in order, into one plan.

    Sounds are looked for from the directory of the file that names them. Reads files: not for the asyncio thread.

    Args:
        paths: the files.
        agents: the names that agent steps may use.
        trunks: the names that `match: {trunk: ...}` may use; None leaves them unchecked.

    Raises:
        DialplanError: with every fault of every file.
    """
    loader = _Loader()
    for path in paths:
        loader.file(path)
    return loader.plan(Names(agents, trunks))


def load_text(
    text: str, path: Path, *, agents: Collection[str] = (), trunks: Collection[str] | None = None
) -> LoadedPlan:
    """As `load_plan`, for one file whose text is at hand.

    Raises:
        DialplanError: with every fault.
    """
    loader = _Loader()
    loader.text(text, path)
    return loader.plan(Names(agents, trunks))


def _only_steps(placed: Iterable[_PlacedStep]) -> tuple[DialplanStep, ...]:
    return tuple(step for _, step in placed)


@dataclass(slots=True)
class _Loader:
    """Collects routes and faults over all files."""

    written: list[Written] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def plan(self, names: Names) -> LoadedPlan:
        warnings = review(self.written, names, self.problems)
        if self.problems:
            raise DialplanError(self.problems)
        return LoadedPlan(Plan(tuple(written.route for written in self.written)), tuple(warnings))

    def file(self, path: Path) -> None:
        try:
            text = read_text(path)
        except OSError as error:
            mend = "create it, or correct dialplans in the settings"
            self.problems.append(Problem(str(path), None, "", f"cannot read the file: {error.strerror}", None, mend))
        except ValueError as error:
            message, _, mend = str(error).partition("; ")
            self.problems.append(Problem(str(path), None, "", message, None, mend))
        else:
            self.text(text, path)

    def text(self, text: str, path: Path) -> None:
        document = parse(text, str(path))
        self.problems += document.problems
        if not document.usable:
            return
        data = document.data()
        reader = _FileReader(document, path, Reading(path.absolute().parent), self.problems)
        reader.valid(_File, data, ())
        routes = data.get("routes") if isinstance(data, dict) else None
        for index, route in enumerate(routes[:MAX_ROUTES] if isinstance(routes, list) else ()):
            written = reader.route(route, ("routes", index))
            if written is not None:
                self.written.append(written)


@dataclass(frozen=True, slots=True)
class _FileReader:
    """Reads the parts of one file; what is wrong with a part does not keep the others from being read."""

    document: Document
    path: Path
    context: Reading
    problems: list[Problem]

    def complain(self, at: tuple[Step, ...], message: str, mend: str, value: Data = None) -> None:
        place = self.document.place(at, of_key=True)
        text = None if value is None else shown(value)
        self.problems.append(Problem(self.document.name, place, dotted(at), message, text, mend))

    def valid(self, model: type[_M], data: Data, at: tuple[Step, ...]) -> _M | None:
        """The data as a model, or None and complaints."""
        try:
            return model.model_validate(data, context=self.context)
        except ValidationError as error:
            self.problems.extend(problems(error, model, self.document, at))
        return None

    def route(self, data: Data, at: tuple[Step, ...]) -> Written | None:
        before = len(self.problems)
        head = self.valid(_Route, data, at)
        if not isinstance(data, dict):
            return None
        match = self.match(data.get("match"), (*at, "match"))
        steps = self.steps(data.get("steps"), at, "steps")
        fallback = self.steps(data.get("fallback"), at, "fallback")
        # What is not whole goes on to the review too, for the names in it; a plan is only made when all is.
        name = head.name if head else str(data.get("name") or "")
        line = self.document.place(at).line
        route = Route(name, match, _only_steps(steps), _only_steps(fallback), self.path, line)
        return Written(route, self.document, at, (*steps, *fallback), whole=len(self.problems) == before)

    def match(self, data: Data, at: tuple[Step, ...]) -> Match | None:
        if not isinstance(data, dict):
            return None
        found = self.valid(_Match, data, at)
        if found is None:
            return None
        keys = bool(found.to or found.from_ or found.trunk or found.header)
        if found.any and keys:
            self.complain(at, "any: true stands beside other keys", "remove one or the other")
        if not found.any and not keys:
            self.complain(at, "it asks for nothing", "write any: true to match every call")
        return Match(found.to, found.from_, found.trunk, tuple(found.header.items()), found.any)

    def steps(self, data: Data, at: tuple[Step, ...], key: str) -> tuple[_PlacedStep, ...]:
        found: list[_PlacedStep] = []
        for index, one in enumerate(data if isinstance(data, list) else ()):
            step = self.step(one, (*at, key, index))
            if step is not None:
                found.append(((key, index, step.word), step))
        return tuple(found)

    def step(self, data: Data, at: tuple[Step, ...]) -> DialplanStep | None:
        if isinstance(data, str):
            data = {str(data): None}
        if not isinstance(data, dict) or len(data) != 1:
            self.complain(
                at, "a step is a map of one key", "write - play: {file: hello.wav}, one dash for each step", data
            )
            return None
        word, content = next(iter(data.items()))
        if word not in STEPS:
            self.complain((*at, word), "there is no such step", choice(STEPS, word))
            return None
        model = STEPS[word]
        if content is None:
            content = {}
        if isinstance(content, str):
            if model.main is None:
                self.complain((*at, word), f"{word} takes no value of its own", f"write {word}: {{}}", content)
                return None
            content = {model.main: content}
        return self.valid(model, content, (*at, word))
