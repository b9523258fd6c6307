"""The two sides of an agent: what it is, and the call it gets."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Protocol, runtime_checkable

from gateway.agents.outcome import Outcome
from media.conversation.events import CallInfo, Event, EventKind
from media.conversation.utterance import Spoken
from media.leg import Pcm


class Speech(Protocol):
    """One answer of the agent. Once interrupted it stays silent for good, whichever code still has audio for it.

    Hand it to the code that says it: another task, a queue, the reader of a socket. It does not end when synthesis is
    slower than speech and leaves gaps. Only one is spoken at a time.
    """

    @property
    def interrupted(self) -> bool:
        """Whether an interruption or `stop` came after what it answers."""

    @property
    def heard_ms(self) -> int:
        """How much of it was heard."""

    def play(self, pcm: Pcm, mark: str | None = None) -> bool:
        """Queue audio, as `Call.play`; False for good once it is interrupted."""

    async def say(self, pcm: Pcm, mark: str | None = None) -> bool:
        """Queue audio of any length, as `Call.say`; False for good once it is interrupted."""

    async def speak(self, speech: Pcm | Iterable[Pcm] | AsyncIterable[Pcm], *, keys: bool = False) -> Spoken:
        """As `Call.speak`, as a further part of this answer; `heard_ms` is of all its parts."""

    async def said(self) -> int:
        """Wait until all of it was heard or dropped; returns `heard_ms`."""


class Call(Protocol):
    """A call as its agent has it, whether it runs in a thread of its own or not.

    `media.conversation` fulfils it on the gateway's loop, `gateway.agents.thread_call.ThreadCall` from a
    thread.
    """

    @property
    def info(self) -> CallInfo:
        """Who calls whom, with all headers."""

    @property
    def results(self) -> Mapping[str, str]:
        """The results of the agents that have had this call before."""

    @property
    def rate_hz(self) -> int:
        """Samples per second of all audio of this call: 8000, 16000 or 48000."""

    @property
    def over(self) -> bool:
        """Whether nothing can be said or heard any more."""

    @property
    def epoch(self) -> int:
        """How many interruptions and stops there were; an answer belongs to the epoch in which it was decided."""

    @property
    def speaking(self) -> bool:
        """Whether the agent's audio is queued."""

    @property
    def held(self) -> bool:
        """Mode `pause`: whether the caller's voice holds the agent's, and may still turn out to be no interruption."""

    @property
    def heard_ms(self) -> int:
        """How much of the current utterance was heard; an utterance begins when nothing was queued."""

    @property
    def queued_ms(self) -> int:
        """How much audio waits to be played."""

    @property
    def wait_ms(self) -> float:
        """How long audio that is queued now would wait until its first sample is played, unless the agent is held."""

    def hear(self) -> AsyncIterator[Pcm]:
        """The caller's voice, frame by frame (20 ms as a rule), until the call is over; other events are skipped.

        The last second is kept for an agent that is slow. One task of the agent listens, by this or by `events`.
        """

    def events(self, *, speech: bool = True) -> AsyncIterator[Event]:
        """Everything that happens, urgent events before any audio; `Hangup` is the last one.

        With `speech=False` the agent does not want to know when the caller speaks; where barge-in does not need it
        either, voice detection is left out, most of what a frame costs.

        What happens while the agent does something else, as in `speak`, waits and comes in order: a `SpeechEnded` may
        be the end of a cough, long before the `Interrupted` behind it.
        """

    async def next_event(self, *kinds: EventKind | type[Event], timeout_s: float | None = None) -> Event | None:
        """The next event of these kinds, any but audio if none is named; None when `timeout_s` has passed first.

        A kind is an event's `kind`, as "dtmf", or its class. Other events are skipped and lost. The end of the call
        ends every wait, with `Hangup`. While it waits for "dtmf", a key ends what the agent says.

        Raises:
            ValueError: there is no such kind of event.
        """

    async def next_key(self, *, timeout_s: float | None = None) -> str | None:
        """The next key that the caller presses, "0" to "9", "*", "#", "A" to "D"; other events are skipped and lost.

        None when `timeout_s` has passed first, or the call is over. While it waits, a key ends what the agent says.
        """

    def on_audio(self, consumer: Callable[[Pcm], object] | None) -> None:
        """Call `consumer(pcm)` for each frame instead of queueing it; None ends that. The cheapest way to hear.

        It must return at once. If it raises, the agent has failed. Copy a frame that you want to keep.
        """

    async def speak(self, speech: Pcm | Iterable[Pcm] | AsyncIterable[Pcm], *, keys: bool = False) -> Spoken:
        """Say a whole answer and wait until it was heard; an interruption ends it at once, with `keys` so does a key.

        Give it a synthesis as it streams: it is asked for 15 s ahead at most, and closed when interrupted. An answer
        from before an interruption ends at once, with nothing heard.

        Raises:
            CallEndedError: the call is over, or the agent has hung up.
            TypeError: the audio is not one-dimensional int16.
        """

    async def say(self, pcm: Pcm, mark: str | None = None) -> bool:
        """Queue audio of any length, and wait while more than 15 s are queued; returns when it is accepted.

        With a mark, `MarkReached` follows when its last sample was heard. Returns False if the audio is from before an
        interruption, also one that comes while it waits: what was not queued yet will not be heard.

        Raises:
            CallEndedError: the call is over, or the agent has hung up.
            TypeError: the audio is not one-dimensional int16.
        """

    def play(self, pcm: Pcm, mark: str | None = None) -> bool:
        """As `say`, without waiting.

        Raises:
            PlayoutFullError: there is no room for it; nothing was queued.
            CallEndedError: the call is over, or the agent has hung up.
            TypeError: the audio is not one-dimensional int16.
        """

    async def said(self) -> int:
        """Wait until everything queued was heard or dropped; returns the heard ms of the utterance."""

    def utterance(self, epoch: int | None = None) -> Speech:
        """A new answer, which an interruption silences for good. Make it when the answer is decided, and say it later.

        It answers what the task has received last; for a task that does not listen, what happened until now; with
        `epoch`, what happened while `Call.epoch` had that value. If an interruption came after that, it is silent.
        """

    def stop(self) -> int:
        """Drop what is queued, and refuse other tasks' answers from before; returns the heard ms of the utterance."""

    def confirm_interruption(self) -> bool:
        """Mode `pause`: the speech that holds the agent's voice is an interruption; False if none holds it."""

    def reject_interruption(self) -> bool:
        """Mode `pause`: the speech that holds the agent's voice is none ("uh-huh"); False if none holds it."""

    async def until_over(self) -> None:
        """Wait for the end of the call.

        An agent that has spoken or listened once and waits here does not count as stalled (`stall_timeout`), however
        long it does nothing else; one that hears by `on_audio` must still keep up. Wait here only when nothing is left
        to do: while one task waits here, the gateway does not notice if another task of the agent hangs.
        """

    def hang_up(self) -> None:
        """End the call once all that was said so far was heard; from now on nothing more can be said."""


class Agent(Protocol):
    """Who talks to the caller; one object for each call."""

    async def run(self, call: Call) -> Outcome | None:
        """Talk. Returning ends the agent's part, raising means that it failed. It is cancelled after a hangup.

        What it returns says how the dialplan goes on: None and `Done` with its next step, `GoTo` with another route.
        """


@runtime_checkable
class CanBeDiscarded(Protocol):
    """An agent that prepares itself, and must release something if it does not get the call."""

    def discard(self) -> None:
        """`run` will not be called: `prepare` failed, or the call has ended or gone elsewhere. Must return at once."""


@runtime_checkable
class PreparesItself(Protocol):
    """An agent that needs time before it can talk: it opens its connection, or loads its models."""

    def prepare(self) -> Awaitable[None] | None:
        """Get ready, before `run`. On a call that is not answered yet the caller hears ringing meanwhile.

        With `isolation: none` it must be `async def`. It has `prepare_timeout`. If it takes longer, or raises an
        exception that is `retryable`, that leads to the dialplan's `on_busy`; any other exception to `on_error`. The
        call is not answered then. If the caller hangs up meanwhile, it is cancelled, and `run` is not called.
        """
