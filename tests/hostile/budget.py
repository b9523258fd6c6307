"""How long each attack lasts, and what its random choices begin with.

`HOSTILE_SECONDS` (5) and `HOSTILE_SEED` (1) in the environment; `make test-hostile SECONDS=600 SEED=7` sets them.
"""

from __future__ import annotations

import os
import random
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = float(os.environ.get("HOSTILE_SECONDS", "5"))
SEED = int(os.environ.get("HOSTILE_SEED", "1"))


def dice(attack: str) -> random.Random:
    """Random choices of one attack: the same in every run with this seed."""
    return random.Random(f"{SEED} {attack}")


def rounds(per_s: float, seconds: float = SECONDS) -> Iterator[int]:
    """Counts up at this pace until the time is over; late rounds are made up for."""
    begin_s = time.monotonic()
    number = 0
    while time.monotonic() < begin_s + seconds:
        yield number
        number += 1
        time.sleep(max(0.0, begin_s + number / per_s - time.monotonic()))
