"""What an agent's `run` may return: how the dialplan continues, and results for later agents and the record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

MAX_RESULTS = 32
MAX_NAME = 64
MAX_VALUE = 1_024
"""In characters, like `MAX_NAME`: results are facts for a record, not documents."""


@dataclass(frozen=True, slots=True)
class Done:
    """The dialplan continues with its next step. Returning None means the same, without results."""

    results: Mapping[str, str] = field(default_factory=dict)
    """At most 32; names have at most 64 characters, values at most 1,024. Later agents get them in `call.results`."""

    def __post_init__(self) -> None:
        """Check the results and store a copy that cannot change.

        Raises:
            TypeError, ValueError: results are not text, too many or too long.
        """
        object.__setattr__(self, "results", checked(self.results))


@dataclass(frozen=True, slots=True)
class GoTo:
    """The dialplan continues with another route. If there is no such route, the agent has failed (`on_error`)."""

    route: str
    results: Mapping[str, str] = field(default_factory=dict)
    """Like the results of `Done`."""

    def __post_init__(self) -> None:
        """Check the results and store a copy that cannot change.

        Raises:
            TypeError, ValueError: the route is not a name, or the results are not valid for `Done`.
        """
        _check_text("the route", self.route, MAX_NAME)
        object.__setattr__(self, "results", checked(self.results))


@dataclass(frozen=True, slots=True)
class TransferTo:
    """Transfer the caller to somebody else. Not possible yet: the agent has failed then (`on_error`)."""

    target: str
    """A number or a SIP address."""
    results: Mapping[str, str] = field(default_factory=dict)
    """Like the results of `Done`."""

    def __post_init__(self) -> None:
        """Check the results and store a copy that cannot change.

        Raises:
            TypeError, ValueError: the target is not text, or the results are not valid for `Done`.
        """
        _check_text("the target", self.target, MAX_VALUE)
        object.__setattr__(self, "results", checked(self.results))


Outcome: TypeAlias = Done | GoTo | TransferTo


def outcome_of(returned: object) -> Outcome:
    """Convert what `run` returned to an outcome.

    Raises:
        TypeError: it is not an outcome.
    """
    match returned:
        case None:
            return DONE
        case Done() | GoTo() | TransferTo():
            return returned
        case _:
            kind = type(returned).__name__
            raise TypeError(f"run returned {kind}, which is not an outcome: return None, Done, GoTo or TransferTo")


def merged(earlier: Mapping[str, str], later: Mapping[str, str]) -> Mapping[str, str]:
    """Merge results of two agents: for equal names the later one counts; the last `MAX_RESULTS` are kept."""
    both = {name: value for name, value in earlier.items() if name not in later} | dict(later)
    return MappingProxyType(dict(list(both.items())[-MAX_RESULTS:]))


def checked(results: Mapping[str, str]) -> Mapping[str, str]:
    """Check results and return a copy that cannot change.

    Raises:
        TypeError, ValueError: they are not text, too many or too long.
    """
    if not isinstance(results, Mapping):
        raise TypeError(f"results are {type(results).__name__}: give a mapping of text to text")
    copy = dict(results)
    if len(copy) > MAX_RESULTS:
        raise ValueError(f"there are {len(copy)} results: give {MAX_RESULTS} at most")
    for name, value in copy.items():
        _check_text("the name of a result", name, MAX_NAME)
        if not isinstance(value, str):
            raise TypeError(f"the result {name!r} is {type(value).__name__}: write it as text")
        if len(value) > MAX_VALUE:
            raise ValueError(f"the result {name!r} has {len(value)} characters: give {MAX_VALUE} at most")
    return MappingProxyType(copy)


def _check_text(what: str, text: object, longest: int) -> None:
    if not isinstance(text, str):
        raise TypeError(f"{what} is {type(text).__name__}: give text")
    if not 0 < len(text) <= longest:
        raise ValueError(f"{what} has {len(text)} characters: give 1 to {longest}")


DONE = Done()
