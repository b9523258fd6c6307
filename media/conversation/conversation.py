"""One call as its agent has it: the caller's voice and keys come in, the agent's voice goes out, barge-in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from media.conversation.belonging import Belonging
from media.conversation.dead_air import DeadAir
from media.conversation.ear import Ear
from media.conversation.events import (
    AgentStalledError,
    CallEndedError,
    CallInfo,
    Drained,
    Dtmf,
    Event,
    EventKind,
    Interrupted,
    MarkReached,
    MediaSilent,
    OffHold,
    OnHold,
    Resumed,
    SpeechEnded,
    SpeechStarted,
    UrgentEvent,
    contained,
)
from media.conversation.floor import (
    Action,
    BargeIn,
    BargeInSettings,
    CutPlayout,
    FloorControl,
    Keys,
    PausePlayout,
    ResumePlayout,
)
from media.conversation.lanes import Lanes
from media.conversation.playout import MAX_AHEAD_MS, Cut, Playout
from media.conversation.streams import Stream, next_event, next_key
from media.conversation.utterance import Spoken, Utterance, speak
from media.leg import Leg, Pcm


@dataclass(slots=True)
class ConversationCounters:
    """What happened in one conversation, for the call record."""

    barge_ins_confirmed: int = 0
    barge_ins_rejected: int = 0
    turns: int = 0
    unheard_ms: int = 0


class Conversation:
    """The pipeline of one call and what its agent gets. It is the leg's listener until it is closed.

    What an agent may do is `gateway.agents.agent.Call`, and described there. A frame passes voice detection, floor
    control and the inline consumer by plain calls; no task stands in its way.

    Speech from before an interruption (or a `stop`) is refused after it, whichever code says it. A task that listens
    speaks for what it has taken last, and so do the tasks that it starts, for what it had taken then. A task that does
    not listen begins an answer by `speak` or `utterance`; its pieces belong to that answer. Everything else, such as a
    queue or a socket, carries an utterance, or the number of its epoch.

    For the asyncio thread only.
    """

    __slots__ = (
        "_belonging",
        "_consumer",
        "_dead_air",
        "_ear",
        "_end_awaited",
        "_failure",
        "_floor",
        "_hang_up",
        "_hanging_up",
        "_lanes",
        "_leg",
        "_on_hold",
        "_party_hears",
        "_playout",
        "_settings",
        "counters",
        "ended",
        "hung_up",
        "info",
        "rate_hz",
    )

    def __init__(  # noqa: PLR0913 - what a conversation can be told; all but the leg have defaults
        self,
        leg: Leg,
        info: CallInfo | None = None,
        barge_in: BargeInSettings | None = None,
        *,
        max_ahead_ms: int = MAX_AHEAD_MS,
        hang_up: Callable[[], object] | None = None,
        dead_air_s: float = 0.0,
    ) -> None:
        """Take over the leg, inside a running loop.

        Args:
            leg: whose listener it becomes.
            info: the facts of the call.
            barge_in: when the caller's voice interrupts the agent's.
            max_ahead_ms: how much of the agent's voice is queued at most.
            hang_up: called when the agent wants the call to end now.
            dead_air_s: the agent has failed when it says nothing for this long after the caller's turn; 0: never.
        """
        self._leg = leg
        self._settings = barge_in or BargeInSettings()
        self._floor = FloorControl(self._settings)
        is_off = self._settings.mode is BargeIn.OFF
        self._playout = Playout(leg, max_ahead_ms, None if is_off else self._floor.on_agent_started)
        # Nothing depends on voice detection while nobody is to be interrupted and nobody takes events.
        self._ear = None if is_off else self._new_ear()
        self._lanes = Lanes()
        self._belonging = Belonging()
        self._consumer: Callable[[Pcm], object] | None = None
        self._hang_up = hang_up
        self._hanging_up = False
        self._on_hold = False
        self._party_hears = True
        self._end_awaited = 0  # how many of the agent's tasks wait in `until_over`
        self._failure: Exception | None = None
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when nothing can be said or heard any more; to be waited for, never cancelled."""
        self.rate_hz = leg.rate_hz
        self.info = info or CallInfo()
        self.hung_up = False
        """Whether the call is over."""
        self.counters = ConversationCounters()
        self._dead_air = DeadAir(dead_air_s, self._settings, self._playout, self.fail) if dead_air_s > 0 else None
        if self._dead_air is not None:
            self.listen()
        leg.listener = self

    def _new_ear(self) -> Ear:
        return Ear(self._leg, self._settings, self._floor, self._act)

    # -- the agent hears ----------------------------------------------------------------------------------------------

    def on_audio(self, consumer: Callable[[Pcm], object] | None) -> None:
        """As `Call.on_audio`. Frames that wait already come first. A frame is a view of what came for all calls."""
        if self._consumer is _ignore:
            return
        self._consumer = consumer
        if consumer is not None:
            for pcm in self._lanes.waiting_audio():
                consumer(pcm)
                if self._consumer is not consumer:
                    return

    def hear(self) -> Stream[Pcm]:
        """As `Call.hear`."""
        return Stream(self._lanes.get_audio, self._lanes, self._belonging)

    def events(self, *, speech: bool = True) -> Stream[Event]:
        """As `Call.events`."""
        if speech:
            self.listen()
        return Stream(self._lanes.get, self._lanes, self._belonging)

    def next_event(
        self, *kinds: EventKind | type[Event], timeout_s: float | None = None
    ) -> Coroutine[Any, Any, Event | None]:
        """As `Call.next_event`."""
        return next_event(self.events().for_this_task(), kinds, timeout_s, self._lanes)

    def next_key(self, *, timeout_s: float | None = None) -> Coroutine[Any, Any, str | None]:
        """As `Call.next_key`."""
        return next_key(self.events().for_this_task(), timeout_s, self._lanes)

    def listen(self) -> None:
        """Have the caller's speech detected from now on, also if no barge-in needs it; `events` does so itself."""
        if self._ear is None and not self.over:
            self._ear = self._new_ear()

    # -- the agent speaks ---------------------------------------------------------------------------------------------

    def play(self, pcm: Pcm, mark: str | None = None) -> bool:
        """As `Call.play`."""
        return self._playout.play(pcm, mark, self._belonging.of_piece(self._playout.epoch))

    def say(self, pcm: Pcm, mark: str | None = None) -> Coroutine[Any, Any, bool]:
        """As `Call.say`; it waits while more than `max_ahead_ms` are queued."""
        # Not a coroutine itself, here and below: what it says belongs to the task that calls it, also when
        # `asyncio.wait_for` or `gather` has another task wait.
        return self._playout.say(pcm, mark, self._belonging.of_piece(self._playout.epoch))

    async def said(self) -> int:
        """As `Call.said`."""
        return await self._playout.said()

    def speak(
        self, speech: Pcm | Iterable[Pcm] | AsyncIterable[Pcm], *, keys: bool = False
    ) -> Coroutine[Any, Any, Spoken]:
        """As `Call.speak`; it asks for `max_ahead_ms` of a stream at most."""
        return speak(self.utterance(), speech, keys=keys)

    def utterance(self, epoch: int | None = None) -> Utterance:
        """As `Call.utterance`."""
        if epoch is None:
            epoch = self._belonging.of_answer(self._playout.epoch)
        return Utterance(self._playout, self._playout.new_stretch(epoch))

    def stop(self) -> int:
        """As `Call.stop`."""
        cut = self.cut()
        self._belonging.has_stopped(self._playout.epoch)
        return cut.heard_ms

    def cut(self) -> Cut:
        """As `stop`, on behalf of an agent in another thread."""
        cut = self._cut()
        self._lanes.epoch = self._playout.epoch
        self._hang_up_if_heard()
        return cut

    def confirm_interruption(self) -> bool:
        """As `Call.confirm_interruption`."""
        if not self.confirm():
            return False
        self._belonging.has_stopped(self._playout.epoch)
        return True

    def confirm(self) -> bool:
        """As `confirm_interruption`, on behalf of an agent in another thread."""
        actions = self._floor.confirm()
        self._act(actions)
        return bool(actions)

    def reject_interruption(self) -> bool:
        """As `Call.reject_interruption`."""
        actions = self._floor.reject()
        self._act(actions)
        return bool(actions)

    def hang_up(self) -> None:
        """As `Call.hang_up`."""
        if not self.ending:
            self._hanging_up = True
            self._playout.refuse("the agent has hung up: say everything before hang_up()")
            self._hang_up_if_heard()

    def _hang_up_if_heard(self) -> None:
        is_heard = not self._playout.speaking or not self._party_hears
        if self._hanging_up and is_heard and not self.over and self._hang_up is not None:
            self._hang_up()

    async def until_over(self) -> None:
        """As `Call.until_over`."""
        self._end_awaited += 1
        try:
            await asyncio.shield(self.ended)
        finally:
            self._end_awaited -= 1

    @property
    def results(self) -> Mapping[str, str]:
        """As `Call.results`."""
        return self.info.results

    @property
    def heard_ms(self) -> int:
        """As `Call.heard_ms`."""
        return self._playout.heard_ms

    @property
    def queued_ms(self) -> int:
        """As `Call.queued_ms`."""
        return self._playout.queued_ms

    @property
    def wait_ms(self) -> float:
        """As `Call.wait_ms`."""
        return self._playout.wait_ms

    @property
    def epoch(self) -> int:
        """As `Call.epoch`."""
        return self._playout.epoch

    @property
    def speaking(self) -> bool:
        """As `Call.speaking`."""
        return self._playout.speaking

    @property
    def held(self) -> bool:
        """As `Call.held`."""
        return self._playout.held

    # -- the gateway runs the call ------------------------------------------------------------------------------------

    @property
    def over(self) -> bool:
        """Whether nothing can be said or heard any more."""
        return self.ended.done()

    @property
    def ending(self) -> bool:
        """Whether the call is over, or will be when the agent's last words were heard: it has hung up."""
        return self._hanging_up or self.over

    @property
    def failure(self) -> Exception | None:
        """Why the agent failed, when its inline consumer raised or it stalled."""
        return self._failure

    @property
    def lanes(self) -> Lanes:
        """What waits for the agent; the counters of what was lost."""
        return self._lanes

    @property
    def signs_of_life(self) -> tuple[int, int]:
        """Changes whenever the agent takes or says something."""
        return self._lanes.taken, self._playout.accepted_samples

    @property
    def is_attended(self) -> bool:
        """Whether the agent waits for the caller, hears inline, or is heard: it has not stalled."""
        return self._lanes.attended or self._consumer is not None or self._playout.speaking

    @property
    def end_is_awaited(self) -> bool:
        """Whether the agent waits for the end of the call, and keeps up with what it listens to besides."""
        return self._end_awaited > 0 and not self._lanes.behind

    @property
    def playout(self) -> Playout:
        """Where an agent in a thread of its own plays; on the asyncio thread."""
        return self._playout

    @property
    def refused_ms(self) -> int:
        """What the agent said too late: it belonged to before an interruption."""
        return self._playout.refused_ms

    def use_lanes(self, lanes: Lanes) -> None:
        """Deliver to other lanes, those of an agent in a thread of its own; before the agent starts."""
        lanes.adopt(self._lanes)
        self._lanes = lanes

    def on_held(self, *, one_way: bool) -> None:
        """The caller hears nothing from now on.

        On hold, what comes is music or an announcement: the agent hears silence instead. With `one_way` it is the
        caller's voice, and no hold.
        """
        self._party_hears = False
        if not (one_way or self._on_hold):
            self._on_hold = True
            if self._dead_air is not None:
                self._dead_air.on_held()
            self._emit(OnHold())
        self._hang_up_if_heard()

    def on_resumed(self) -> None:
        """The caller hears the agent again."""
        self._party_hears = True
        if self._on_hold:
            self._on_hold = False
            if self._dead_air is not None:
                self._dead_air.on_resumed()
            self._emit(OffHold())

    def on_call_over(self) -> None:
        """The call is over: `Hangup` is the agent's last event, `say` and `play` raise from now on."""
        self.hung_up = True
        self._end("the call is over")

    def fail(self, error: BaseException) -> None:
        """End the agent's part in the call because of its fault; the first one counts."""
        if not self.over:
            self._failure = contained(error)
            self._end(f"the agent failed: {self._failure}")

    def agent_ended(self) -> None:
        """Nobody listens any more: nothing is lost by not being taken. What was said plays on."""
        self._consumer = _ignore
        self._lanes.close()

    def close(self) -> None:
        """Let go of the leg, silent and running, so that another conversation can take it. Idempotent."""
        if not self.over:
            self._end("the conversation is over")
        self._hang_up = None  # it knows its call, which knows us: a cycle that only a rare full collection would find
        if self._leg.listener is self:
            self._leg.listener = None
            self._leg.flush()
            self._playout.release()

    def _end(self, reason: str) -> None:
        if self.over:
            return
        self._playout.end(reason)
        self.ended.set_result(None)
        if self._dead_air is not None:
            self._dead_air.close()
            self._dead_air = None  # it knows us
        if self._ear is not None:
            self._ear.close()
            self._ear = None  # it knows us
        self.agent_ended()  # last: who takes `Hangup`, in whatever thread, finds the call over

    # -- the leg tells ------------------------------------------------------------------------------------------------

    def on_frame(self, pcm: Pcm) -> None:
        """Take one frame of the caller's voice its whole way."""
        if self._on_hold:
            pcm = np.zeros(len(pcm), np.int16)
        if self._ear is not None:
            self._ear.hear(pcm)
        consumer = self._consumer
        if consumer is None:
            self._lanes.put_audio(pcm)
            return
        try:
            consumer(pcm)
        except CallEndedError:
            self._consumer = _ignore
        except BaseException as error:  # noqa: BLE001 - the agent's own code, at the edge of its call: no signal and
            self.fail(error)  # no cancellation of ours comes by here, an agent's must not end the gateway

    def on_dtmf(self, digit: str, duration_ms: int) -> None:
        """Tell the agent of a key, that may interrupt it."""
        if self._key_interrupts():
            self._interrupt("key")
        self._emit(Dtmf(digit, duration_ms))

    def _key_interrupts(self) -> bool:
        match self._settings.keys:
            case Keys.NEVER:
                return False
            case Keys.ALWAYS:
                asked = True
            case Keys.ASKED:
                asked = self._lanes.keys_awaited > 0
        return self._playout.keyed > 0 or (asked and self._playout.speaking)

    def on_mark(self, mark: int) -> None:
        """Tell the agent of its mark, unless an interruption has done so already."""
        name = self._playout.on_mark(mark)
        if name is not None:
            self._emit(MarkReached(name))

    def on_drained(self) -> None:
        """The agent's voice has ended, unless it has spoken again meanwhile."""
        if self._playout.on_drained():
            self._act(self._floor.on_agent_stopped())
            if self._lanes.listening:
                self._emit(Drained())
            self._hang_up_if_heard()

    def on_media_silent(self, silent_ms: int) -> None:
        """Tell the agent that the caller's packets do not come."""
        self._emit(MediaSilent(silent_ms))

    # -- who has the floor --------------------------------------------------------------------------------------------

    def _act(self, actions: tuple[Action, ...]) -> None:
        for action in actions:
            match action:
                case PausePlayout():
                    self._playout.hold()
                case ResumePlayout():
                    self._release()
                case CutPlayout():
                    self._interrupt()
                case SpeechStarted():
                    self.counters.turns += 1
                    if self._dead_air is not None:
                        self._dead_air.on_speech_started()
                    self._emit(action)
                case SpeechEnded():
                    if self._dead_air is not None:
                        self._dead_air.on_speech_ended()
                    self._emit(action)

    def _release(self) -> None:
        if not self._playout.held:
            return
        self._playout.release()
        if self._playout.has_audio:  # or the agent had finished, and its voice does not go on
            self.counters.barge_ins_rejected += 1
            self._emit(Resumed(self._playout.heard_ms))

    def _interrupt(self, by: Literal["voice", "key"] = "voice") -> None:
        cut = self._cut()
        self.counters.barge_ins_confirmed += 1
        self._emit(Interrupted(cut.heard_ms, cut.unheard_ms, cut.reached, cut.dropped, by, self._playout.epoch))
        self._hang_up_if_heard()

    def _cut(self) -> Cut:
        if self.over:
            return Cut(self._playout.heard_ms, 0, (), (), ())
        cut = self._playout.cut()
        self.counters.unheard_ms += cut.unheard_ms
        self._floor.on_agent_silenced()
        for name in cut.newly_reached:
            self._emit(MarkReached(name))
        return cut

    def _emit(self, event: UrgentEvent) -> None:
        try:
            self._lanes.put_urgent(event)
        except AgentStalledError as error:
            self.fail(error)


def _ignore(_pcm: Pcm) -> None:
    """The consumer of what nobody is there to hear."""


async def play_once(leg: Leg, pcm: Pcm) -> int:
    """Play to a leg that no conversation has, deaf to the caller, until it was heard; returns the heard ms.

    Cancellation silences it at once. What an agent does not need takes no agent: announcements, ringing.
    """
    conversation = Conversation(leg, barge_in=BargeInSettings(mode=BargeIn.OFF))
    try:
        return (await conversation.speak(pcm)).heard_ms
    finally:
        conversation.close()
