r"""The three ways to say which text is wanted: exactly, by its beginning, by a regular expression.

Regular expressions are RE2's: they take time linear in the text, whoever sends it, and so have no back references and
no look-around. Like an exact text they must match the whole value: `regex:\+49.*`, not `regex:\+49`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, TypeAlias

import re2
from pydantic import BeforeValidator

from gateway.settings.verdict import fault

REGEX = "regex:"
MAX_REGEX = 1024
MAX_PATTERNS = 1000


@dataclass(frozen=True, slots=True)
class Exact:
    """The whole text, letter for letter."""

    text: str

    def matches(self, subject: str) -> bool:
        """Whether the subject is what is wanted."""
        return subject == self.text

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Prefix:
    """Any text that begins so; written with a `*` at its end, `*` alone being any text at all but the empty one."""

    text: str

    def matches(self, subject: str) -> bool:
        """Whether the subject is what is wanted."""
        return subject.startswith(self.text) and subject != ""

    def __str__(self) -> str:
        return self.text + "*"


@dataclass(frozen=True, slots=True)
class Regex:
    """Any text that the expression matches from its first letter to its last."""

    text: str
    _fullmatch: Callable[[str], object] = field(repr=False, compare=False)

    def matches(self, subject: str) -> bool:
        """Whether the subject is what is wanted. Bytes of a header that were no UTF-8 count as question marks."""
        # RE2 takes UTF-8, which has no place for the surrogates that stand for such bytes.
        return self._fullmatch(subject.encode(errors="replace").decode()) is not None

    def __str__(self) -> str:
        return REGEX + self.text


Pattern: TypeAlias = Exact | Prefix | Regex


def pattern(written: str) -> Pattern:
    """A pattern as written in a dialplan.

    Raises:
        PydanticCustomError: it is empty, or not a regular expression.
    """
    if not written:
        raise fault("it is empty", 'write a text, or "*" for any')
    if written.startswith(REGEX):
        return _regex(written.removeprefix(REGEX))
    if written.endswith("*"):
        return Prefix(written[:-1])
    return Exact(written)


def _regex(text: str) -> Regex:
    mend = "correct the expression (RE2 syntax: no look-around, no back references)"
    if not text or len(text) > MAX_REGEX:
        raise fault(f"a regular expression needs 1 to {MAX_REGEX} characters", "write it after regex:")
    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(text, options)
    except re2.error as error:
        reason = error.args[0]
        raise fault(f"not a regular expression: {reason.decode(errors='replace')}", mend) from None
    except UnicodeEncodeError:
        raise fault("not text", mend) from None
    return Regex(text, compiled.fullmatch)


def _patterns(value: object) -> object:
    if isinstance(value, tuple):
        return value
    written = value if isinstance(value, list) else [value]
    if not written:
        raise fault("the list is empty", "write at least one pattern, or remove the key")
    if len(written) > MAX_PATTERNS:
        raise fault(f"more than {MAX_PATTERNS} patterns", "use a prefix or a regular expression")
    return tuple(pattern(_text(one)) for one in written)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise fault("not text", 'write a pattern, as "+4930*"')
    return str(value)


Patterns: TypeAlias = Annotated[tuple[Exact | Prefix | Regex, ...], BeforeValidator(_patterns)]
"""One pattern, or a list of which any may match."""
