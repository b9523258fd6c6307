"""Registration with one trunk, as a pure core: from answers, losses and timers to the state and the next step.

PJSIP sends the REGISTER and answers the digest challenge. This module decides when to renew, and when to try again: a
wrong password, a forbidden account and a busy registrar need different waiting times.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

_UNAUTHORIZED, _FORBIDDEN, _PROXY_AUTH = 401, 403, 407
_RENEW_BEFORE_S = 60.0
"""Longer than a transaction needs to find that nobody answers (32 s, timer F): there is time for a second attempt."""
_MAX_RETRY_AFTER_S = 3600.0
"""The limit of Retry-After. A longer time may be an error of the registrar, and nobody else would try again."""
_MAX_EXPIRES_S = 86400
"""The limit of a granted time. A registrar that grants years may lose the registration within a day."""

_FIXES = {
    401: "the registrar refused user or password; check `user`, `auth_user`, `password_file` and `realm`",
    403: "the registrar forbids this account; ask the carrier whether it is active and allowed from here",
    404: "the registrar does not know this user; check `user`",
    407: "the proxy refused user or password; check `user`, `auth_user`, `password_file` and `realm`",
    408: "the registrar did not answer; check `registrar`, `transport` and the firewall",
    423: "the registrar refuses even the `expires` that it asked for; set a longer `expires`",
    503: "the registrar cannot be reached or is overloaded; the gateway tries again",
}
_NO_ADDRESS = (
    "no address was found for the registrar; check `registrar` and `proxy`, "
    "and this machine's name servers or `nameservers`"
)
_NOTHING_GRANTED = "the registrar registered nothing; check `user` and `domain`, and ask the carrier about the account"


_DNS = "PJLIB_UTIL_EDNS"
"""In the text of each of PJSIP's errors in look-ups of names. No answer came then, even if PJSIP gives a status."""


class State(Enum):
    """The state of the registration."""

    REGISTERING = "registering"
    REGISTERED = "registered"
    FAILED = "failed"
    UNREGISTERED = "unregistered"


@dataclass(frozen=True, slots=True)
class Registration:
    """What an operator sees of a trunk, and when the next REGISTER is due."""

    state: State
    why: str = ""
    """What went wrong since it was last registered, and the fix."""
    expires_s: int = 0
    """The time that the registrar granted, while it is registered."""
    failures: int = 0
    """Failed attempts in a row."""
    losses: int = 0
    """How many connections in a row were lost soon after they had registered."""
    next_in_s: float | None = None
    """Time from the event that led here to the next REGISTER; None while one is under way, or none is wanted."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait between attempts."""

    first_s: float = 2.0
    max_s: float = 300.0

    def backoff_s(self, times: int) -> float:
        """How long to wait after this number of failures in a row."""
        return min(self.first_s * 2.0 ** min(times - 1, 30), self.max_s)


REGISTERING = Registration(State.REGISTERING)


def attempted(before: Registration) -> Registration:
    """The registration when a REGISTER is sent: an existing registration stays valid until its time is over."""
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
    """The registration after an answer to REGISTER, or if there was no answer (408) or it could not be sent (503).

    A 2xx response that grants no time is a success only if the REGISTER removed the registration (not `wanted`).
    `unanswerable` says why no challenge could be answered, and replaces the most common cause of a refusal.
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
        fix += f"; it asked to wait {retry_after_s} s, but the gateway waits only an hour"
    return Registration(
        State.FAILED,
        why=f"{_NO_ADDRESS} ({reason})" if _DNS in reason else f"{code} {reason}: {fix}",
        failures=failures,
        losses=before.losses,
        next_in_s=_wait_s(code, failures, retry_after_s, patience),
    )


def connection_lost(before: Registration, *, held_s: float, patience: Patience) -> Registration:
    """The registration after its TCP connection was lost, `held_s` after it was last registered or renewed.

    After the first loss it registers again at once. After more losses in a row it waits: if a registrar closes every
    connection, the gateway must not register again and again without a pause.
    """
    if before.state is not State.REGISTERED:
        return before
    losses = before.losses + 1 if held_s < patience.max_s else 1
    wait_s = 0.0 if losses == 1 else patience.backoff_s(losses - 1)
    return Registration(
        State.REGISTERING,
        why="the connection to the registrar was lost; if the registrar closes idle connections, use `transport: udp`",
        losses=losses,
        # If a renewal is under way, an event for it will follow, even if it could not be sent.
        next_in_s=wait_s if before.next_in_s is not None else None,
    )


def ran_out(before: Registration) -> Registration:
    """The registration when the granted time is over."""
    if before.state is not State.REGISTERED:
        return before
    return replace(before, state=State.REGISTERING, why=f"it was not renewed in time: {_FIXES[408]}", expires_s=0)


def _wait_s(code: int, failures: int, retry_after_s: int | None, patience: Patience) -> float:
    if retry_after_s is not None:
        return max(min(float(retry_after_s), _MAX_RETRY_AFTER_S), patience.first_s)
    backoff_s = patience.backoff_s(failures)
    if code in (_UNAUTHORIZED, _PROXY_AUTH, _FORBIDDEN):
        # A registrar may lock an account after too many wrong passwords: be slow. But do not give up, since the fix
        # may be made at the registrar.
        return min(backoff_s * 4, patience.max_s)
    return backoff_s
