"""Tells the floor control when the caller speaks and when not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from media.conversation.floor import Action, BargeInSettings, FloorControl
from media.leg import Leg, Pcm
from media.speech.detection import new_detection
from media.speech.own_voice import OwnVoice

NO_FRAME_MS = 200
"""If packets stop while the caller speaks (loss, silence suppression), the caller counts as silent after this time."""


class Ear:
    """Finds voice in the caller's frames, reports it to the floor control, and passes on the actions that it returns.

    For the asyncio thread only.
    """

    __slots__ = (
        "_act",
        "_detection",
        "_floor",
        "_last_frame_s",
        "_loop",
        "_own_voice",
        "_watch",
    )

    def __init__(
        self, leg: Leg, settings: BargeInSettings, floor: FloorControl, act: Callable[[tuple[Action, ...]], object]
    ) -> None:
        """Listen to the leg's frames, inside a running loop, until `close`."""
        self._loop = asyncio.get_running_loop()
        self._own_voice = OwnVoice(leg.rate_hz, leg.sent)
        leg.sent(self._own_voice.history_samples)  # the first call makes the leg keep its history
        self._detection = new_detection(
            settings.detector, leg.rate_hz, settings.aggressiveness, settings.floor_dbfs, self._on_verdict
        )
        self._floor = floor
        self._act = act
        self._watch: asyncio.TimerHandle | None = None
        self._last_frame_s = 0.0

    def hear(self, pcm: Pcm) -> None:
        """Take one frame."""
        self._own_voice.hear(pcm)
        self._detection.hear(pcm)

    def _on_verdict(self, voice: bool, duration_ms: int) -> None:  # noqa: FBT001 - once per frame; a keyword costs more
        if voice:
            voice = not self._own_voice.explains_voice()
        else:
            self._own_voice.hear_no_voice()
        if voice or self._floor.busy:
            self._on_activity(voice, duration_ms)

    def close(self) -> None:
        """Stop listening."""
        self._detection.close()
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _on_activity(self, voice: bool, duration_ms: int) -> None:  # noqa: FBT001 - as above
        actions = self._floor.on_voice(duration_ms) if voice else self._floor.on_silence(duration_ms)
        self._last_frame_s = self._loop.time()
        if self._watch is None:
            self._watch = self._loop.call_later(NO_FRAME_MS / 1_000, self._on_watch)
        if actions:
            self._act(actions)

    def _on_watch(self) -> None:
        """Count the time without frames as silence: if packets stop, the agent must not be held for ever."""
        self._watch = None
        if not self._floor.busy:
            return
        now_s = self._loop.time()
        due_s = self._last_frame_s + NO_FRAME_MS / 1_000
        if now_s < due_s:
            self._watch = self._loop.call_at(due_s, self._on_watch)
            return
        silent_ms = round((now_s - self._last_frame_s) * 1_000)
        self._last_frame_s = now_s
        actions = self._floor.on_silence(silent_ms)
        if self._floor.busy:
            self._watch = self._loop.call_at(now_s + NO_FRAME_MS / 1_000, self._on_watch)
        self._act(actions)
