"""Faults of configuration files, described so that they can be fixed without reading the code."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

SHOWN_CHARACTERS = 60
SIMILAR = 0.65
"""The limit above which words are similar, from 0 to 1. At 0.6, difflib's default, `false` is similar to `pause`."""


@dataclass(frozen=True, slots=True)
class Place:
    """The position of a character in a file, counted from 1 as in editors."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault: where it is, what it is, and what to write instead."""

    file: str
    place: Place | None
    field: str
    """Dotted path from the top of the file, such as `trunks.carrier.expires`; empty for the file as a whole."""
    message: str
    value: str | None = None
    """The faulty value as messages show it; None when there is none, or when it is secret."""
    fix: str | None = None

    def __str__(self) -> str:
        """`file:line:column: field: message, got value; fix`, on one line."""
        where = self.file if self.place is None else f"{self.file}:{self.place.line}:{self.place.column}"
        parts = [where, ": "]
        if self.field:
            parts += [self.field, ": "]
        parts.append(self.message)
        if self.value is not None:
            parts += [", got ", self.value]
        if self.fix:
            parts += ["; ", self.fix]
        return _printable("".join(parts))


class ConfigurationError(Exception):
    """The administrator's files cannot be used; `problems` has every fault that was found."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = in_reading_order(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class DialplanError(ConfigurationError):
    """A dialplan cannot be used."""


def in_reading_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Problems without duplicates, ordered by file (in the order of first appearance), line and column."""
    found = list(problems)
    files = {name: rank for rank, name in enumerate(dict.fromkeys(problem.file for problem in found))}

    def rank(problem: Problem) -> tuple[int, int, int]:
        place = problem.place or Place(0, 0)
        return files[problem.file], place.line, place.column

    return tuple(sorted(dict.fromkeys(found), key=rank))


def shown(value: object) -> str:
    """A value as messages show it: quoted text, shortened, on one line."""
    match value:
        case None:
            return "nothing"
        case dict():
            return "a mapping" if value else "an empty mapping"
        case list():
            return "a list" if value else "an empty list"
        case _:
            text = str(value)
    if len(text) > SHOWN_CHARACTERS:
        text = text[: SHOWN_CHARACTERS - 3] + "..."
    return f'"{_printable(text)}"'


def _printable(text: str) -> str:
    """The text with line breaks and control characters replaced, since a terminal could execute them."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def choice(known: Iterable[str], written: str) -> str:
    """The fix for an unknown word: the most similar of the known ones, or all of them."""
    words = list(known)
    if not words:
        return "none is allowed here"
    near = nearest(words, written)
    return "use one of " + ", ".join(words) if near is None else f'did you mean "{near}"?'


def nearest(known: Iterable[str], written: str) -> str | None:
    """The word that was probably meant: a similar one, or the only one that begins with this word; else None."""
    folded = {word.casefold(): word for word in known}
    near = difflib.get_close_matches(written.casefold(), folded, n=1, cutoff=SIMILAR)
    if near:
        return folded[near[0]]
    first_part = re.compile(re.escape(written.casefold()) + "[-_.]")
    longer = [word for word in folded if first_part.match(word)]
    return folded[longer[0]] if len(longer) == 1 else None
