"""One key for each SIP header. Names have no case, and some have a short form (RFC 3261, 7.3.1 and 7.3.3)."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_COMPACT = MappingProxyType({
    "a": "accept-contact", "b": "referred-by", "c": "content-type", "d": "request-disposition", "e": "content-encoding",
    "f": "from", "i": "call-id", "j": "reject-contact", "k": "supported", "l": "content-length", "m": "contact",
    "n": "identity-info", "o": "event", "r": "refer-to", "s": "subject", "t": "to", "u": "allow-events", "v": "via",
    "x": "session-expires", "y": "identity",
})  # fmt: skip
"""Short forms, as registered with IANA (Session Initiation Protocol Parameters, Header Fields)."""


def header_key(name: str) -> str:
    """The name under which a header is kept: in lower case and written out, `subject` for `Subject` and `s`."""
    key = name.strip().lower()
    return _COMPACT.get(key, key)


def spellings(key: str) -> tuple[str, ...]:
    """Every lower-case name of a header that is kept under `key`, the key itself first."""
    return (key, *(short for short, long in _COMPACT.items() if long == key))


def fold_headers(headers: Iterable[tuple[str, str]]) -> Mapping[str, tuple[str, ...]]:
    """Names and values, as they follow each other in a message, as a mapping from header key to values in order."""
    folded: dict[str, list[str]] = {}
    for name, value in headers:
        folded.setdefault(header_key(name), []).append(value)
    return MappingProxyType({key: tuple(values) for key, values in folded.items()})
