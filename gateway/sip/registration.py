"""Registration with one trunk, as a pure core: answers, losses and timers in, what stands and what to do next out.

PJSIP sends the REGISTER and answers the digest challenge; when to renew and whether and when to try again is decided
here, because a wrong password, a forbidden account and a busy registrar each want another patience.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

_UNAUTHORIZED, _FORBIDDEN, _PROXY_AUTH = 401, 403, 407
_RENEW_BEFORE_S = 60.0
"""Longer than a transaction takes to find that nobody answers (32 s, timer F), so that there is time for another."""
_MAX_RETRY_AFTER_S = 3600.0
"""A registrar that asks for more is asked again all the same: it may be an error, and nobody else would try."""
_MAX_EXPIRES_S = 86400
"""A registration that was granted for longer is renewed all the same: who grants years may forget within a day."""

_FIXES = {
    401: "the registrar refused user or password; check `user`, `auth_user`, `password` and `realm`",
    403: "the registrar forbids this account; ask the carrier whether it is active and allowed from here",
    404: "the registrar does not know this user; check `user`",
    407: "the proxy refused user or password; check `user`, `auth_user`, `password` and `realm`",
    408: "the registrar did not answer; check `registrar`, `transport` and the firewall",
    423: "the registrar wants a longer `expires` than it said it would take",
    503: "the registrar cannot be reached or is overloaded; it is tried again",
}
_NO_ADDRESS = (
    "no address was found for the registrar; check `registrar` and `proxy`, "
    "and this machine's name servers or `nameservers`"
)
_NOTHING_GRANTED = "the registrar registered nobody; check `user` and `domain`, and ask the carrier about the account"


_DNS = "PJLIB_UTIL_EDNS"
"""In the text of each of PJSIP's own errors of names. There was no answer then, whatever status PJSIP gives it."""


class State(Enum):
    """Where the registration stands."""

    REGISTERING = "registering"
    REGISTERED = "registered"
    FAILED = "failed"
    UNREGISTERED = "unregistered"


@dataclass(frozen=True, slots=True)
class Registration:
    """What an operator sees of a trunk, and what is to be done next."""

    state: State
    why: str = ""
    """What went wrong since it last was registered, and what would fix it."""
    expires_s: int = 0
    """What the registrar granted, while it is registered."""
    failures: int = 0
    """Attempts in a row."""
    losses: int = 0
    """Connections in a row that were lost soon after they had registered."""
    next_in_s: float | None = None
    """When the next REGISTER is due, counted from what led here; None while one is under way, or none is wanted."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait between attempts."""

    first_s: float = 2.0
    max_s: float = 300.0

    def backoff_s(self, times: int) -> float:
        """How long to wait after so many failures in a row."""
        return min(self.first_s * 2.0 ** min(times - 1, 30), self.max_s)


REGISTERING = Registration(State.REGISTERING)


def attempted(before: Registration) -> Registration:
    """The registration when a REGISTER is sent: one that stands goes on until its time runs out."""
    state = State.REGISTERED if before.state is State.REGISTERED else State.REGISTERING
    return replace(before, state=state, next_in_s=None)


def answered(  # noqa: PLR0913 - the facts of one answer
    before: Registration,
    *,
    code: int,
    reason: str,
    expires_s: int,
    retry_after_s: int | None,
    patience: Patience,
    unanswerable: str = "",
    wanted: bool = True,
) -> Registration:
    """The registration after an answer to REGISTER, or after none came (408) or none could be sent (503).

    A success that grants no time is one only when the registration was to be taken back, and not `wanted`.
    `unanswerable` says why a challenge got no answer, in place of the commonest cause of a refusal.
    """
    granted = code // 100 == 2
    if granted and expires_s <= 0 and not wanted:
        return Registration(State.UNREGISTERED)
    if granted and expires_s > 0:
        expires_s = min(expires_s, _MAX_EXPIRES_S)
        losses = 0 if before.state is State.REGISTERED else before.losses
        renew_in_s = expires_s - min(_RENEW_BEFORE_S, expires_s / 2)
        return Registration(State.REGISTERED, expires_s=expires_s, losses=losses, next_in_s=renew_in_s)
    failures = before.failures + 1
    fix = _NOTHING_GRANTED if granted else unanswerable or _FIXES.get(code, "the registrar refused")
    if retry_after_s is not None and retry_after_s > _MAX_RETRY_AFTER_S:
        fix += f"; it asked for {retry_after_s} s of patience and gets an hour"
    return Registration(
        State.FAILED,
        why=f"{_NO_ADDRESS} ({reason})" if _DNS in reason else f"{code} {reason}: {fix}",
        failures=failures,
        losses=before.losses,
        next_in_s=_wait_s(code, failures, retry_after_s, patience),
    )


def connection_lost(before: Registration, *, held_s: float, patience: Patience) -> Registration:
    """The registration after the connection was lost on which it had held for this long: made anew at once.

    Once, that is: a registrar that closes every connection must not be asked again as fast as it answers.
    """
    if before.state is not State.REGISTERED:
        return before
    losses = before.losses + 1 if held_s < patience.max_s else 1
    wait_s = 0.0 if losses == 1 else patience.backoff_s(losses - 1)
    return Registration(
        State.REGISTERING,
        why="the connection to the registrar was lost; a registrar that closes idle connections wants `transport: udp`",
        losses=losses,
        # Where a renewal is under way, its answer comes, be it that it could not be sent.
        next_in_s=wait_s if before.next_in_s is not None else None,
    )


def ran_out(before: Registration) -> Registration:
    """The registration when the time that was granted is over."""
    if before.state is not State.REGISTERED:
        return before
    return replace(before, state=State.REGISTERING, why=f"it was not renewed in time: {_FIXES[408]}", expires_s=0)


def _wait_s(code: int, failures: int, retry_after_s: int | None, patience: Patience) -> float:
    if retry_after_s is not None:
        return max(min(float(retry_after_s), _MAX_RETRY_AFTER_S), patience.first_s)
    backoff_s = patience.backoff_s(failures)
    if code in (_UNAUTHORIZED, _PROXY_AUTH, _FORBIDDEN):
        # A registrar may lock an account out that knocks with a wrong password: be slow, but do not give up,
        # since the fix may be made on its side.
        return min(backoff_s * 4, patience.max_s)
    return backoff_s
