"""Every benchmark can be started; what it measures is asked of whole calls (tests/e2e/test_bench.py)."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[3] / "bench"
NOT_OURS = {"pipecat_side"}
"""Runs in pipecat's own environment."""


@pytest.mark.parametrize("name", sorted({path.stem for path in BENCH.glob("*.py")} - NOT_OURS))
def test_it_is_whole(name: str) -> None:
    importlib.import_module(f"bench.{name}")
