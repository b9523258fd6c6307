"""Durations shared through a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.histogram import BIN_US, BINS, DurationFile, Percentiles, percentiles

if TYPE_CHECKING:
    from pathlib import Path


def test_what_one_writes_another_reads(tmp_path: Path) -> None:
    read = DurationFile.create(tmp_path / "durations")
    written = DurationFile.open(tmp_path / "durations")
    before = read.snapshot()
    for ms in range(1, 101):
        written.record(ms * 1_000)
    found = percentiles(read.snapshot() - before)
    half_bin_ms = BIN_US / 2_000
    assert found == Percentiles(50 + half_bin_ms, 99 + half_bin_ms, 100 + half_bin_ms, 100)


def test_the_first_and_the_last_bin_take_what_is_beyond(tmp_path: Path) -> None:
    durations = DurationFile.create(tmp_path / "durations")
    durations.record(-5)
    durations.record(10**9)
    bins = durations.snapshot()
    assert (bins[0], bins[BINS - 1], bins.sum()) == (1, 1, 2)
    assert percentiles(bins).capped_at == BINS * BIN_US / 1_000


def test_nothing_counted_is_none(tmp_path: Path) -> None:
    durations = DurationFile.create(tmp_path / "durations")
    assert percentiles(durations.snapshot()) == Percentiles(None, None, None, 0)


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"x")
    with pytest.raises(ValueError, match=r".+"):
        DurationFile.open(tmp_path / "short")
