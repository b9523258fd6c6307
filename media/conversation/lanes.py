"""The two lanes of one call: urgent events overtake audio, and one consumer takes both."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Iterator

from media.conversation.events import INFORMING, AgentStalledError, Audio, Event, Hangup, Interrupted, UrgentEvent
from media.leg import Pcm

AUDIO_FRAMES_MAX = 50
"""One second of 20 ms frames: older audio is of no use to an agent that answers in real time."""

URGENT_EVENTS_MAX = 1_024
"""Far more events than a caller causes in a minute; an agent that leaves so many no longer listens."""

UNCLAIMED_EVENTS_MAX = 64
"""Events kept for an agent that does not take events yet, such as keys pressed while it starts."""


class Lanes:
    """Events and frames on their way to one agent, in bounded memory.

    When the media lane is full, it drops its oldest frame. The urgent lane never waits for audio. When it is full, it
    drops the oldest event that only informs, and counts it. If there is no such event and the agent has taken events
    before, the agent has stalled.
    For the asyncio thread only.
    """

    __slots__ = (
        "_audio",
        "_audio_max",
        "_closed",
        "_taking",
        "_urgent",
        "_urgent_max",
        "_waiter",
        "epoch",
        "epoch_taken",
        "events_dropped",
        "events_unclaimed",
        "frames_dropped",
        "frames_unclaimed",
        "hearing",
        "keys_awaited",
        "listening",
        "taken",
    )

    def __init__(self, audio_max: int = AUDIO_FRAMES_MAX, urgent_max: int = URGENT_EVENTS_MAX) -> None:
        self._audio: deque[Pcm] = deque(maxlen=audio_max)
        self._audio_max = audio_max
        self._urgent: deque[UrgentEvent] = deque()
        self._urgent_max = urgent_max
        self._taking = threading.Lock()
        """Held while the urgent lane is changed: an agent in its own thread takes events while the loop adds them."""
        self._waiter: asyncio.Future[None] | None = None
        self._closed = False
        self.hearing = False
        """Whether the agent has ever asked for a frame."""
        self.listening = False
        """Whether the agent has ever asked for an event."""
        self.epoch = 0
        """How many interruptions and stops there were."""
        self.epoch_taken = 0
        """The epoch of what the agent took last. What waits behind an `Interrupted` belongs to a later epoch."""
        self.keys_awaited = 0
        """How many of the agent's tasks wait for a key."""
        self.taken = 0
        """How many events and frames the agent has asked for."""
        self.frames_dropped = 0
        """Frames dropped because the agent takes frames, but more slowly than they come."""
        self.frames_unclaimed = 0
        """Frames dropped before the agent took a frame for the first time; also if it never takes one."""
        self.events_dropped = 0
        """Informing events dropped because the agent takes events, but left too many."""
        self.events_unclaimed = 0
        """Urgent events dropped before the agent took an event for the first time; also if it never takes one."""

    def put_audio(self, pcm: Pcm) -> None:
        """Append a frame; if the lane is full, the oldest frame is dropped and counted."""
        audio = self._audio
        if len(audio) == self._audio_max:
            if self.hearing:
                self.frames_dropped += 1
            else:
                self.frames_unclaimed += 1
        audio.append(pcm)
        if self._waiter is not None:
            self._wake()

    def put_urgent(self, event: UrgentEvent) -> None:
        """Append an event that overtakes all audio.

        Raises:
            AgentStalledError: the lane is full of events that must not be lost, and the agent has taken events before.
        """
        if self._closed:
            return
        with self._taking:
            if len(self._urgent) >= (self._urgent_max if self.listening else UNCLAIMED_EVENTS_MAX):
                self._make_room()
            self._urgent.append(event)
            if type(event) is Interrupted:
                self.epoch = event.epoch  # after the append: a reader of the new epoch finds the event that began it
        if self._waiter is not None:
            self._wake()

    def _make_room(self) -> None:
        oldest = next((at for at, event in enumerate(self._urgent) if type(event) in INFORMING), None)
        if oldest is None and self.listening:
            message = f"the agent did not take {len(self._urgent)} events: read events() while the call lasts"
            raise AgentStalledError(message)
        del self._urgent[oldest or 0]
        if self.listening:
            self.events_dropped += 1
        else:
            self.events_unclaimed += 1

    def close(self) -> None:
        """Nothing more will come. Waiting events can still be taken, `Hangup` last; waiting audio is dropped."""
        if self._closed:
            return
        with self._taking:
            self._urgent.append(Hangup())
            self._closed = True
        self._audio.clear()
        if self._waiter is not None:
            self._wake()

    def adopt(self, earlier: Lanes) -> None:
        """Take over the events and frames of earlier lanes, from which nothing was taken."""
        self._urgent.extend(earlier._urgent)
        self._audio.extend(earlier._audio)
        self._closed = earlier._closed
        self.epoch = earlier.epoch

    @property
    def full(self) -> bool:
        """Whether the media lane is full: the next frame would drop the oldest one."""
        return len(self._audio) == self._audio_max

    async def get(self) -> Event | None:
        """Take the next urgent event, or the next frame if there is none; None after the end.

        A frame is a copy: a view would keep the whole batch in memory, with the frames of all calls.

        Raises:
            RuntimeError: another coroutine of the agent already waits here.
        """
        self.hearing = self.listening = True
        self.taken += 1
        while True:
            epoch = self.epoch  # read first: meanwhile another thread may add more
            if self._urgent:
                return self._take_urgent()
            if self._closed:
                return None
            pcm = self._take_frame()
            if pcm is not None:
                self.epoch_taken = epoch
                return Audio(pcm.copy())
            await self._wait()

    def _take_frame(self) -> Pcm | None:
        if not self._audio:
            return None
        try:
            return self._audio.popleft()
        except IndexError:  # the other thread has just closed the lanes
            return None

    def _take_urgent(self) -> UrgentEvent:
        with self._taking:
            event = self._urgent.popleft()
            ahead = next((one.epoch for one in self._urgent if type(one) is Interrupted), None)
            self.epoch_taken = self.epoch if ahead is None else ahead - 1
            return event

    async def get_audio(self) -> Pcm | None:
        """Take the next frame, a copy as with `get`, and drop urgent events; None after the end."""
        self.hearing = True
        self.taken += 1
        while True:
            epoch = self.epoch  # as in `get`
            if self._urgent:
                with self._taking:
                    self._urgent.clear()
                    epoch = self.epoch
            if self._closed:
                return None
            pcm = self._take_frame()
            if pcm is not None:
                self.epoch_taken = epoch
                return pcm.copy()
            await self._wait()

    def waiting_audio(self) -> Iterator[Pcm]:
        """Take the waiting frames, not copied, until none is left."""
        while (pcm := self._take_frame()) is not None:
            yield pcm

    async def _wait(self) -> None:
        if self._waiter is not None:
            self._refuse_second()
        waiter = asyncio.get_running_loop().create_future()
        self._waiter = waiter
        try:
            await waiter
        finally:
            self._waiter = None

    @property
    def attended(self) -> bool:
        """Whether the agent waits here and there is nothing that it could take."""
        return self._waiter is not None and not self._ready()

    @property
    def behind(self) -> bool:
        """Whether the agent waits here, but does not take what has come: something blocks it."""
        return self._waiter is not None and self._ready()

    def _ready(self) -> bool:
        return bool(self._urgent or self._audio or self._closed)

    def _refuse_second(self) -> None:
        raise RuntimeError("two coroutines listen to the same call: use either hear() or events(), and only once")

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
