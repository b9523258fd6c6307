r"""The three kinds of pattern: exact text, prefix, regular expression.

Regular expressions use RE2: a match takes linear time for any text, so there are no back references and no
look-around. Like an exact text they must match the whole value: `regex:\+49.*`, not `regex:\+49`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, TypeAlias

import re2
from pydantic import BeforeValidator, TypeAdapter

from gateway.settings.validation import fault

REGEX = "regex:"
MAX_REGEX = 1024


_ADDRESS = re.compile(r"(?i:sips?:|tel:)(?P<user>[^@]*)(@.*)?|(?P<name>[^@]*)@.*")
_NUMBER = re.compile(r"[+(0-9][0-9*#\s()./-]*")
_SEPARATORS = re.compile(r"[\s()./-]")
_SPACES = re.compile(r"[\s()/]")
"""Separators between digits. Dash and dot are not among them: an extension may be called 600-1 or 4.2."""


@dataclass(frozen=True, slots=True)
class Exact:
    """The whole text, character by character."""

    text: str

    def matches(self, subject: str) -> bool:
        """Whether the subject matches."""
        return subject == self.text

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Prefix:
    """Any text that begins with this one; written with a `*` at its end. `*` alone is any text that is not empty."""

    text: str

    def matches(self, subject: str) -> bool:
        """Whether the subject matches."""
        return subject.startswith(self.text) and subject != ""

    def __str__(self) -> str:
        return self.text + "*"


@dataclass(frozen=True, slots=True)
class Regex:
    """Any text that the expression matches as a whole."""

    text: str
    _fullmatch: Callable[[str], object] = field(repr=False, compare=False)

    def matches(self, subject: str) -> bool:
        """Whether the subject matches. Bytes of a header that are not UTF-8 count as question marks."""
        # RE2 takes UTF-8, which cannot encode the surrogates that stand for such bytes.
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
    fix = "correct the expression (RE2 syntax: no look-around, no back references)"
    if not text or len(text) > MAX_REGEX:
        raise fault(f"a regular expression needs 1 to {MAX_REGEX} characters", "write it after regex:")
    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(text, options)
    except re2.error as error:
        reason = error.args[0]
        raise fault(f"not a regular expression: {reason.decode(errors='replace')}", fix) from None
    except UnicodeEncodeError:
        raise fault("not text", fix) from None
    return Regex(text, compiled.fullmatch)


def doubt(pattern: Pattern) -> tuple[str, str] | None:
    """Why no called or calling number can match, and what to write instead; None when one can."""
    if isinstance(pattern, Regex):
        return None
    text, tail = pattern.text, "*" if isinstance(pattern, Prefix) else ""
    address = _ADDRESS.fullmatch(text)
    if address is not None:
        user = (address["user"] or address["name"] or "") + ("" if "@" in text else tail)
        return "a number comes without sip: and host", f'write "{user or "*"}"'
    if _NUMBER.fullmatch(text) and (_SEPARATORS.search(text) if text.startswith("+") else _SPACES.search(text)):
        # The zero in brackets is dialled only within the country, without the country code.
        plain = _SEPARATORS.sub("", text.replace("(0)", "") if text.startswith("+") else text)
        return "a number comes without spaces and separators", f'write "{plain}{tail}"'
    if "*" in text and not text.startswith(("*", "#")):
        regex = ".*".join(map(re.escape, f"{text}{tail}".split("*")))
        fix = f"""write "{text.partition("*")[0]}*", or 'regex:{regex}'"""
        return "only a * at the end stands for any text, and a * before the end is the * key", fix
    return None


def _pattern(value: object) -> object:
    if isinstance(value, Exact | Prefix | Regex):
        return value
    if not isinstance(value, str):
        raise fault("not text", 'write a pattern, as "+4930*"')
    return pattern(str(value))


PATTERN: TypeAdapter[Pattern] = TypeAdapter(Annotated[Exact | Prefix | Regex, BeforeValidator(_pattern)])
"""Validates one pattern of a file."""
