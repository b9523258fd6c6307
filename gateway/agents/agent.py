"""The two sides of an agent: what it is, and the call it gets."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from typing import Protocol

from media.events import CallInfo, Event
from media.leg import Pcm
from media.utterance import Spoken


class Speech(Protocol):
    """One answer, that an interruption silences for good. See `media.utterance.Utterance`."""

    @property
    def interrupted(self) -> bool:
        """Whether an interruption came after it was made."""

    @property
    def heard_ms(self) -> int:
        """How much of it was heard."""

    def play(self, pcm: Pcm, mark: str | None = None) -> bool:
        """Queue audio; False once interrupted."""

    async def say(self, pcm: Pcm, mark: str | None = None) -> bool:
        """Queue audio of any length, waiting for room; False once interrupted."""

    async def said(self) -> int:
        """Wait until all of it was heard or dropped."""


class Call(Protocol):
    """A call as its agent has it. See `media.conversation.Conversation` for every promise."""

    @property
    def rate_hz(self) -> int:
        """Samples per second of all audio of this call."""

    @property
    def info(self) -> CallInfo:
        """Who calls whom, with all headers."""

    @property
    def heard_ms(self) -> int:
        """How much of the current utterance was heard."""

    @property
    def queued_ms(self) -> int:
        """How much audio waits to be played."""

    @property
    def wait_ms(self) -> float:
        """How long audio that is queued now waits for its first sample to be played, unless playout is paused."""

    def on_audio(self, consumer: Callable[[Pcm], object] | None) -> None:
        """Hear by a plain call for each frame; copy what you keep of it."""

    def hear(self) -> AsyncIterator[Pcm]:
        """The caller's voice, frame by frame."""

    def events(self) -> AsyncIterator[Event]:
        """Everything that happens; urgent events overtake audio. What nobody waits for waits here, in order."""

    async def next_event(self, *kinds: type[Event], timeout_s: float | None = None) -> Event | None:
        """The next event of these kinds, any but audio if none is named, `Hangup` at the end; None when none came."""

    def play(self, pcm: Pcm, mark: str | None = None) -> bool:
        """Queue audio at once or not at all."""

    async def say(self, pcm: Pcm, mark: str | None = None) -> bool:
        """Queue audio of any length, waiting for room."""

    async def said(self) -> int:
        """Wait until everything queued was heard or dropped."""

    async def speak(self, speech: Pcm | Iterable[Pcm] | AsyncIterable[Pcm]) -> Spoken:
        """Say all of it as one utterance and wait until it was heard or interrupted.

        What happens meanwhile waits, in order: `events` tells of it afterwards, of coughs and their ends, too.
        """

    def utterance(self) -> Speech:
        """A new answer, that an interruption from now on silences for good."""

    def stop(self) -> int:
        """Drop what is queued, at once."""

    def confirm_interruption(self) -> bool:
        """What holds the agent's voice is an interruption."""

    def reject_interruption(self) -> bool:
        """What holds the agent's voice is none."""

    async def until_over(self) -> None:
        """Wait for the end of the call.

        An agent that has spoken or listened and waits here has not stalled, however long it does nothing else; one that
        hears by `on_audio` must keep up with what comes. So wait here only when all that is left to do is done by
        itself: while one task waits here, nobody notices that another one of the agent hangs.
        """

    def hang_up(self) -> None:
        """End the call once all that was said so far was heard; from now on nothing more can be said."""


class Agent(Protocol):
    """Who talks to the caller; one object for each call."""

    async def run(self, call: Call) -> None:
        """Talk. Returning ends the agent's part, raising means it failed, cancellation that the caller hung up."""
