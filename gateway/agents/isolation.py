"""Where an agent runs: in its own thread, or on the gateway's loop."""

from __future__ import annotations

import enum


class Isolation(enum.Enum):
    """Where a user's agent runs."""

    THREAD = "thread"
    """Each call has its own thread and event loop: the agent may block without affecting other calls.

    One frame in each direction costs three wake-ups, several times the CPU time of `none`, and each call needs the
    memory of a thread and a loop, a few hundred KB. Suitable for tens of calls.
    """
    NONE = "none"
    """On the gateway's loop, for agents that are known never to block."""
