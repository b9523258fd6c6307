"""How many files the gateway may open."""

from __future__ import annotations

import resource

import pytest
from structlog.testing import capture_logs

from gateway.cli.run import _allow_files

Limits = tuple[int, int]


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[Limits]:
    """The limits that were in force, the last one being so now; of this process they are not."""
    had = [(1024, 4096)]

    def take(_which: int, limits: Limits) -> None:
        had.append(limits)

    monkeypatch.setattr(resource, "getrlimit", lambda _which: had[-1])
    monkeypatch.setattr(resource, "setrlimit", take)
    return had


def test_the_process_takes_all_the_files_that_it_may_have(limits: list[Limits]) -> None:
    with capture_logs() as logs:
        _allow_files(1000)
    assert limits[-1] == (4096, 4096)
    assert logs == []


def test_too_few_for_the_calls_is_a_warning(limits: list[Limits]) -> None:
    with capture_logs() as logs:
        _allow_files(1500)
    assert limits[-1] == (4096, 4096)
    assert [(log["log_level"], log["event"], log["problem"]) for log in logs] == [
        (
            "warning",
            "configuration.doubtful",
            (
                "limits.calls: 1500 calls need 4500 open files, but the process may have only 4096; "
                "set LimitNOFILE=4500 or more in the unit (in a shell: ulimit -n 4500), or lower limits.calls"
            ),
        )
    ]


def test_no_limit_is_never_too_few(limits: list[Limits]) -> None:
    limits.append((1024, resource.RLIM_INFINITY))
    with capture_logs() as logs:
        _allow_files(4000)
    assert logs == []
