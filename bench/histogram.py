"""Durations counted into equal bins in a file, so that one process writes them and another reads them at any time."""

from __future__ import annotations

import math
import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

BIN_US = 10
BINS = 100_000
"""1 s; longer durations share the last bin."""

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - a fresh directory is made in it
"""Where to keep the files: on a disk, a page that is being written back makes who counts in it wait for 50 ms."""

_BIN_TYPE = np.dtype(np.uint64)
SIZE_BYTES = BINS * _BIN_TYPE.itemsize


class DurationFile:
    """A histogram shared through a mapped file. Writing is a plain memory access: cheap enough for every frame."""

    __slots__ = ("_bins", "_map")

    def __init__(self, mapped: mmap.mmap) -> None:
        """Use `create` or `open`."""
        self._map = mapped
        self._bins = memoryview(mapped).cast("Q")

    @classmethod
    def create(cls, path: Path) -> Self:
        """A new, empty one."""
        with path.open("wb") as file:
            file.truncate(SIZE_BYTES)
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> Self:
        """One that exists.

        Raises:
            OSError: it cannot be opened.
            ValueError: it is no such file.
        """
        with path.open("r+b") as file:
            return cls(mmap.mmap(file.fileno(), SIZE_BYTES))

    def record(self, duration_us: int) -> None:
        """Count one duration. One writer at a time."""
        index = duration_us // BIN_US
        self._bins[0 if index < 0 else min(index, BINS - 1)] += 1

    def snapshot(self) -> npt.NDArray[np.uint64]:
        """All bins as they are now, copied."""
        return np.frombuffer(self._map, dtype=_BIN_TYPE).copy()


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Milliseconds, by nearest rank, to the middle of a bin; all None when nothing was counted."""

    p50: float | None
    p99: float | None
    max: float | None
    samples: int
    capped_at: float | None = None
    """Longer durations were counted as this one; None when there were none."""


def percentiles(bins: npt.NDArray[np.uint64]) -> Percentiles:
    """What a histogram says."""
    seen = np.cumsum(bins)
    total = int(seen[-1])
    if total == 0:
        return Percentiles(None, None, None, 0)

    def at(percent: float) -> float:
        rank = max(1, math.ceil(total * percent / 100))
        index = int(np.searchsorted(seen, rank))
        return round((index + 0.5) * BIN_US / 1_000, 3)

    capped_at = BINS * BIN_US / 1_000 if bins[-1] else None
    return Percentiles(at(50), at(99), at(100), total, capped_at)
