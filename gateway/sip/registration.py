"""Registration with one trunk, as a pure core: answers and timers in, what to do next out.

PJSIP sends the REGISTER, answers the digest challenge and refreshes; whether and when to try again after a failure
is decided here, because a wrong password, a forbidden account and a busy registrar each want another patience.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

_UNAUTHORIZED, _FORBIDDEN, _PROXY_AUTH = 401, 403, 407

_MENDS = {
    401: "the registrar refused user or password; check `user`, `auth_user`, `password` and `realm`",
    403: "the registrar forbids this account; ask the carrier whether it is active and allowed from here",
    404: "the registrar does not know this user; check `user`",
    407: "the proxy refused user or password; check `user`, `auth_user`, `password` and `realm`",
    408: "the registrar did not answer; check `registrar`, `transport` and the firewall",
    423: "the registrar wants a longer `expires` than it said it would take",
    503: "the registrar cannot be reached or is overloaded; it is tried again",
}


class State(Enum):
    """Where the registration stands."""

    REGISTERING = "registering"
    REGISTERED = "registered"
    FAILED = "failed"
    UNREGISTERED = "unregistered"


@dataclass(frozen=True, slots=True)
class Registration:
    """What an operator sees of a trunk."""

    state: State
    why: str = ""
    """For FAILED: what happened and what would mend it."""
    expires_s: int = 0
    failures: int = 0
    """In a row."""
    retry_in_s: float | None = None
    """For FAILED: when the next attempt comes, counted from the answer."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait between attempts."""

    first_s: float = 2.0
    max_s: float = 300.0


REGISTERING = Registration(State.REGISTERING)


def answered(  # noqa: PLR0913 - the facts of one answer
    before: Registration, *, code: int, reason: str, expires_s: int, retry_after_s: int | None, patience: Patience
) -> Registration:
    """The registration after an answer to REGISTER, or after none came (408) or none could be sent (503)."""
    if code // 100 == 2:
        return Registration(State.REGISTERED if expires_s > 0 else State.UNREGISTERED, expires_s=expires_s)
    failures = before.failures + 1
    return Registration(
        State.FAILED,
        why=f"{code} {reason}: {_MENDS.get(code, 'the registrar refused')}",
        failures=failures,
        retry_in_s=_wait_s(code, failures, retry_after_s, patience),
    )


def _wait_s(code: int, failures: int, retry_after_s: int | None, patience: Patience) -> float:
    if retry_after_s is not None:
        return max(float(retry_after_s), patience.first_s)
    backoff_s = min(patience.first_s * 2.0 ** min(failures - 1, 30), patience.max_s)
    if code in (_UNAUTHORIZED, _PROXY_AUTH, _FORBIDDEN):
        # A registrar may lock an account out that knocks with a wrong password: be slow, but do not give up,
        # since the mend may be made on its side.
        return min(backoff_s * 4, patience.max_s)
    return backoff_s
