"""Reads one dialplan file part by part, so that a fault in one part does not hide those in others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeVar

from pydantic import BeforeValidator, Field, ValidationError

from gateway.dialplan.model import Match, Route
from gateway.dialplan.pattern import PATTERN
from gateway.dialplan.source import Named, WrittenPattern, WrittenRoute, WrittenStep
from gateway.dialplan.steps import STEPS
from gateway.settings.document import GLUED, Plain, dotted, no_space
from gateway.settings.problem import Problem, nearest, shown
from gateway.settings.validation import fault, problems
from gateway.settings.values import Model, Name, is_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from gateway.dialplan.pattern import Pattern
    from gateway.dialplan.steps import AnyStep
    from gateway.settings.context import FileContext
    from gateway.settings.document import Data, Document, PathStep

MAX_PATTERNS = 1000
_EXAMPLE_CHARACTERS = 30

_M = TypeVar("_M", bound=Model)


class _RouteKeys(Model):
    """A route's keys; steps are read one by one."""

    name: Name
    match: dict[str, object] | None = None
    steps: list[object] = Field(min_length=1)
    fallback: list[object] = Field(default=[])


_KEYS = ("to", "from", "trunk", "header")
_NO_HEADER = "no header is named", "write X-Tier: gold below it, or remove the key"


def _headers(value: object) -> object:
    if isinstance(value, dict) and not value:
        raise fault(*_NO_HEADER)
    return value


class _MatchKeys(Model):
    """A match's keys; patterns are read one by one."""

    to: object = None
    from_: object = Field(default=None, alias="from")
    trunk: object = None
    header: Annotated[dict[str, object], BeforeValidator(_headers)] = Field(default={}, validate_default=False)
    any: bool = False


@dataclass(frozen=True, slots=True)
class FileReader:
    """Reads the routes of one file."""

    document: Document
    path: Path
    context: FileContext
    problems: list[Problem]
    """Every fault is added here."""

    def valid(self, model: type[_M], data: Data, at: tuple[PathStep, ...]) -> _M | None:
        """The data as a model; None when it is faulty: the fault is then in `problems`."""
        try:
            return model.model_validate(data, context=self.context)
        except ValidationError as error:
            self.problems.extend(problems(error, model, self.document, at))
        return None

    def route(self, data: Data, at: tuple[PathStep, ...]) -> WrittenRoute | None:
        """What can be read of a route; None when it is not a mapping."""
        self.valid(_RouteKeys, data, at)
        if not isinstance(data, dict):
            return None
        name = data.get("name")
        patterns = tuple(self._patterns(data.get("match"), at))
        steps, fallback = tuple(self._steps(data, at, "steps")), tuple(self._steps(data, at, "fallback"))
        route = Route(
            name=str(name) if isinstance(name, str) and is_name(name) else "",
            match=self._match(data.get("match"), at, patterns),
            steps=tuple(one.step for one in steps if one.step is not None),
            fallback=tuple(one.step for one in fallback if one.step is not None),
            file=self.path,
            line=self.document.place(at).line,
        )
        misspelt = not data.keys() <= _RouteKeys.model_fields.keys()
        return WrittenRoute(
            route,
            self.document,
            at,
            steps,
            fallback,
            patterns,
            has_match=misspelt or data.get("match") is not None,
            has_fallback=misspelt or bool(data.get("fallback")),
        )

    def _complain(
        self, at: tuple[PathStep, ...], message: str, fix: str, value: Data = None, *, of_key: bool = True
    ) -> None:
        place = self.document.place(at, of_key=of_key)
        text = None if value is None else shown(value)
        self.problems.append(Problem(self.document.name, place, dotted(at), message, text, fix))

    def _match(self, data: Data, route: tuple[PathStep, ...], patterns: Iterable[WrittenPattern]) -> Match | None:
        if not isinstance(data, dict):
            return None
        at = (*route, "match")
        found = self.valid(_MatchKeys, data, at)
        if found is None:
            return None
        keys = [key for key in _KEYS if key in data]
        if found.any and any(data[key] is not None for key in keys):
            self._complain(at, "any: true stands beside other keys", "remove one or the other")
        if not found.any and not keys:
            self._complain(at, "it asks for nothing", "write any: true to match every call")

        def under(*path: PathStep) -> tuple[Pattern, ...]:
            return tuple(one.pattern for one in patterns if one.path[1 : 1 + len(path)] == path)

        header = tuple((name, under("header", name)) for name in found.header)
        return Match(under("to"), under("from"), under("trunk"), header, found.any)

    def _patterns(self, match: Data, route: tuple[PathStep, ...]) -> Iterator[WrittenPattern]:
        if not isinstance(match, dict):
            return
        for key in (key for key in _KEYS if key in match):
            at, written = ("match", key), match[key]
            if key != "header":
                yield from self._any_of(written, at, route)
            elif isinstance(written, dict):
                for name, below in written.items():
                    yield from self._any_of(below, (*at, name), route)
            elif written is None and not self.document.hides((*route, *at)):
                self._complain((*route, *at), *_NO_HEADER, of_key=False)

    def _any_of(
        self, written: Data, path: tuple[PathStep, ...], route: tuple[PathStep, ...]
    ) -> Iterator[WrittenPattern]:
        """One pattern, or a list of alternatives. An empty key is a fault: it would match every call."""
        if written is None and not self.document.hides((*route, *path)):
            fix = 'write a pattern, as "+4930*", or remove the key'
            self._complain((*route, *path), "nothing stands behind it", fix)
        if written is None:
            return
        ones: Sequence[tuple[tuple[PathStep, ...], Data]] = [(path, written)]
        if isinstance(written, list):
            ones = [((*path, index), one) for index, one in enumerate(written)]
        if not ones:
            fix = "write at least one pattern, or remove the key"
            self._complain((*route, *path), "the list is empty", fix, of_key=False)
        if len(ones) > MAX_PATTERNS:
            fix = "use a prefix or a regular expression"
            self._complain((*route, *path), f"more than {MAX_PATTERNS} patterns", fix, of_key=False)
        for at, one in ones[:MAX_PATTERNS]:
            try:
                yield WrittenPattern(at, PATTERN.validate_python(one))
            except ValidationError as error:
                self.problems.extend(problems(error, None, self.document, (*route, *at)))

    def _steps(self, data: dict[str, Data], route: tuple[PathStep, ...], key: str) -> Iterator[WrittenStep]:
        steps = data.get(key)
        for index, one in enumerate(steps if isinstance(steps, list) else ()):
            yield self._step(one, (key, index), route)

    def _step(self, data: Data, path: tuple[PathStep, ...], route: tuple[PathStep, ...]) -> WrittenStep:
        if data is None and self.document.hides((*route, *path)):
            return WrittenStep(path, None)
        if isinstance(data, str):
            data = {str(data): None}
        if not isinstance(data, dict) or len(data) != 1:
            fix = f"write - {_in_one_key(data)}, one dash for each step"
            self._complain((*route, *path), "a step is a map of one key", fix, data)
            return WrittenStep(path, None)
        word, content = next(iter(data.items()))
        path = (*path, word)
        at = (*route, *path)
        if word not in STEPS:
            self._complain(at, *_no_step(word))
            return WrittenStep(path, None)
        model = STEPS[word]
        if content is None and self.document.hides(at):
            return WrittenStep(path, model)
        if content is None:
            content = {}
        if isinstance(content, str):
            if model.main is None:
                self._complain(at, f"{word} takes no value of its own", f"write {word}: {{}}", content)
                return WrittenStep(path, model)
            content = {model.main: content}
        return WrittenStep(path, model, self.valid(model, content, at), tuple(_names(model, content, path)))


def _no_step(word: str) -> tuple[str, str]:
    """What is wrong with a word that is no step, and the fix."""
    glued = GLUED.match(word)
    if glued is not None and glued[1] in STEPS:
        return no_space(glued)
    meant = nearest(STEPS, word)
    fix = "" if meant is None else f'did you mean "{meant}"? '
    return "there is no such step", f"{fix}use one of {', '.join(STEPS)}"


def _in_one_key(data: Data) -> str:
    """An example of a well-written step, made of the given keys and values if they belong to one step."""
    word = next((key for key in data if key in STEPS), None) if isinstance(data, dict) else None
    if word is None or not isinstance(data, dict):
        return "play: {file: hello.wav}"
    model = STEPS[word]
    keys = {key: value for key, value in data.items() if key != word}
    if not keys.keys() <= {field.alias or name for name, field in model.model_fields.items()}:
        return "play: {file: hello.wav}"
    if model.main is not None and data[word] is not None:
        keys = {model.main: data[word], **keys}
    return f"{word}: {{{', '.join(f'{key}: {_plain(value)}' for key, value in keys.items())}}}"


def _plain(value: Data) -> str:
    return str(value) if isinstance(value, Plain) and len(value) <= _EXAMPLE_CHARACTERS else "..."


def _names(model: type[AnyStep], content: Data, path: tuple[PathStep, ...]) -> Iterator[Named]:
    """What a step names, as far as it can be read: the step may be faulty."""
    for thing, keys in ((thing, keys) for thing, where in model.names.items() for keys in where):
        found = content
        for key in keys:
            found = found.get(key) if isinstance(found, dict) else None
        if thing != "file" and isinstance(found, str) and is_name(found):
            yield Named((*path, *keys), thing, str(found))
