"""The caller hears themselves, with as little between as can be."""

from __future__ import annotations

from gateway.agents.agent import Call
from media.leg import Pcm, PlayoutFullError

_WINDOW_FRAMES = 25
"""Half a second: how often it is looked whether frames wait that need not."""

_LOOKED_AT_FRAMES = 6
"""What was never used in these last ones of a window is no reserve against jitter, but delay."""

_MUCH_MS = 2**31


class EchoAgent:
    """Plays every frame as it comes, by a plain call: no task wakes.

    A hiccup (of the network, of the machine) leaves frames waiting that would wait for the rest of the call. As many as
    were waiting all the time are left out then.
    """

    def __init__(self) -> None:
        self.frames_refused = 0
        """Frames that the leg had no room for: the wire did not take them."""
        self.frames_skipped = 0
        """Frames left out to catch up."""
        self._call: Call | None = None
        self._frames = 0
        self._least_queued_ms = _MUCH_MS
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
        self._least_queued_ms = min(self._least_queued_ms, call.queued_ms)
        if self._frames == _WINDOW_FRAMES:
            self._surplus_frames = self._least_queued_ms * call.rate_hz // (len(pcm) * 1_000)
            self._frames, self._least_queued_ms = 0, _MUCH_MS
        return False
