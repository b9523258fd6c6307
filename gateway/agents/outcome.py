"""What an agent's `run` may return: how the dialplan goes on, and what later steps and the record should know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

MAX_RESULTS = 32
MAX_NAME = 64
MAX_VALUE = 1_024
"""In characters, as `MAX_NAME`: results are facts for a record, not documents."""


@dataclass(frozen=True, slots=True)
class Done:
    """The dialplan goes on with its next step; to return None says the same, without results."""

    results: Mapping[str, str] = field(default_factory=dict)
    """At most 32, by names of at most 64 characters, each at most 1,024; later agents have them in `call.results`."""

    def __post_init__(self) -> None:
        """Take a copy that nobody changes.

        Raises:
            TypeError, ValueError: results are not text, too many or too long.
        """
        object.__setattr__(self, "results", checked(self.results))


@dataclass(frozen=True, slots=True)
class GoTo:
    """The dialplan goes on with another route. If it has no such route, the agent has failed (`on_error`)."""

    route: str
    results: Mapping[str, str] = field(default_factory=dict)
    """As those of `Done`."""

    def __post_init__(self) -> None:
        """Take a copy that nobody changes.

        Raises:
            TypeError, ValueError: the route is no name, or the results are wrong as with `Done`.
        """
        _check_text("the route", self.route, MAX_NAME)
        object.__setattr__(self, "results", checked(self.results))


@dataclass(frozen=True, slots=True)
class TransferTo:
    """The caller shall talk to somebody else. Not possible yet: the agent has failed then (`on_error`)."""

    target: str
    """A number or a SIP address."""
    results: Mapping[str, str] = field(default_factory=dict)
    """As those of `Done`."""

    def __post_init__(self) -> None:
        """Take a copy that nobody changes.

        Raises:
            TypeError, ValueError: the target is no text, or the results are wrong as with `Done`.
        """
        _check_text("the target", self.target, MAX_VALUE)
        object.__setattr__(self, "results", checked(self.results))


Outcome: TypeAlias = Done | GoTo | TransferTo


def outcome_of(returned: object) -> Outcome:
    """What `run` returned, as an outcome.

    Raises:
        TypeError: it is none.
    """
    match returned:
        case None:
            return DONE
        case Done() | GoTo() | TransferTo():
            return returned
        case _:
            kind = type(returned).__name__
            raise TypeError(f"run returned {kind}, which is no outcome: return None, Done, GoTo or TransferTo")


def merged(earlier: Mapping[str, str], later: Mapping[str, str]) -> Mapping[str, str]:
    """The results of several agents of one call: the later one counts; past `MAX_RESULTS` the oldest are dropped."""
    both = {name: value for name, value in earlier.items() if name not in later} | dict(later)
    return MappingProxyType(dict(list(both.items())[-MAX_RESULTS:]))


def checked(results: Mapping[str, str]) -> Mapping[str, str]:
    """A copy of results that nobody changes.

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
