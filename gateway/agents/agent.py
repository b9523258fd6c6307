"""The two interfaces of an agent: the agent itself, and the call that it gets."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Protocol, runtime_checkable

from gateway.agents.outcome import Outcome
from media.conversation.events import CallInfo, Event, EventKind
from media.conversation.utterance import Spoken
from media.leg import Pcm


class Speech(Protocol):
    """One answer of the agent. After an interruption it stays silent, even if some code still has audio for it.

    Give it to the code that says it: another task, a queue, the reader of a socket. A gap because synthesis is slower
    than speech does not end it. Only one answer is spoken at a time.
    """

    @property
    def interrupted(self) -> bool:
        """Whether an interruption or `stop` came after the event that it answers."""

    @property
    def heard_ms(self) -> int:
        """How much of it was heard."""

    def play(self, pcm: Pcm, mark: str | None = None) -> bool:
        """Queue audio, like `Call.play`; after an interruption it always returns False."""

    async def say(self, pcm: Pcm, mark: str | None = None) -> bool:
        """Queue audio of any length, like `Call.say`; after an interruption it always returns False."""

    async def speak(self, speech: Pcm | Iterable[Pcm] | AsyncIterable[Pcm], *, keys: bool = False) -> Spoken:
        """Like `Call.speak`, as a further part of this answer; `heard_ms` counts all its parts."""

    async def said(self) -> int:
        """Wait until all of it was heard or dropped; returns `heard_ms`."""


class Call(Protocol):
    """A call, as its agent uses it; the same whether the agent runs in its own thread or not.

    It is implemented by `media.conversation` on the gateway's loop, and by `gateway.agents.thread_call.ThreadCall` in
    a thread.
    """

    @property
    def info(self) -> CallInfo:
        """Who calls whom, with all headers."""

    @property
    def results(self) -> Mapping[str, str]:
        """The results of the agents that had this call before."""

    @property
    def rate_hz(self) -> int:
        """Samples per second of all audio of this call: 8000, 16000 or 48000."""

    @property
    def over(self) -> bool:
        """Whether the call is over: nothing can be said or heard any more."""

    @property
    def epoch(self) -> int:
        """How many interruptions and stops there were. An answer belongs to the epoch in which it was decided."""

    @property
    def speaking(self) -> bool:
        """Whether audio of the agent is queued."""

    @property
    def held(self) -> bool:
        """Mode `pause`: whether the caller's voice holds the agent's, and this may still be no interruption."""

    @property
    def heard_ms(self) -> int:
        """How much of the current utterance was heard; an utterance begins with the first audio in an empty queue."""

    @property
    def queued_ms(self) -> int:
        """How much audio waits to be played."""

    @property
    def wait_ms(self) -> float:
        """How long it takes until the first sample of audio queued now is played, unless the agent is held."""

    def hear(self) -> AsyncIterator[Pcm]:
        """The caller's voice, frame by frame (usually 20 ms), until the call is over; other events are dropped.

        For a slow agent, the last second is kept. Only one task of the agent may listen, by this or by `events`.
        """

    def events(self, *, speech: bool = True) -> AsyncIterator[Event]:
        """Everything that happens, urgent events before any audio; `Hangup` is the last one.

        With `speech=False` the agent does not need to know when the caller speaks. If barge-in does not need it
        either, voice detection is switched off, which is most of the cost of a frame.

        Events that happen while the agent does something else, such as `speak`, wait and come in order. So a
        `SpeechEnded` may be the end of a cough, long before the `Interrupted` that follows it.
        """

    async def next_event(self, *kinds: EventKind | type[Event], timeout_s: float | None = None) -> Event | None:
        """The next event of these kinds; without kinds, any event except audio. None if `timeout_s` passes first.

        A kind is an event's `kind`, such as "dtmf", or its class. Other events are dropped. The end of the call ends
        every wait, with `Hangup`. While this waits for "dtmf", a key ends what the agent says.

        Raises:
            ValueError: there is no such kind of event.
        """

    async def next_key(self, *, timeout_s: float | None = None) -> str | None:
        """The next key that the caller presses, "0" to "9", "*", "#", "A" to "D"; other events are dropped.

        None if `timeout_s` passes first, or the call ends. While this waits, a key ends what the agent says.
        """

    def on_audio(self, consumer: Callable[[Pcm], object] | None) -> None:
        """Call `consumer(pcm)` for each frame instead of queueing it; None ends that. The cheapest way to listen.

        The consumer must return at once. If it raises, the agent has failed. It must copy a frame to keep it.
        """

    async def speak(self, speech: Pcm | Iterable[Pcm] | AsyncIterable[Pcm], *, keys: bool = False) -> Spoken:
        """Say a whole answer and wait until it was heard. An interruption ends it at once; with `keys`, so does a key.

        `speech` may be a generator of a streaming synthesis: it is read at most 15 s ahead, and closed when the answer
        is interrupted. An answer from before an interruption ends at once, with nothing heard.

        Raises:
            CallEndedError: the call is over, or the agent has hung up.
            TypeError: the audio is not one-dimensional int16.
        """

    async def say(self, pcm: Pcm, mark: str | None = None) -> bool:
        """Queue audio of any length, and wait while more than 15 s are queued; returns when all of it is queued.

        With a mark, `MarkReached` follows when the last sample was heard. Returns False if the audio belongs to an
        answer from before an interruption, even one that comes during the wait: the rest will not be heard.

        Raises:
            CallEndedError: the call is over, or the agent has hung up.
            TypeError: the audio is not one-dimensional int16.
        """

    def play(self, pcm: Pcm, mark: str | None = None) -> bool:
        """Like `say`, without waiting.

        Raises:
            PlayoutFullError: there is no room for it; nothing was queued.
            CallEndedError: the call is over, or the agent has hung up.
            TypeError: the audio is not one-dimensional int16.
        """

    async def said(self) -> int:
        """Wait until everything queued was heard or dropped; returns how many ms of the utterance were heard."""

    def utterance(self, epoch: int | None = None) -> Speech:
        """A new answer, which an interruption ends finally. Make it when the answer is decided; say it later.

        It answers the event or frame that the task received last; if the task does not listen, what happened until
        now; with `epoch`, what happened while `Call.epoch` had that value. If an interruption came after that, the
        answer stays silent.
        """

    def stop(self) -> int:
        """Drop what is queued, and refuse earlier answers of other tasks; returns the heard ms of the utterance."""

    def confirm_interruption(self) -> bool:
        """Mode `pause`: the caller's speech is an interruption; False if the agent's voice is not held."""

    def reject_interruption(self) -> bool:
        """Mode `pause`: the caller's speech is no interruption ("uh-huh"); False if the agent's voice is not held."""

    async def until_over(self) -> None:
        """Wait for the end of the call.

        An agent that waits here does not count as stalled (`stall_timeout`) if it has spoken or listened before. With
        `on_audio`, its consumer must still keep up. Wait here only when nothing is left to do: meanwhile the gateway
        does not notice if another task of the agent hangs.
        """

    def hang_up(self) -> None:
        """End the call when everything said so far was heard; from now on nothing more can be said.

        If the caller hears nothing, as on hold, the call ends at once.
        """


class Agent(Protocol):
    """Talks to the caller; each call gets its own object."""

    async def run(self, call: Call) -> Outcome | None:
        """Talk. The agent's part of the call ends when this returns; if it raises, the agent has failed.

        After a hangup it is cancelled. The result says how the dialplan continues: after None or `Done` with its next
        step, after `GoTo` with another route.
        """


@runtime_checkable
class CanBeDiscarded(Protocol):
    """An agent with `prepare` that must release something if it does not get the call."""

    def discard(self) -> None:
        """`run` will not be called: `prepare` failed, or the call ended or went elsewhere. Must return at once."""


@runtime_checkable
class PreparesItself(Protocol):
    """An agent that needs time before it can talk, to open a connection or load models."""

    def prepare(self) -> Awaitable[None] | None:
        """Get ready, before `run`. If the call is not answered yet, the caller hears ringing meanwhile.

        With `isolation: none` it must be `async def`. Its time limit is `prepare_timeout`. If it takes longer, or
        raises an exception that is `retryable`, the dialplan continues with `on_busy`; after any other exception with
        `on_error`. This does not answer the call. If the caller hangs up meanwhile, it is cancelled, and `run` is not
        called.
        """
