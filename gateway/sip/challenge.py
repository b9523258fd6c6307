"""Who gets a trunk's password, and why a question for it was not answered: a pure core (RFC 3261 section 22, RFC 7616).

PJSIP makes the digest. What it answers is decided here: left alone, it answers whoever a request of ours was sent to,
and with `realm: "*"` for any realm, so that a caller could have a digest by challenging our BYE.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

REGISTER = "REGISTER"
ANY_REALM = "*"
_ALGORITHMS = ("md5", "sha-256", "sha-512-256")
"""What PJSIP computes. The first is what is meant where none is named (RFC 2617 section 3.2.1)."""
_PARAMETER = re.compile(r'([\w-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^\s,]+)')


class Hosts(Protocol):
    """Whose addresses are a trunk's own."""

    def is_host(self, trunk: str, ip: str) -> bool:
        """Whether this address is the trunk's."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a 401 or 407 asks for one realm."""

    method: str
    """Of the request that was challenged."""
    realm: str
    source: str
    """The IP address that the challenge came from."""
    sent_to: str
    """The IP address that the request went to."""
    answered: bool
    """The request held an answer for this realm already."""
    stale: bool
    """The challenge says of that answer that its nonce was too old."""


@dataclass(frozen=True, slots=True)
class Realms:
    """The realms that a trunk's password is for."""

    wanted: str
    """The setting: one realm, or "*"."""
    registers: bool
    known: frozenset[str] = frozenset()
    """Of "*": what the first registration was made with."""

    def include(self, method: str, realm: str) -> bool:
        """Whether the password is for this realm.

        "*" is any until a registration has told which. A call of a trunk that has yet to register must wait for that,
        one of a trunk that never does cannot.
        """
        if self.wanted != ANY_REALM:
            return realm.lower() == self.wanted.lower()
        if self.known:
            return realm in self.known
        return method == REGISTER or not self.registers

    def registered_with(self, realms: frozenset[str]) -> Realms:
        """The same, after a registration for which these realms were answered."""
        return self if self.known or self.wanted != ANY_REALM else replace(self, known=realms)


def may_answer(challenge: Challenge, realms: Realms, trunk: str, hosts: Hosts) -> bool:
    """Whether PJSIP may answer with the trunk's password.

    A REGISTER goes where the settings say, and only who has seen it can answer to it. Any other request goes where a
    caller's Contact and Record-Route say: both the way there and the challenge must be the trunk's own, since either
    alone can be forged. A refused answer is not tried with a newer nonce, unless that was all that was wrong.
    """
    if challenge.answered and not challenge.stale:
        return False
    if not realms.include(challenge.method, challenge.realm):
        return False
    if challenge.method == REGISTER:
        return True
    return hosts.is_host(trunk, challenge.sent_to) and hosts.is_host(trunk, challenge.source)


def unanswerable(headers: Mapping[str, tuple[str, ...]], realms: Realms, *, has_password: bool) -> str:
    """Why none of a registrar's challenges was answered, and what to do; "" when one was, or there was none."""
    challenges = [
        value for name in ("www-authenticate", "proxy-authenticate") for value in headers.get(name, ()) if value
    ]
    digests = [challenge for challenge in challenges if challenge.lower().startswith("digest ")]
    reasons = [_reason(challenge, realms) for challenge in digests or challenges]
    if "" not in reasons:
        return next(iter(reasons), "")
    return "" if has_password else "the registrar asks for a password; add `password_file`"


def _reason(challenge: str, realms: Realms) -> str:
    scheme, _, rest = challenge.partition(" ")
    if scheme.lower() != "digest":
        return f"the registrar asks for {_shown(scheme)}, which is not spoken; ask the carrier for Digest"
    values = {name.lower(): value.strip('"') for name, value in _PARAMETER.findall(rest)}
    algorithm = values.get("algorithm", _ALGORITHMS[0])
    if algorithm.lower() not in _ALGORITHMS:
        return f"the registrar asks for a digest by {_shown(algorithm)}, which is not spoken; ask the carrier for MD5"
    qops = {qop.strip().lower() for qop in values.get("qop", "auth").split(",")}
    if qops.isdisjoint({"auth", ""}):
        return f"the registrar asks for qop {_shown(values['qop'])}, which is not spoken; ask the carrier for qop auth"
    realm = values.get("realm", "")
    if not realms.include(REGISTER, realm):
        mine = realms.wanted if realms.wanted != ANY_REALM else " or ".join(sorted(realms.known))
        learned = "" if realms.wanted != ANY_REALM else ", where it was registered first"
        return f"the registrar asks for realm {_shown(realm)}, and the password is for {mine}{learned}; check `realm`"
    return ""


def _shown(value: str) -> str:
    """A peer's word for a line of log."""
    return repr(value[:64])
