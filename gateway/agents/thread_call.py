"""The call for an agent that runs in its own thread and event loop."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterable, Callable, Coroutine, Iterable, Mapping
from typing import Any, cast

from gateway.agents.messages import (
    Begin,
    Confirm,
    CountKeyed,
    DetectSpeech,
    Fact,
    FactName,
    Fail,
    Forget,
    HangUp,
    Play,
    Reject,
    Said,
    Say,
    Stop,
    UntilCut,
    UntilOver,
)
from gateway.agents.port import MessagePort
from media.conversation.belonging import Belonging
from media.conversation.conversation import Conversation
from media.conversation.events import CallEndedError, CallInfo, Event, EventKind
from media.conversation.lanes import Lanes
from media.conversation.playout import REFUSED_S
from media.conversation.streams import Stream, next_event, next_key
from media.conversation.utterance import Spoken, speak
from media.leg import Pcm, PlayoutFullError

REFUSAL_S = 0.005
"""How long a thread blocks after audio was refused."""


class ThreadLanes(Lanes):
    """Lanes that one thread fills and another thread empties; at most one wake-up is pending at any time."""

    __slots__ = ("_wake_pending", "consumer", "consumer_failed", "loop")

    def __init__(self) -> None:
        super().__init__()
        self._wake_pending = False
        self.loop: asyncio.AbstractEventLoop | None = None
        """The agent's loop, when it has waited here or uses a `consumer`."""
        self.consumer: Callable[[Pcm], object] | None = None
        """Called with each frame, on the agent's loop."""
        self.consumer_failed: Callable[[BaseException], object] = lambda _: None

    def take_by(self, consumer: Callable[[Pcm], object] | None) -> None:
        """Call `consumer` with each frame from now on, first with the waiting ones; on the agent's loop."""
        self.loop = asyncio.get_running_loop()
        self.hearing = True
        self.consumer = consumer
        if consumer is not None and self._audio:
            self._wake()

    @property
    def attended(self) -> bool:
        """Whether the agent waits here with nothing to take, or its consumer keeps up."""
        return super().attended or (self.consumer is not None and not self.full)

    @property
    def behind(self) -> bool:
        """Whether the agent, or its consumer, does not take what has come: something blocks it."""
        return super().behind or (self.consumer is not None and self.full)

    def put_audio(self, pcm: Pcm) -> None:
        """Append a frame; on the gateway's thread."""
        super().put_audio(pcm)
        if self.consumer is not None:
            self._wake()

    def close(self) -> None:
        """See `Lanes.close`. Also ends the reference cycle with the call, as full garbage collections are rare here."""
        super().close()
        self.consumer_failed = lambda _: None

    async def _wait(self) -> None:
        if self._waiter is not None:
            self._refuse_second()
        self.loop = asyncio.get_running_loop()
        waiter = self.loop.create_future()
        self._waiter = waiter
        try:
            if not self._ready():  # something may have come since the last check
                await waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._wake_pending or self.loop is None:
            return
        self._wake_pending = True
        try:
            self.loop.call_soon_threadsafe(self._on_wake)
        except RuntimeError:  # the agent's loop has closed: it takes nothing more
            self.consumer = None

    def _on_wake(self) -> None:
        self._wake_pending = False
        try:
            while (consumer := self.consumer) is not None and (pcm := self._take_frame()) is not None:
                self.taken += 1
                consumer(pcm)
        except CallEndedError:
            self.consumer = _ignore
        except BaseException as error:  # noqa: BLE001 - the agent's own code, at the edge of its call
            self.consumer = None
            self.consumer_failed(error)
        super()._wake()


def _ignore(_pcm: Pcm) -> None:
    """The consumer after `CallEndedError`: an agent may hang up and still play in its consumer."""


class _Voice:
    """Sends audio of an epoch or an utterance through the port."""

    __slots__ = ("_call", "_port")

    def __init__(self, call: Conversation, port: MessagePort) -> None:
        self._call = call
        """Only `over` and `epoch` are read directly, as these never go back; everything else goes through the port."""
        self._port = port

    def _play(self, command: Play) -> bool:
        """Queue audio and block until the answer comes; after a refusal, also sleep for a moment.

        Without this, an agent that sends audio in a loop would keep the gateway's loop busy with refusals.
        """
        try:
            accepted = cast("bool", self._port.ask(command))
        except PlayoutFullError:
            time.sleep(REFUSAL_S)
            raise
        if not accepted:
            time.sleep(REFUSAL_S)
        return accepted

    async def _say(self, command: Say) -> bool:
        """Queue audio and wait for room; after a refusal, also sleep for a moment."""
        accepted = cast("bool", await self._port.wait(command))
        if not accepted:
            await asyncio.sleep(REFUSED_S)
        return accepted


class ThreadUtterance(_Voice):
    """A `media.conversation.utterance.Utterance` for another thread."""

    __slots__ = ("_epoch", "_number", "_too_late")

    def __init__(self, number: int, epoch: int, call: Conversation, port: MessagePort) -> None:
        super().__init__(call, port)
        self._number = number
        self._epoch = epoch
        self._too_late = epoch != call.epoch
        port.tell(Begin(number, epoch))

    def __del__(self) -> None:
        self._port.mention(Forget(self._number))

    @property
    def interrupted(self) -> bool:
        """Whether an interruption or `stop` came after the event that it answers."""
        return self._too_late or self._epoch != self._call.epoch

    @property
    def heard_ms(self) -> int:
        """How much of it was heard."""
        return cast("int", self._port.ask(Fact("heard_ms", self._number)))

    def play(self, pcm: Pcm, mark: str | None = None) -> bool:
        """See `Utterance.play`."""
        return self._play(Play(pcm, mark, self._epoch, self._number))

    async def say(self, pcm: Pcm, mark: str | None = None) -> bool:
        """See `Utterance.say`."""
        return await self._say(Say(pcm, mark, self._epoch, self._number))

    async def speak(self, speech: Pcm | Iterable[Pcm] | AsyncIterable[Pcm], *, keys: bool = False) -> Spoken:
        """See `Utterance.speak`."""
        return await speak(self, speech, keys=keys)

    async def until_cut(self) -> None:
        """Wait until it is interrupted, or the call is over."""
        await self._port.wait(UntilCut(self._number))

    async def said(self) -> int:
        """See `Utterance.said`."""
        return cast("int", await self._port.wait(Said(self._number)))

    def count_keyed(self, change: int) -> None:
        """See `Utterance.count_keyed`."""
        self._port.tell(CountKeyed(self._number, change))


class ThreadCall(_Voice):
    """A `Conversation` for another thread; calls that are not coroutines block until the gateway has answered."""

    __slots__ = ("_belonging", "_lanes", "_utterances", "_wants_speech", "info", "rate_hz")

    def __init__(self, call: Conversation, lanes: ThreadLanes, gateway: asyncio.AbstractEventLoop) -> None:
        super().__init__(call, port := MessagePort(call, gateway))
        self._lanes = lanes
        self._belonging = Belonging()
        self._utterances = itertools.count(1)
        self._wants_speech = False
        self.rate_hz: int = call.rate_hz
        self.info: CallInfo = call.info
        lanes.consumer_failed = lambda error: port.tell(Fail(error))

    @property
    def results(self) -> Mapping[str, str]:
        """See `Conversation.results`."""
        return self.info.results

    @property
    def over(self) -> bool:
        """See `Conversation.over`."""
        return self._call.over

    @property
    def epoch(self) -> int:
        """See `Conversation.epoch`."""
        return self._call.epoch

    @property
    def speaking(self) -> bool:
        """See `Conversation.speaking`."""
        return cast("bool", self._fact("speaking"))

    @property
    def held(self) -> bool:
        """See `Conversation.held`."""
        return cast("bool", self._fact("held"))

    @property
    def heard_ms(self) -> int:
        """See `Conversation.heard_ms`."""
        return cast("int", self._fact("heard_ms"))

    @property
    def queued_ms(self) -> int:
        """See `Conversation.queued_ms`."""
        return cast("int", self._fact("queued_ms"))

    @property
    def wait_ms(self) -> float:
        """See `Conversation.wait_ms`."""
        return cast("float", self._fact("wait_ms"))

    def on_audio(self, consumer: Callable[[Pcm], object] | None) -> None:
        """See `Conversation.on_audio`; the consumer runs on the agent's loop."""
        self._lanes.take_by(consumer)

    def hear(self) -> Stream[Pcm]:
        """See `Conversation.hear`."""
        return Stream(self._lanes.get_audio, self._lanes, self._belonging)

    def events(self, *, speech: bool = True) -> Stream[Event]:
        """See `Conversation.events`."""
        if speech and not self._wants_speech:
            self._wants_speech = True
            self._port.tell(DetectSpeech())
        return Stream(self._lanes.get, self._lanes, self._belonging)

    def next_event(
        self, *kinds: EventKind | type[Event], timeout_s: float | None = None
    ) -> Coroutine[Any, Any, Event | None]:
        """See `Conversation.next_event`."""
        return next_event(self.events().for_this_task(), kinds, timeout_s, self._lanes)

    def next_key(self, *, timeout_s: float | None = None) -> Coroutine[Any, Any, str | None]:
        """See `Conversation.next_key`."""
        return next_key(self.events().for_this_task(), timeout_s, self._lanes)

    def play(self, pcm: Pcm, mark: str | None = None) -> bool:
        """See `Conversation.play`."""
        return self._play(Play(pcm, mark, self._of_piece()))

    def say(self, pcm: Pcm, mark: str | None = None) -> Coroutine[Any, Any, bool]:
        """See `Conversation.say`."""
        return self._say(Say(pcm, mark, self._of_piece()))

    def _fact(self, name: FactName) -> object:
        return self._port.ask(Fact(name))

    def _of_piece(self) -> int:
        return self._belonging.of_piece(self._call.epoch)

    async def said(self) -> int:
        """See `Conversation.said`."""
        return cast("int", await self._port.wait(Said()))

    def speak(
        self, speech: Pcm | Iterable[Pcm] | AsyncIterable[Pcm], *, keys: bool = False
    ) -> Coroutine[Any, Any, Spoken]:
        """See `Conversation.speak`."""
        return speak(self.utterance(), speech, keys=keys)

    def utterance(self, epoch: int | None = None) -> ThreadUtterance:
        """See `Conversation.utterance`."""
        if epoch is None:
            epoch = self._belonging.of_answer(self._call.epoch)
        return ThreadUtterance(next(self._utterances), epoch, self._call, self._port)

    def stop(self) -> int:
        """See `Conversation.stop`."""
        heard_ms = cast("int", self._port.ask(Stop()))
        self._belonging.has_stopped(self._call.epoch)
        return heard_ms

    def confirm_interruption(self) -> bool:
        """See `Conversation.confirm_interruption`."""
        if not self._port.ask(Confirm()):
            return False
        self._belonging.has_stopped(self._call.epoch)
        return True

    def reject_interruption(self) -> bool:
        """See `Conversation.reject_interruption`."""
        return cast("bool", self._port.ask(Reject()))

    async def until_over(self) -> None:
        """See `Conversation.until_over`."""
        await self._port.wait(UntilOver())

    def hang_up(self) -> None:
        """See `Conversation.hang_up`."""
        self._port.ask(HangUp())
