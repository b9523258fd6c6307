"""Where an agent runs."""

from __future__ import annotations

import enum


class Isolation(enum.Enum):
    """Where a user's agent runs."""

    THREAD = "thread"
    """In a thread and event loop of its own for each call: it may block without disturbing other calls.

    A frame heard and one said take three wake-ups, several times the CPU of `none`, and each call the memory of a
    thread and a loop, a few hundred KB: for tens of calls.
    """
    NONE = "none"
    """On the gateway's loop, for agents that are trusted never to block."""
