"""YAML text as plain data, with line and column of every value.

The schema decides the type of a value, not YAML: every scalar stays the text that was written (so `+4930`, `600`, `off`
and `4:30` stay as they are), and an unquoted `null`, `~` or an empty value is None. `typed` applies the core schema of
YAML 1.2 where we have no schema, for example to an agent's own options.

Size, depth, and the number of values after the expansion of aliases are limited, since a faulty program may have
written the file. Tags, merge keys, several documents in a file, and keys that are not text are reported as faults.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias

import yaml

from gateway.settings.problem import Place, Problem, shown
from media.files import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

MAX_BYTES = 1 << 20
MAX_DEPTH = 24
MAX_VALUES = 50_000

Data: TypeAlias = "Plain | str | list[Data] | dict[str, Data] | None"
PathStep: TypeAlias = "str | int"
"""One step down into a document: a key of a mapping, or an index of a list."""

_LIBYAML_TOO_DEEP = "maximum nesting depth"
"""In the error text of libyaml builds that have their own limit (1,000). They report it before the first event."""

_NULL = {"", "~", "null", "Null", "NULL"}

GLUED = re.compile(r"\A([A-Za-z_][\w-]*):(?!//)(?=\S)")
"""A key and a value without a space between them, which YAML reads as one text: `kind:python`."""

_SPACE_LOOKALIKES = "\u00a0\u2007\u200b\u202f\u2060\ufeff"
_INVISIBLE_AFTER_KEY = re.compile(rf"\A[\w-]+:[{_SPACE_LOOKALIKES}]")
_DASH_LOOKALIKES = tuple("\u2010\u2011\u2012\u2013\u2014\u2015\u2022\u2212")
"""Hyphens, dashes and bullets that look like YAML's dash but are other characters."""


class _Mark(Protocol):
    """A position as PyYAML gives it, counted from 0."""

    line: int
    column: int


class Plain(str):
    """A scalar written without quotes: its type is not decided yet."""

    __slots__ = ()


@dataclass(slots=True, eq=False)
class Node:
    """A value and the place where it begins; `keys` has the places of a mapping's keys."""

    place: Place
    content: Plain | str | list[Node] | dict[str, Node] | None
    values: int = 1
    """The number of values in it, including itself, with aliases expanded."""
    depth: int = 1
    """The number of its levels, with aliases expanded."""
    keys: dict[str, Place] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file. `problems` has the faults of the YAML itself; `root` has what could be read in spite of them."""

    name: str
    root: Node
    problems: tuple[Problem, ...]
    usable: bool
    """False when reading stopped before the document's end; `root` then has its complete outermost entries."""
    unknown: tuple[tuple[PathStep, ...], ...] = ()
    """Paths of values that could not be read: aliases without an anchor (None), text that may be a key with a value."""

    def data(self) -> Data:
        """The whole document as plain data."""
        return _data(self.root)

    def written(self, path: Sequence[PathStep]) -> str | None:
        """The scalar at a path, as written; None when there is none."""
        node: Node | None = self.root
        for step in path:
            node = _child(node, step)[0] if node is not None else None
        return str(node.content) if node is not None and isinstance(node.content, str) else None

    def scalars(self) -> Iterator[tuple[tuple[PathStep, ...], str]]:
        """Every scalar with its path; aliases are expanded."""
        return _scalars(self.root, ())

    def place(self, path: Sequence[PathStep], *, of_key: bool = False) -> Place:
        """Where the value at a path begins, or its key with `of_key`; if it is absent, the nearest value above it."""
        node, place = self.root, self.root.place
        for step in path:
            below, key_place = _child(node, step)
            if below is None:
                break
            node = below
            place = key_place if of_key and key_place is not None else below.place
        return place

    def hides(self, path: Sequence[PathStep]) -> bool:
        """Whether the value at a path, or a value below it, could not be read, which has already been reported."""
        return any(one[: len(path)] == tuple(path) for one in self.unknown)

    def problem(self, path: Sequence[PathStep], message: str, fix: str | None = None) -> Problem:
        """A problem with the value at a path, or with its absence."""
        return Problem(self.name, self.place(path), dotted(path), message, None, fix)


def read_text(path: Path, *, regular: bool = False) -> str:
    """A configuration file as text.

    Args:
        path: the file.
        regular: refuse pipes and devices, which could block a gateway that has calls.

    Raises:
        OSError: it cannot be read.
        ValueError: it is too large, or not UTF-8; the message says which, and the fix.
    """
    with open(open_regular(path) if regular else path, "rb") as file:  # noqa: PTH123 - a path or a descriptor
        raw = file.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        message = f"the file is larger than {MAX_BYTES >> 10} KiB; split it"
        raise ValueError(message)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"the file is not UTF-8 at byte {error.start + 1}; save it as UTF-8"
        raise ValueError(message) from error


def parse(text: str, name: str) -> Document:
    """Read one YAML document. Never raises for faults of the text: they are in `Document.problems`."""
    composer = _Composer(name)
    try:
        # Lone surrogates are not YAML. They can come from a program, not from a file that was decoded.
        text.encode()
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            if not composer.take(event):
                break
    except yaml.MarkedYAMLError as error:
        place = _place(error.problem_mark or error.context_mark)
        if _LIBYAML_TOO_DEEP in _reason(error):
            composer.too_deep(place)
        else:
            composer.complain(place, _reason(error), _hint(text, error))
    except (yaml.YAMLError, UnicodeEncodeError) as error:
        reason = str(error).splitlines()[0]
        composer.complain(None, f"not YAML: {reason}", "remove the character")
    usable = composer.root is not None or not composer.problems
    root = composer.root or composer.begun or Node(Place(1, 1), None)
    return Document(name, root, tuple(composer.problems), usable, tuple(composer.unknown))


def typed(data: Data) -> object:
    """Data with YAML 1.2's core schema applied: unquoted numbers and booleans become int, float and bool."""
    match data:
        case Plain():
            return _resolve(str(data))
        case list():
            return [typed(item) for item in data]
        case dict():
            return {key: typed(item) for key, item in data.items()}
        case _:
            return data


def _resolve(text: str) -> object:
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    if re.fullmatch(r"[-+]?[0-9]{1,18}", text):
        return int(text)
    if re.fullmatch(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?", text):
        return float(text)
    return text


def _data(node: Node) -> Data:
    match node.content:
        case list():
            return [_data(item) for item in node.content]
        case dict():
            return {key: _data(item) for key, item in node.content.items()}
        case _:
            return node.content


def _scalars(node: Node, path: tuple[PathStep, ...]) -> Iterator[tuple[tuple[PathStep, ...], str]]:
    match node.content:
        case dict():
            for key, below in node.content.items():
                yield from _scalars(below, (*path, key))
        case list():
            for index, below in enumerate(node.content):
                yield from _scalars(below, (*path, index))
        case str():
            yield path, str(node.content)


def _child(node: Node, step: PathStep) -> tuple[Node | None, Place | None]:
    match node.content:
        case dict():
            return node.content.get(str(step)), node.keys.get(str(step))
        case list() if isinstance(step, int) and step < len(node.content):
            return node.content[step], None
        case _:
            return None, None


class _Composer:
    """Builds nodes from YAML's events without recursion, so that the depth can be limited."""

    def __init__(self, name: str) -> None:
        self.root: Node | None = None
        self.problems: list[Problem] = []
        self.unknown: list[tuple[PathStep, ...]] = []
        self._name = name
        self._open: list[tuple[Node, str | None]] = []
        """Containers being filled, outermost first, with the anchor of each."""
        self._key: list[tuple[str, Place] | None] = []
        """For each open container, the mapping key that waits for its value."""
        self._anchors: dict[str, Node] = {}
        self._values = 0
        self._documents = 0

    @property
    def begun(self) -> Node | None:
        """The outermost container while it is being filled, with the entries that are complete."""
        return self._open[0][0] if self._open else None

    def complain(
        self, place: Place | None, message: str, fix: str, value: str | None = None, key: str | None = None
    ) -> None:
        steps = [*self._steps(), *([] if key is None else [key])]
        self.problems.append(Problem(self._name, place, dotted(steps), message, value, fix))

    def take(self, event: yaml.Event) -> bool:
        """Process one event; False when the rest of the file cannot be used."""
        place = _place(event.start_mark)
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    self.complain(place, "a second document begins here", "keep one document in a file")
                    return False
            case yaml.AliasEvent():
                return self._alias(event, place)
            case yaml.ScalarEvent():
                content = self._cleaned(_scalar(event), place)
                self._tag(event, place)
                self._anchor(event.anchor, node := Node(place, content))
                return self._add(node)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                return self._begin(event, place)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                return self._end()
        return True

    def _begin(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent, place: Place) -> bool:
        if len(self._open) >= MAX_DEPTH:
            self.too_deep(place)
            return False
        self._tag(event, place)
        node = Node(place, {} if isinstance(event, yaml.MappingStartEvent) else [])
        self._open.append((node, event.anchor))
        self._key.append(None)
        return True

    def too_deep(self, place: Place) -> None:
        self.complain(place, f"nested deeper than {MAX_DEPTH} levels", "make the structure flatter")

    def _end(self) -> bool:
        node, anchor = self._open.pop()
        self._key.pop()
        self._anchor(anchor, node)
        return self._add(node)

    def _alias(self, event: yaml.AliasEvent, place: Place) -> bool:
        anchor = str(event.anchor)
        node = self._anchors.get(anchor)
        if node is None:
            # Usually the author means a service code of the telephone network, such as *21*, and not an alias.
            self.complain(
                place, "there is no such anchor before this", f'write it in quotes: "*{anchor}"', f"*{anchor}"
            )
            self.unknown.append(tuple(self._steps()))
            node = Node(place, None)
        return self._add(node)

    def _anchor(self, anchor: str | None, node: Node) -> None:
        if anchor is not None:
            self._anchors[anchor] = node

    def _cleaned(self, content: Plain | str | None, place: Place) -> Plain | str | None:
        """The value without a word processor's quotes and spaces, which YAML treats as part of the text."""
        if not isinstance(content, Plain):
            return content
        if _is_quote(content[0]):
            meant = content[1:-1] if _is_quote(content[-1]) else content[1:]
            self.complain(place, "YAML reads typographic quotes as text", f'write "{meant}"', shown(content))
            return meant
        meant = content.strip(f" {_SPACE_LOOKALIKES}")
        if meant != content or _INVISIBLE_AFTER_KEY.search(content):
            message = "it contains an invisible character that is not a space for YAML, such as a no-break space"
            self.complain(place, message, "type it again", shown(content))
            self.unknown.append(tuple(self._steps()))
            return Plain(meant) or None
        return content

    def _tag(self, event: yaml.NodeEvent, place: Place) -> None:
        tag = getattr(event, "tag", None)
        if tag not in {None, "!", "tag:yaml.org,2002:str", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}:
            self.complain(place, "tags have no meaning here", "remove the tag", shown(tag))

    def _add(self, node: Node) -> bool:
        """Add a complete value to its container."""
        self._values += 1
        if not self._open:
            self.root = node
            return True
        parent = self._open[-1][0]
        if isinstance(parent.content, list):
            parent.content.append(node)
        elif isinstance(parent.content, dict):
            pending = self._key[-1]
            if pending is None:
                self._key[-1] = (self._key_text(node), node.place)
                return True
            self._key[-1] = None
            self._store(parent, self._separated(pending, node), node)
        parent.values += node.values
        parent.depth = max(parent.depth, node.depth + 1)
        if parent.depth > MAX_DEPTH:
            self.too_deep(node.place)
            return False
        if parent.values > MAX_VALUES:
            self.complain(node.place, f"more than {MAX_VALUES} values, aliases expanded", "split the file")
            return False
        return True

    def _key_text(self, node: Node) -> str:
        if isinstance(node.content, list | dict):
            self.complain(node.place, "a key must be text", "write one word before the colon", shown(_data(node)))
            return "?"
        return "" if node.content is None else node.content

    def _separated(self, key: tuple[str, Place], node: Node) -> tuple[str, Place]:
        """The key; if its value was written without the space that separates them, the value goes to the node."""
        name, place = key
        glued = GLUED.match(name) if isinstance(name, Plain) and node.content is None else None
        if glued is None:
            return str(name), place
        # Neither shown nor kept in the key, which messages show: it may be a password.
        node.content = Plain(name[glued.end() :].strip("\"'"))
        node.place = Place(place.line, place.column + glued.end())
        self.complain(place, *no_space(glued), key=glued[1])
        return glued[1], place

    def _store(self, parent: Node, key: tuple[str, Place], node: Node) -> None:
        name, place = key
        if not isinstance(parent.content, dict):
            return
        if name == "<<":
            self.complain(place, "merge keys are not supported", "write the keys out", key=name)
        elif name in parent.content:
            first = parent.keys[name]
            self.complain(place, f"the key is already used on line {first.line}", "remove one of them", key=name)
        else:
            parent.content[name] = node
            parent.keys[name] = place

    def _steps(self) -> Iterator[PathStep]:
        for (node, _), key in zip(self._open, self._key, strict=True):
            if isinstance(node.content, list):
                yield len(node.content)
            elif key is not None:
                yield key[0]


def dotted(path: Sequence[PathStep]) -> str:
    """A path as messages show it: `routes[2].steps[0].play.file`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text


def no_space(glued: re.Match[str]) -> tuple[str, str]:
    """What is wrong with a text that `GLUED` matches, and the fix."""
    return f"there is no space after the colon of {glued[1]}", f"write {glued[1]}: with a space before the value"


def _is_quote(letter: str) -> bool:
    return "QUOTATION MARK" in unicodedata.name(letter, "")


def _scalar(event: yaml.ScalarEvent) -> Plain | str | None:
    plain = event.implicit[0] and event.style in {None, ""}
    if plain and event.value in _NULL:
        return None
    return Plain(event.value) if plain else str(event.value)


def _place(mark: _Mark | None) -> Place:
    return Place(1, 1) if mark is None else Place(mark.line + 1, mark.column + 1)


def _reason(error: yaml.MarkedYAMLError) -> str:
    reason = str(error.problem or error.context or "syntax error")
    return f"not YAML: {reason}"


def _hint(text: str, error: yaml.MarkedYAMLError) -> str:
    if error.context == "while scanning an alias":
        return 'write text that begins with * in quotes, such as "*21*"'
    lines = text.splitlines()
    line = error.problem_mark.line if error.problem_mark else 0
    if line < len(lines) and "\t" in lines[line][: len(lines[line]) - len(lines[line].lstrip())]:
        return "indent with spaces, not tabs"
    if any(line.lstrip().startswith(_DASH_LOOKALIKES) for line in lines[max(line - 1, 0) : line + 1]):
        return "begin the entries of a list with the plain dash of the keyboard, -"
    glued = next(filter(None, (GLUED.match(line.lstrip()) for line in lines[max(line - 1, 0) : line + 1])), None)
    if glued is not None:
        return no_space(glued)[1]
    return "check quotes, colons and indentation here and on the line above"
