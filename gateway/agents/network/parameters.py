"""Templates in the settings: texts for a backend with facts of the call, such as `{from}` or `{header:X-Tier}`."""

from __future__ import annotations

import re
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BeforeValidator

from gateway.header_names import header_key
from gateway.settings.validation import fault
from gateway.settings.values import Text
from media.conversation.events import CallInfo

_FACTS = ("from", "to", "route", "trunk", "id", "call_id", "codec")
_NAMED = ("header", "result")
_PLACE = re.compile(r"\{([a-z_]+)(?::([^{}\s]+)|:)?\}")


def _template(text: str) -> str:
    for place in _PLACE.finditer(text):
        fact, name = place[1], place[2]
        if fact in _NAMED and not name:
            raise fault(f"{place[0]} lacks the name of a {fact}", f"write {{{fact}:name}}")
        if (fact not in _FACTS or name is not None) and fact not in _NAMED:
            known = ", ".join([*(f"{{{one}}}" for one in _FACTS), *(f"{{{one}:name}}" for one in _NAMED)])
            raise fault(f"{place[0]} is not a fact of a call", f"use {known}")
    return text


Template: TypeAlias = Annotated[Text, AfterValidator(_template)]
"""Text with facts of the call in braces; other braces are text."""

MAX_PROSE = 32_000


def _prose(value: object) -> object:
    if not isinstance(value, str):
        return value
    if not value.strip():
        raise fault("it is empty", "write something, or remove the key")
    if len(value) > MAX_PROSE:
        raise fault(f"longer than {MAX_PROSE} characters", "shorten it")
    return str(value).strip()


Prose: TypeAlias = Annotated[str, BeforeValidator(_prose), AfterValidator(_template)]
"""A `Template` with any number of lines, for a model."""


def filled(template: str, info: CallInfo) -> str:
    """Fill a template for one call. A fact that the call does not have is empty; a header gives its first value."""

    def fact(place: re.Match[str]) -> str:
        match place[1]:
            case "header":
                return next(iter(info.headers.get(header_key(place[2]), ())), "")
            case "result":
                return info.results.get(place[2], "")
            case "from":
                return info.from_
            case name:
                return str(getattr(info, name))

    return _PLACE.sub(fact, template)
