"""The caller hears themselves, with as little between as can be."""

from __future__ import annotations

import math
from typing import Literal

from gateway.agents.agent import Call, Speech
from gateway.agents.kinds.settings import AgentSettings, Maker
from media.leg import Pcm, PlayoutFullError

_QUIET = 33
"""The loudest sample of a frame that nobody hears: -60 dBFS."""

_WINDOW_FRAMES = 25
"""Half a second: how often it is looked whether frames wait that need not."""

_LOOKED_AT_FRAMES = 6
"""What was never used in these last ones of a window is no reserve against jitter, but delay."""


class EchoSettings(AgentSettings):
    """Says back what it hears. It has no `barge_in`: it would be interrupted by what it repeats."""

    kind: Literal["echo"] = "echo"

    def maker(self, name: str) -> Maker:  # noqa: ARG002 - it needs nothing of the machine
        """Makes the agent of one call."""
        return Maker(EchoAgent)


class EchoAgent:
    """Plays every frame as it comes, by a plain call: no task wakes.

    A hiccup (of the network, of the machine) leaves frames waiting that would wait for the rest of the call. As many as
    waited all the time are left out then, but for half a frame: that is jitter's. Silence goes first, and speech only
    when half a second brought none.

    A caller that sends nothing while silent is heard late, as silence is made up in its place when it is sure; by then
    the wire has been silent by itself. Played as well, it would hold up the words behind it.
    """

    def __init__(self) -> None:
        self.frames_refused = 0
        """Frames that the leg had no room for: the wire did not take them."""
        self.frames_skipped = 0
        """Frames left out to catch up."""
        self._call: Call | None = None
        self._answer: Speech | None = None
        self._frames = 0
        self._least_wait_ms = math.inf
        self._surplus_frames = 0
        self._patience_frames = 0

    async def run(self, call: Call) -> None:
        """Echo until the call ends."""
        self._call = call
        self._answer = call.utterance()  # one for all: to whom a frame belongs need not be asked for each
        call.on_audio(self.on_frame)
        try:
            await call.until_over()
        finally:
            call.on_audio(None)
            self._call = self._answer = None

    def on_frame(self, pcm: Pcm) -> None:
        """Play it."""
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
        """Whether this frame is one too many."""
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
        """As above, once frames were too many: those that have been used since are not."""
        self._patience_frames -= 1
        self._surplus_frames = min(self._surplus_frames, _surplus_frames(call.wait_ms, _length_ms(call, pcm)))
        if self._surplus_frames == 0 or (self._patience_frames > 0 and not _is_quiet(pcm)):
            return False
        self._surplus_frames -= 1
        self.frames_skipped += 1
        return True


def _is_quiet(pcm: Pcm) -> bool:
    # Nearly every frame of speech is known by its first sample, at no cost.
    return abs(pcm.item(0)) <= _QUIET and pcm.max() <= _QUIET and pcm.min() >= -_QUIET


def _length_ms(call: Call, pcm: Pcm) -> float:
    return len(pcm) * 1_000 / call.rate_hz


def _surplus_frames(wait_ms: float, frame_ms: float) -> int:
    return max(int(wait_ms / frame_ms - 0.5), 0)
