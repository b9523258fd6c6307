"""Writes down when this machine stood still: a process of the highest priority that does nothing but wake up.

A gap in a call's sound is the gateway's fault only if the machine let it run. Prints one line for each standstill of
more than 10 ms: begin and end on CLOCK_MONOTONIC.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time

STEP_S = 0.002
STANDSTILL_S = 0.010


def main() -> None:
    """Watch until killed."""
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(2))
    before_s = time.monotonic()
    while True:
        time.sleep(STEP_S)
        now_s = time.monotonic()
        if now_s - before_s > STANDSTILL_S:
            sys.stdout.write(f"{before_s:.4f} {now_s:.4f}\n")
            sys.stdout.flush()
        before_s = now_s


if __name__ == "__main__":
    main()
