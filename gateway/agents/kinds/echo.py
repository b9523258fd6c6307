"""An echo with the least possible delay."""

from __future__ import annotations

import math
from typing import Literal

from gateway.agents.agent import Call, Speech
from gateway.agents.kinds.settings import AgentSettings, Maker
from media.leg import Pcm, PlayoutFullError

_QUIET = 33
"""The largest sample of a frame that counts as silent: -60 dBFS."""

_WINDOW_FRAMES = 25
"""Half a second: how often the agent checks if more frames wait than needed."""

_LOOKED_AT_FRAMES = 6
"""The check uses these last frames of a window: what waits during all of them is delay, not a jitter reserve."""


class EchoSettings(AgentSettings):
    """Repeats what it hears. It has no `barge_in`: the speech that it repeats would interrupt it."""

    kind: Literal["echo"] = "echo"

    def maker(self, name: str) -> Maker:  # noqa: ARG002 - it needs nothing on the machine
        """Return what makes the agent of one call."""
        return Maker(EchoAgent)


class EchoAgent:
    """Plays every frame as it comes, by a plain call: no task is woken.

    After a delay in the network or the machine, extra frames wait in the queue, and would wait for the rest of the
    call. The agent skips as many frames as waited all the time, except for half a frame as a jitter reserve. It skips
    silent frames first, and speech only if no silent frame came for half a second.

    If the caller sends nothing while silent, the engine fills in silence, but only after a delay; during this delay
    nothing was queued, so the caller already heard silence. Playing the filled silence too would delay the next words.
    """

    def __init__(self) -> None:
        self.frames_refused = 0
        """Frames that were refused because the leg's queue was full: it was not played out."""
        self.frames_skipped = 0
        """Frames skipped to reduce the delay."""
        self._call: Call | None = None
        self._answer: Speech | None = None
        self._frames = 0
        self._least_wait_ms = math.inf
        self._surplus_frames = 0
        self._patience_frames = 0

    async def run(self, call: Call) -> None:
        """Echo until the call ends."""
        self._call = call
        self._answer = call.utterance()  # one for all frames: so the epoch need not be found for each frame
        call.on_audio(self.on_frame)
        try:
            await call.until_over()
        finally:
            call.on_audio(None)
            self._call = self._answer = None

    def on_frame(self, pcm: Pcm) -> None:
        """Play a frame, or skip it."""
        call, answer = self._call, self._answer
        if call is None or answer is None:
            return
        if (_is_quiet(pcm) and call.wait_ms < _length_ms(call, pcm)) or self._catch_up(call, pcm):
            return
        try:
            answer.play(pcm)
        except PlayoutFullError:
            self.frames_refused += 1

    def _catch_up(self, call: Call, pcm: Pcm) -> bool:
        """Whether to skip this frame."""
        if self._surplus_frames > 0:
            return self._leave_out(call, pcm)
        self._frames += 1
        if self._frames <= _WINDOW_FRAMES - _LOOKED_AT_FRAMES:
            return False
        self._least_wait_ms = min(self._least_wait_ms, call.wait_ms)
        if self._frames == _WINDOW_FRAMES:
            self._surplus_frames = _surplus_frames(self._least_wait_ms, _length_ms(call, pcm))
            self._patience_frames = _WINDOW_FRAMES
            self._frames, self._least_wait_ms = 0, math.inf
        return False

    def _leave_out(self, call: Call, pcm: Pcm) -> bool:
        """Whether to skip this frame while there is a surplus; frames used since the check are not surplus."""
        self._patience_frames -= 1
        self._surplus_frames = min(self._surplus_frames, _surplus_frames(call.wait_ms, _length_ms(call, pcm)))
        if self._surplus_frames == 0 or (self._patience_frames > 0 and not _is_quiet(pcm)):
            return False
        self._surplus_frames -= 1
        self.frames_skipped += 1
        return True


def _is_quiet(pcm: Pcm) -> bool:
    # For nearly every frame of speech, the first sample is enough to decide, at no cost.
    return abs(pcm.item(0)) <= _QUIET and pcm.max() <= _QUIET and pcm.min() >= -_QUIET


def _length_ms(call: Call, pcm: Pcm) -> float:
    return len(pcm) * 1_000 / call.rate_hz


def _surplus_frames(wait_ms: float, frame_ms: float) -> int:
    return max(int(wait_ms / frame_ms - 0.5), 0)
