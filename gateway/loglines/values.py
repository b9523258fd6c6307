"""Converts any value for a log line: to something short, printable, and of JSON's types."""

from __future__ import annotations

import math
import traceback
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from types import TracebackType

PlainValue: TypeAlias = "bool | int | float | str | list[PlainValue] | dict[str, PlainValue] | None"
ExceptionInfo: TypeAlias = "tuple[type[BaseException], BaseException, TracebackType | None]"

TEXT = 1000
"""Characters of a string."""
_FRAMES = 40
"""The innermost frames of a traceback: an endless recursion has a thousand."""
_INTEGER_BITS = 64
_DEPTH = 4


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much of a value is kept."""

    text: int = TEXT
    items: int = 50
    """Entries of a list or mapping, and keys of a line."""
    trace: int = 8000
    """Characters of a traceback."""


TIGHT = Bounds(text=100, items=50, trace=2000)
"""For a line that is too long with the usual bounds."""


def cut(text: str, characters: int) -> str:
    """The text; if it is too long, its beginning and its length."""
    if len(text) <= characters:
        return text
    return f"{text[:characters]}... ({len(text)} characters)"


def printable(text: str) -> str:
    """The text, with line breaks and characters that could command a terminal escaped as in Python."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def plain(value: object, bounds: Bounds, depth: int = _DEPTH) -> PlainValue:
    """A value for JSON. Never raises, even if a user's object raises when it is converted."""
    try:
        return _plain(value, bounds, depth)
    except Exception as error:  # noqa: BLE001 - no value may prevent a line
        return f"<{type(value).__name__} raises {type(error).__name__} when it is shown>"


def _plain(value: object, bounds: Bounds, depth: int) -> PlainValue:
    below = depth - 1
    match value:
        case None | bool():
            found: PlainValue = value
        case str():
            found = printable(cut(value, bounds.text))
        case int():
            bits = value.bit_length()
            found = int(value) if bits <= _INTEGER_BITS else f"an integer of {bits} bits"
        case float():
            found = value if math.isfinite(value) else str(value)
        case dict() if depth > 0:
            found = {key(name, bounds): plain(one, bounds, below) for name, one in islice(value.items(), bounds.items)}
        case list() | tuple() | set() | frozenset() if depth > 0:
            found = [plain(one, bounds, below) for one in islice(value, bounds.items)]
        case _:
            found = printable(cut(repr(value), bounds.text))
    return found


def key(name: object, bounds: Bounds) -> str:
    """A mapping's key."""
    return printable(cut(name if isinstance(name, str) else str(plain(name, bounds)), bounds.text))


def described(error: BaseException, characters: int = TEXT) -> str:
    """An exception for a message: its class and its text, shortened. Never raises, even if its `__str__` does."""
    try:
        text = str(error)
    except Exception as fault:  # noqa: BLE001 - a user's exception
        text = f"<its text raises {type(fault).__name__}>"
    return printable(cut(f"{type(error).__name__}: {text}", characters))


def trace(info: ExceptionInfo, bounds: Bounds) -> str:
    """A traceback with its causes. If it is too long, mostly its end is kept: it is more useful than the beginning."""
    try:
        text = "".join(traceback.format_exception(*info, limit=-_FRAMES)).rstrip("\n")
    except Exception as error:  # noqa: BLE001 - as above: an exception may be a user's object, too
        return f"<{info[0].__name__}, whose traceback raises {type(error).__name__} when it is shown>"
    if len(text) > bounds.trace:
        # The last line alone may be a megabyte; its beginning says what went wrong.
        lines = [cut(line, bounds.text) for line in text.splitlines()]
        text = "\n".join(lines)
    if len(text) > bounds.trace:
        head = bounds.trace // 4
        beginning = f"{info[0].__name__}\n{text[:head]}"  # neither part may contain the class
        text = f"{beginning}\n... ({len(text)} characters)\n{text[head - bounds.trace :]}"
    return "\n".join(printable(line) for line in text.split("\n"))
