"""Detects an agent that says nothing although the caller has finished speaking and waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from media.conversation.events import DeadAirError
from media.conversation.floor import BargeInSettings
from media.conversation.playout import Playout

LEAST_SPEECH_MS = 250
"""Shorter speech may be a cough, to which nobody expects an answer; a spoken "yes" is longer."""


class DeadAir:
    """Watches one conversation. For the asyncio thread only."""

    __slots__ = (
        "_began_s",
        "_fail",
        "_least_turn_s",
        "_limit_s",
        "_loop",
        "_on_hold",
        "_playout",
        "_said",
        "_timer",
        "_waits",
    )

    def __init__(
        self, limit_s: float, settings: BargeInSettings, playout: Playout, fail: Callable[[DeadAirError], object]
    ) -> None:
        """`fail` is called when the agent says nothing for `limit_s` after a turn of the caller."""
        self._limit_s = limit_s
        # The start of a turn is reported after `min_speech` of speech, and its end after `end_silence` of silence.
        self._least_turn_s = (LEAST_SPEECH_MS - settings.min_speech_ms + settings.end_silence_ms) / 1_000
        self._playout = playout
        self._fail = fail
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._began_s = 0.0
        self._said = 0
        self._on_hold = False
        self._waits = False
        """Whether the caller's turn was not answered when the call was put on hold, or has ended since."""

    def on_speech_started(self) -> None:
        """The caller speaks: the agent may be silent."""
        self._began_s = self._loop.time()
        self.close()

    def on_speech_ended(self) -> None:
        """The caller has finished: the agent's turn."""
        self.close()
        if not self._playout.speaking and self._loop.time() - self._began_s >= self._least_turn_s:
            self._said = self._playout.accepted_samples
            self._wait()

    def _wait(self) -> None:
        if self._on_hold:
            self._waits = True
        else:
            self._timer = self._loop.call_later(self._limit_s, self._on_limit)

    def on_held(self) -> None:
        """The caller does not wait for an answer: it has put the call on hold."""
        self._waits = self._timer is not None
        self._on_hold = True
        self.close()

    def on_resumed(self) -> None:
        """The caller is back, and waits again."""
        self._on_hold = False
        if self._waits:
            self._waits = False
            self._wait()

    def _on_limit(self) -> None:
        self._timer = None
        if self._playout.accepted_samples == self._said and not self._playout.speaking:
            self._fail(DeadAirError(f"it said nothing for {self._limit_s:g} s after the caller had finished"))

    def close(self) -> None:
        """Stop waiting."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
