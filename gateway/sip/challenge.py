"""Which challenges are answered with a trunk's password, and why others are not (RFC 3261 section 22, RFC 7616).

A pure core. PJSIP computes the digest; this module decides whether it may. By default PJSIP answers a challenge from
any host that our request was sent to, and with `realm: "*"` for any realm: a caller could get a digest by challenging
our BYE.
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
"""The algorithms that PJSIP supports. The first is the default if a challenge names none (RFC 2617 section 3.2.1)."""
_PARAMETER = re.compile(r'(?<![\w-])([\w-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^\s,]+)')


class Hosts(Protocol):
    """Knows the addresses of each trunk."""

    def is_host(self, trunk: str, ip: str) -> bool:
        """Whether this address belongs to the trunk."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """The challenge for one realm in a 401 or 407."""

    method: str
    """The method of the challenged request."""
    realm: str
    source: str
    """The IP address that the challenge came from."""
    sent_to: str
    """The IP address that the request went to."""
    answered: bool
    """Whether the request already contained an answer for this realm."""
    stale: bool
    """Whether the challenge says that the nonce of that answer is too old."""


@dataclass(frozen=True, slots=True)
class Realms:
    """The realms that a trunk's password is for."""

    wanted: str
    """The setting: one realm, or "*"."""
    registers: bool
    known: frozenset[str] = frozenset()
    """With "*": the realms that the first successful registration used."""

    def include(self, method: str, realm: str) -> bool:
        """Whether the password is for this realm.

        "*" accepts any realm until the first successful registration, and then only the realms that it used. For
        requests in calls of a trunk that registers, it accepts none before that.
        """
        if self.wanted != ANY_REALM:
            return realm.lower() == self.wanted.lower()
        if self.known:
            return realm in self.known
        return method == REGISTER or not self.registers

    def registered_with(self, realms: frozenset[str]) -> Realms:
        """The realms after a successful registration in which challenges for these realms were answered."""
        return self if self.known or self.wanted != ANY_REALM else replace(self, known=realms)


def may_answer(challenge: Challenge, realms: Realms, trunk: str, hosts: Hosts) -> bool:
    """Whether PJSIP may answer with the trunk's password.

    A REGISTER goes to the host in the settings, and only a host that has seen it can respond to it. Any other request
    goes where the caller's Contact and Record-Route say: both its destination and the challenge's source must be hosts
    of the trunk, since each of them alone can be forged. A refused answer is not repeated with a newer nonce, unless
    the challenge says that only the nonce was wrong.
    """
    if challenge.answered and not challenge.stale:
        return False
    if not realms.include(challenge.method, challenge.realm):
        return False
    if challenge.method == REGISTER:
        return True
    return hosts.is_host(trunk, challenge.sent_to) and hosts.is_host(trunk, challenge.source)


def unanswerable(headers: Mapping[str, tuple[str, ...]], realms: Realms, *, has_password: bool) -> str:
    """Why none of a registrar's challenges could be answered, and the fix; "" if one could, or there was none."""
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
        return f"the registrar asks for {_shown(scheme)}, which is not supported; ask the carrier for Digest"
    values = {name.lower(): value.strip('"') for name, value in _PARAMETER.findall(rest)}
    algorithm = values.get("algorithm", _ALGORITHMS[0])
    if algorithm.lower() not in _ALGORITHMS:
        return f"the registrar asks for algorithm {_shown(algorithm)}, which is not supported; ask the carrier for MD5"
    qops = {qop.strip().lower() for qop in values.get("qop", "auth").split(",")}
    if qops.isdisjoint({"auth", ""}):
        qop = _shown(values["qop"])
        return f"the registrar asks for qop {qop}, which is not supported; ask the carrier for qop auth"
    realm = values.get("realm", "")
    if not realms.include(REGISTER, realm):
        ours = realms.wanted if realms.wanted != ANY_REALM else " or ".join(sorted(realms.known))
        learned = "" if realms.wanted != ANY_REALM else ", which the first registration used"
        return f"the registrar asks for realm {_shown(realm)}, but the password is for {ours}{learned}; check `realm`"
    return ""


def _shown(value: str) -> str:
    """A peer's text, shortened and quoted for a log line."""
    return repr(value[:64])
