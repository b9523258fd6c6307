"""The parts of an INVITE that a dialplan can match: the called number, the caller, the headers.

Called number: the user part of the Request-URI. Carriers that call a registered account often put the account's own
name there (the registered Contact), and the dialled number only in To. So with `auto`, To is used if the Request-URI
names only our account. Caller: the user part of P-Asserted-Identity when the call came over a trunk whose identities
are trusted (RFC 3325), else of From; `anonymous` when the caller asked for it with Privacy, even if the carrier sends
the identity. The headers are not changed: operators can still read it there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Mapping

ANONYMOUS = "anonymous"
"""The caller whose identity is withheld (RFC 3261 section 8.1.1.3)."""
_QUOTED = re.compile(r'\s*"(?:[^"\\]|\\.)*"', re.DOTALL)
_SEPARATORS = re.compile(r"[-.()]")


@dataclass(frozen=True, slots=True)
class Invite:
    """The facts of one call that routes can match."""

    to: str
    """The called number or name, without `sip:` and host."""
    from_: str
    """The caller's number or name; empty if there is none, `anonymous` if it is withheld."""
    trunk: str | None
    """The trunk that the call came over; None if it did not come over a trunk."""
    headers: Mapping[str, tuple[str, ...]]
    """Every header: values in order of appearance, by header key (`gateway.header_names`)."""


def invite(  # noqa: PLR0913 - the facts of one INVITE and of its trunk
    request_uri: str,
    headers: Mapping[str, tuple[str, ...]],
    *,
    trunk: str | None = None,
    account: str | None = None,
    called_number: Literal["auto", "request-uri", "to"] = "auto",
    trust_identity: bool = False,
) -> Invite:
    """Extract from an INVITE what routes can match.

    Args:
        request_uri: as received, `sip:600@192.0.2.1`.
        headers: all of them, values by header key.
        trunk: the name of the trunk it came over.
        account: the user with which that trunk registered.
        called_number: the trunk's setting of that name.
        trust_identity: the trunk's setting of that name; False when there is no trunk.
    """
    dialled, to = user_part(request_uri), _user(headers, "to")
    names_us = account is not None and dialled in {account, ""}
    by_to = bool(to) and (called_number == "to" or (called_number == "auto" and names_us))
    asserted = _user(headers, "p-asserted-identity") if trust_identity and trunk is not None else ""
    caller = ANONYMOUS if _withheld(headers) else asserted or _user(headers, "from")
    return Invite(to if by_to else dialled, caller, trunk, headers)


def _withheld(headers: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether the caller asked to withhold its identity (RFC 3323 section 4.2, RFC 3325 section 9.3)."""
    asked = {word.strip().lower() for value in headers.get("privacy", ()) for word in re.split("[;,]", value)}
    return not asked.isdisjoint({"id", "user"})


def _user(headers: Mapping[str, tuple[str, ...]], name: str) -> str:
    """The first user part in a header's values, or nothing."""
    return next((user for value in headers.get(name, ()) if (user := user_part(value))), "")


def user_part(address: str) -> str:
    """The user of `"A" <sip:+4930;x=1@host;p>;tag=1`, here `+4930`, or a tel URI's number; empty when there is none.

    Escapes are decoded (`%23` is `#`). Parameters, a password, and a tel URI's visual separators (RFC 3966, 5.1.1) are
    left out.
    """
    uri = _without_name(address).strip()
    scheme, _, rest = uri.partition(":")
    if scheme.lower() == "tel":
        return _SEPARATORS.sub("", rest.partition(";")[0])
    if scheme.lower() not in {"sip", "sips"}:
        return ""
    user, at, _ = rest.partition("@")
    if not at:
        return ""
    return unquote(user.partition(";")[0].partition(":")[0])


def _without_name(address: str) -> str:
    """What the angle brackets of a name-addr hold (RFC 3261 section 25.1); the whole of anything else.

    The caller writes it: its time must grow with its length, not with the square of it.
    """
    quoted = _QUOTED.match(address)
    after_name = quoted.end() if quoted else 0
    begin = address.find("<", after_name)
    end = address.find(">", begin)
    between = address[after_name:begin]
    if begin < 0 or end < 0 or (between.strip() if quoted else '"' in between):
        return address
    return address[begin + 1 : end]
