"""Pydantic's errors as problems: in our words, with their place in the file, and a fix."""

from __future__ import annotations

import re
import types
import typing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticCustomError

from gateway.settings.document import GLUED, Document, PathStep, dotted, no_space
from gateway.settings.problem import Problem, choice, nearest, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

_UNIONS = {typing.Union, types.UnionType}
SECRET_KEYS = frozenset({"password"})


def fault(message: str, fix: str = "", *, hides_value: bool = False) -> PydanticCustomError:
    """The error a validator raises: says what is wrong with the value, and what to write instead.

    With `hides_value`, the value is not shown: it is a secret, or contains one.
    """
    # Pydantic takes braces in the message as fields of a template, so the texts are passed in the context.
    return PydanticCustomError("offhook", "{message}", {"message": message, "fix": fix, "hides": hides_value})


@dataclass(frozen=True, slots=True)
class ErrorLocation:
    """The location of a pydantic error, without the tags of discriminated unions."""

    path: tuple[PathStep, ...]
    keys: tuple[str, ...]
    """The keys allowed in place of the path's last key; empty when that is not a fixed set."""
    kinds: tuple[str, ...]
    """The values of `kind` allowed there, for a discriminated union."""
    is_key: bool
    """Whether the last key itself is faulty, and not its value."""


def problems(
    error: ValidationError, model: object, document: Document, prefix: Sequence[PathStep] = ()
) -> Iterator[Problem]:
    """Translate every error of a validation of `model` against the part of the document at `prefix`."""
    for detail in error.errors(include_url=False):
        if detail["type"] == "too_short" and detail["input"]:
            continue  # its items are faulty, and reported one by one
        found = locate(model, detail["loc"])
        path = (*prefix, *found.path)
        if detail["type"] == "union_tag_invalid":
            path = (*path, "kind")
        if document.hides(path) and detail["type"] != "extra_forbidden":
            continue  # it may be only a consequence of a value that could not be read
        glued = _glued(detail, found)
        message, fix = _words(detail, found) if glued is None else no_space(glued)
        place = document.place(path, of_key=found.is_key or detail["type"] == "extra_forbidden")
        yield Problem(
            document.name, place, dotted(path), message, None if glued else _value(detail, path, document), fix
        )


def locate(model: object, loc: Sequence[PathStep]) -> ErrorLocation:
    """Follow a location through the model's types, leaving out the tags of discriminated unions."""
    path: list[PathStep] = []
    keys: tuple[str, ...] = ()
    current = _bare(model)
    for step in loc:
        tagged = _member(current, step)
        if tagged is not None:
            current = tagged
            continue
        if step == "[key]":
            break
        path.append(step)
        keys, current = _below(current, step)
    return ErrorLocation(tuple(path), keys, tuple(kind for kind, _ in _members(current)), is_key="[key]" in loc)


def _below(current: object, step: PathStep) -> tuple[tuple[str, ...], object]:
    if isinstance(current, type) and issubclass(current, BaseModel):
        fields = {field.alias or name: field for name, field in current.model_fields.items()}
        known = fields.get(str(step))
        return tuple(fields), _bare(known.annotation) if known else None
    arguments = get_args(current)
    if get_origin(current) is dict:
        return (), _bare(arguments[1])
    if get_origin(current) in {list, tuple} and arguments:
        return (), _bare(arguments[0])
    return (), None


def _bare(annotation: Any) -> object:
    """The type without Annotated and Optional, which do not appear in a location."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in _UNIONS:
        members = [member for member in get_args(annotation) if member is not type(None)]
        if len(members) == 1:
            return _bare(members[0])
    return annotation


def _member(current: object, step: PathStep) -> object | None:
    """The member of a discriminated union that a tag stands for."""
    return next((member for kind, member in _members(current) if kind == step), None)


def _members(current: object) -> Iterator[tuple[str, object]]:
    """The members of a union of models that `kind` discriminates."""
    if get_origin(current) not in _UNIONS:
        return
    for member in map(_bare, get_args(current)):
        if isinstance(member, type) and issubclass(member, BaseModel) and "kind" in member.model_fields:
            for kind in get_args(member.model_fields["kind"].annotation):
                yield kind, member


def _value(detail: ErrorDetails, path: Sequence[PathStep], document: Document) -> str | None:
    """The value to show, as written; None if the key itself is wrong or missing, for a whole section, for a secret."""
    kind, section = detail["type"], isinstance(detail["input"], dict | list)
    hides = detail.get("ctx", {}).get("hides", False) or SECRET_KEYS & {str(step) for step in path}
    if kind in {"extra_forbidden", "missing", "union_tag_invalid"} or hides:
        return None
    if section and kind in {"offhook", "union_tag_not_found"}:
        return None
    written = document.written(path)
    return shown(detail["input"] if written is None else written)


_MAPPING_WANTED = frozenset({"dict_type", "model_type", "model_attributes_type"})
_FIXED = {
    "missing": ("the key is missing", "add it"),
    **dict.fromkeys(("bool_parsing", "bool_type"), ("neither true nor false", "write true or false")),
    **dict.fromkeys(
        ("int_parsing", "int_type", "int_from_float", "int_parsing_size"), ("not a whole number", "write digits only")
    ),
    **dict.fromkeys(("float_parsing", "float_type", "finite_number"), ("not a number", "write a number such as 0.5")),
    "string_type": ("not text", "write one value, in quotes if it has special characters"),
    **dict.fromkeys(("list_type", "tuple_type"), ("not a list", "write [a, b], or one line with a dash for each")),
    **dict.fromkeys(
        _MAPPING_WANTED,
        ("not a mapping", "write keys with values, such as key: value"),
    ),
    "too_short": ("it is empty", "write at least one"),
}
"""Message and fix for those of pydantic's error types that need no details."""


def _words(detail: ErrorDetails, found: ErrorLocation) -> tuple[str, str]:
    """What is wrong, and the fix."""
    context = detail.get("ctx", {})
    kind = detail["type"]
    if kind == "union_tag_not_found" and not isinstance(detail["input"], dict):
        kind = "dict_type"
    if kind in _FIXED:
        return _FIXED[kind]
    limit = next((key for key in _LIMITS if key in context), None)
    match kind:
        case "offhook":
            words = str(context["message"]), str(context["fix"])
        case "extra_forbidden":
            words = "there is no such key", choice(found.keys, str(found.path[-1]))
        case "literal_error" | "enum":
            allowed = str(context["expected"]).replace("'", "").replace(" or ", ", ").split(", ")
            words = "not one of the words allowed here", _word_of(allowed, str(detail["input"]))
        case "union_tag_not_found":
            words = 'the key "kind" is missing', f"add kind: with one of {', '.join(found.kinds)}"
        case "union_tag_invalid" if detail["input"]["kind"] is None:
            words = "it is empty", f"write one of {', '.join(found.kinds)}"
        case "union_tag_invalid":
            words = f"there is no such kind as {shown(context['tag'])}", choice(found.kinds, str(context["tag"]))
        case _ if limit is not None:
            broken, fix = _LIMITS[limit]
            words = broken.format(context[limit]), fix.format(context[limit])
        case _:
            words = detail["msg"], ""
    return words


def _glued(detail: ErrorDetails, found: ErrorLocation) -> re.Match[str] | None:
    """A key and its value without a space between them, in place of a mapping or a key. The value may be a secret."""
    if detail["type"] == "extra_forbidden":
        glued = GLUED.match(str(found.path[-1]))
        return glued if glued is not None and glued[1] in found.keys else None
    given = detail["input"]
    wanted = detail["type"] in _MAPPING_WANTED or detail["type"] == "union_tag_not_found"
    return GLUED.match(given) if wanted and isinstance(given, str) else None


_LIMITS = {
    "ge": ("less than {:g}", "write {:g} or more"),
    "le": ("more than {:g}", "write {:g} or less"),
    "gt": ("not more than {:g}", "write more than {:g}"),
    "lt": ("not less than {:g}", "write less than {:g}"),
    "max_length": ("it has more than {} entries", "keep {} of them at most"),
}
"""What is wrong, and the fix, by the key under which pydantic names the limit that a value violates."""


def _word_of(allowed: Sequence[str], written: str) -> str:
    """The fix for a word that is not in a short list: all words, as the most similar may be wrong (G722 for G729)."""
    if len(allowed) == 1:
        return f"write {allowed[0]}"
    near = nearest(allowed, written)
    meant = "" if near is None else f'did you mean "{near}"? '
    return f"{meant}use one of {', '.join(allowed)}"
