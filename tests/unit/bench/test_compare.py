"""Two trees beside each other: what is compared, and what a tree that fails says."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from bench.compare import compared, figure, prepare, run
from bench.errors import MeasurementFailedError

if TYPE_CHECKING:
    from pathlib import Path

    from bench.provenance import Json


def test_medians_their_spread_and_ours_by_theirs() -> None:
    theirs: list[dict[str, Json]] = [{"echo_ms": {"p99": ms}} for ms in (40, 20, 30)]
    ours: list[dict[str, Json]] = [{"echo_ms": {"p99": ms}} for ms in (15, 12, 60)]
    assert compared(["echo_ms.p99"], theirs, ours) == {
        "echo_ms.p99": {
            "base": 30.0, "here": 15.0, "ratio": 0.5, "spread_base": [20.0, 40.0], "spread_here": [12.0, 60.0]
        }
    }  # fmt: skip


def test_what_one_tree_does_not_measure_is_not_compared() -> None:
    assert compared(["gap_ms.p99"], [{}], [{"gap_ms": {"p99": 3}}]) == {"gap_ms.p99": None}


def test_nothing_lost_before_has_no_ratio() -> None:
    told = compared(["loss_pct"], [{"loss_pct": 0}], [{"loss_pct": 0.5}])
    assert isinstance(told, dict)
    assert told["loss_pct"] == {
        "base": 0.0, "here": 0.5, "ratio": None, "spread_base": [0.0, 0.0], "spread_here": [0.5, 0.5]
    }  # fmt: skip


def test_a_truth_is_no_figure() -> None:
    assert figure({"realtime": True}, "realtime") is None


def test_a_tree_measures_itself(tmp_path: Path) -> None:
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    (tmp_path / "own.py").write_text("print('begin')\nprint('{\"loss_pct\": 0.5}')\n")
    assert run(tmp_path, ["own"]) == {"loss_pct": 0.5}
    (tmp_path / "own.py").write_text("raise SystemExit('no gateway')\n")
    with pytest.raises(MeasurementFailedError, match="no gateway"):
        run(tmp_path, ["own"])


def test_a_commit_that_is_not_there_is_said() -> None:
    with pytest.raises(MeasurementFailedError, match="no-such-commit"):
        prepare("no-such-commit")
