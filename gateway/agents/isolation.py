"""Where an agent runs."""

from __future__ import annotations

import enum


class Isolation(enum.Enum):
    """Where a user's agent runs."""

    THREAD = "thread"
    """In a thread and event loop of its own for each call: it may block, and hurts itself alone.

    A frame heard and one said cost 350 us of CPU together (1.7 % of a core per call that does so without pause), and a
    call about 110 KB: for tens of calls.
    """
    NONE = "none"
    """On the gateway's loop, for agents that are trusted never to block: 15 us, or 6 us with `on_audio`."""
