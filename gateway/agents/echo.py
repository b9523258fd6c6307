"""The caller hears themselves, with as little between as can be."""

from __future__ import annotations

import math

from gateway.agents.agent import Call
from media.leg import Pcm, PlayoutFullError

_WINDOW_FRAMES = 25
"""Half a second: how often it is looked whether frames wait that need not."""

_LOOKED_AT_FRAMES = 6
"""What was never used in these last ones of a window is no reserve against jitter, but delay."""


class EchoAgent:
    """Plays every frame as it comes, by a plain call: no task wakes.

    A hiccup (of the network, of the machine) leaves frames waiting that would wait for the rest of the call. As many as
    waited all the time are left out then, but for half a frame: that is jitter's.
    """

    def __init__(self) -> None:
        self.frames_refused = 0
        """Frames that the leg had no room for: the wire did not take them."""
        self.frames_skipped = 0
        """Frames left out to catch up."""
        self._call: Call | None = None
        self._frames = 0
        self._least_wait_ms = math.inf
        self._surplus_frames = 0

    async def run(self, call: Call) -> None:
        """Echo until the call ends."""
        self._call = call
        call.on_audio(self.on_frame)
        try:
            await call.until_over()
        finally:
            call.on_audio(None)
            self._call = None

    def on_frame(self, pcm: Pcm) -> None:
        """Play it."""
        call = self._call
        if call is None or self._catch_up(call, pcm):
            return
        try:
            call.play(pcm)
        except PlayoutFullError:
            self.frames_refused += 1

    def _catch_up(self, call: Call, pcm: Pcm) -> bool:
        """Whether this frame is one too many."""
        if self._surplus_frames > 0:
            self._surplus_frames -= 1
            self.frames_skipped += 1
            return True
        self._frames += 1
        if self._frames <= _WINDOW_FRAMES - _LOOKED_AT_FRAMES:
            return False
        self._least_wait_ms = min(self._least_wait_ms, call.wait_ms)
        if self._frames == _WINDOW_FRAMES:
            frame_ms = len(pcm) * 1_000 / call.rate_hz
            self._surplus_frames = max(int(self._least_wait_ms / frame_ms - 0.5), 0)
            self._frames, self._least_wait_ms = 0, math.inf
        return False
