"""The header fields of a received SIP message, from its text.

PJSIP has already parsed the message, so it is well formed; the functions here only split it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gateway.header_names import fold_headers, spellings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MAX_HEADERS = 200
_LINE_END = re.compile(r"\r?\n")
"""Only the line end of SIP: with str.splitlines(), a display name that contains U+2028 could begin a new header."""
_BODY = re.compile(r"\r?\n\r?\n")
_SPACES = re.compile(r"[ \t]+")
_DESCRIPTION = "application/sdp"
_PART = re.compile(
    rf"^(?:{'|'.join(spellings('content-type'))})[ \t]*:[ \t]*{_DESCRIPTION}[ \t]*(?:;|\r?$)",
    re.MULTILINE | re.IGNORECASE,
)
_TOKEN = re.compile(r"[A-Za-z0-9.!%*_+`'~-]+")
"""RFC 3261 section 25.1. A name with letters that look like these, or become these in lower case, is no header."""


def as_text(said: str) -> str:
    """A peer's text from pjsua2, with a question mark for each byte that is not UTF-8.

    pjsua2 returns such bytes as lone surrogates. They cannot be encoded, matched by RE2, or passed back to pjsua2.
    """
    return said.encode(errors="replace").decode()


def parse_headers(message: str) -> Mapping[str, tuple[str, ...]]:
    """All header fields of a SIP message by header key (`gateway.header_names`), values in order.

    Folded lines are joined (RFC 3261 section 7.3.1). Lists in one field are not split: only some headers allow it.
    At most 200 fields are read.
    """
    head = as_text(_BODY.split(message, maxsplit=1)[0])
    lines = _LINE_END.split(re.sub(r"\r?\n[ \t]+", " ", head))[1:]
    return fold_headers(_fields(lines[:_MAX_HEADERS]))


def _fields(lines: list[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        name, colon, value = line.partition(":")
        name = name.strip(" \t")
        if colon and _TOKEN.fullmatch(name):
            yield name, value.strip()


def request_uri(message: str) -> str:
    """The Request-URI of a SIP request, or "" when its first line is not a request line.

    PJSIP takes any number of spaces and tabs around the words of the line (RFC 3261 has one space).
    """
    words = _SPACES.split(as_text(_LINE_END.split(message, maxsplit=1)[0]).strip(" \t"))
    return words[1] if len(words) == 3 else ""  # method, Request-URI, version


def has_description(message: str, headers: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether the body of a SIP message is a session description, or has one as a part (RFC 5621)."""
    content = body(message)
    if not content.strip():
        return False
    content_type = headers.get("content-type", ("",))[0]
    kind = content_type.partition(";")[0].strip().lower()
    return kind == _DESCRIPTION or (kind.startswith("multipart/") and _PART.search(content) is not None)


def body(message: str) -> str:
    """The body of a SIP message."""
    return "".join(_BODY.split(message, maxsplit=1)[1:])


def requires(headers: Mapping[str, tuple[str, ...]], option: str) -> bool:
    """Whether a Require header names an extension by its option tag (RFC 3261 section 20.32)."""
    return any(option == tag.strip().lower() for value in headers.get("require", ()) for tag in value.split(","))


def host_of(address: str) -> str:
    """The IP address of "192.0.2.1:5060" or "[2001:db8::1]:5060"."""
    return address.rpartition(":")[0].strip("[]")


def retry_after_s(headers: Mapping[str, tuple[str, ...]]) -> int | None:
    """Seconds of a Retry-After header (RFC 3261 section 20.33), or None."""
    for value in headers.get("retry-after", ()):
        match = re.match(r"\d{1,9}", value)
        if match:
            return int(match.group())
    return None
