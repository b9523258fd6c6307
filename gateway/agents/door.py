"""The gateway's side of an agent in another thread: executes the agent's messages on one call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeAlias

from gateway.agents import messages
from gateway.agents.messages import AgentCommand, Answer, Refusal, Request
from media.conversation.conversation import Conversation
from media.conversation.utterance import Utterance

_Answering: TypeAlias = Callable[[Answer | Refusal], object]
_Control: TypeAlias = (
    messages.Fail | messages.Withdraw | messages.Stop | messages.Confirm | messages.Reject | messages.HangUp
)


class Door:
    """Executes requests in order, on the gateway's loop. A request that must wait is answered later, others at once."""

    __slots__ = ("_call", "_utterances", "_waiting")

    def __init__(self, call: Conversation) -> None:
        self._call = call
        self._utterances: dict[int, Utterance] = {}
        self._waiting: dict[int, asyncio.Task[object]] = {}

    def take(self, request: Request, answer: _Answering) -> None:
        """Execute a request; `answer` is called once, unless the request is withdrawn.

        `answer` is not stored here: its owner refers to this door, and full garbage collections, which would free such
        a cycle, are rare.
        """
        try:
            value = self._do(request.command)
        except Exception as error:  # noqa: BLE001 - the agent that sent the request gets the error
            answer(Refusal(request.number, error))
            return
        if not asyncio.iscoroutine(value):
            answer(Answer(request.number, value))
            return
        task = asyncio.get_running_loop().create_task(value)
        self._waiting[request.number] = task
        task.add_done_callback(partial(self._on_done, request.number, answer))

    def _on_done(self, number: int, answer: _Answering, task: asyncio.Task[object]) -> None:
        del self._waiting[number]
        if task.cancelled():
            return
        error = task.exception()
        answer(Answer(number, task.result()) if error is None else Refusal(number, error))

    def _do(self, command: AgentCommand) -> object:
        """The answer, or a coroutine that gives it later."""
        match command:
            case messages.Play():
                return self._play(command)
            case messages.Fact(name, utterance):
                return getattr(self._call if utterance is None else self._utterances[utterance], name)
            case messages.Begin(utterance, epoch):
                self._utterances[utterance] = self._call.utterance(epoch)
            case messages.Forget(utterance):
                self._utterances.pop(utterance, None)
            case messages.CountKeyed(utterance, change):
                self._utterances[utterance].count_keyed(change)
            case messages.Said() | messages.UntilCut() | messages.UntilOver():
                return self._wait(command)
            case messages.DetectSpeech():
                self._call.listen()
            case _:
                return self._control(command)
        return None

    def _play(self, command: messages.Play) -> bool | Coroutine[Any, Any, bool]:
        pcm, mark, epoch = command.pcm, command.mark, command.epoch
        playout = self._call.playout
        if command.utterance is None:
            if type(command) is messages.Play:
                return playout.play(pcm, mark, epoch)
            accepted = playout.try_say(pcm, mark, epoch)
            return playout.say(pcm, mark, epoch) if accepted is None else accepted
        utterance = self._utterances[command.utterance]
        if type(command) is messages.Play:
            return utterance.play(pcm, mark)
        accepted = utterance.try_say(pcm, mark)
        return utterance.say(pcm, mark) if accepted is None else accepted

    def _wait(self, command: messages.Said | messages.UntilCut | messages.UntilOver) -> Coroutine[Any, Any, object]:
        match command:
            case messages.Said(utterance):
                return self._call.said() if utterance is None else self._utterances[utterance].said()
            case messages.UntilCut(utterance):
                return self._utterances[utterance].until_cut()
            case messages.UntilOver():
                return self._call.until_over()

    def _control(self, command: _Control) -> object:
        match command:
            case messages.Fail(error):
                self._call.fail(error)
            case messages.Withdraw(number):
                if (task := self._waiting.get(number)) is not None:
                    task.cancel()
            case messages.Stop():
                return self._call.cut().heard_ms
            case messages.Confirm():
                return self._call.confirm()
            case messages.Reject():
                return self._call.reject_interruption()
            case messages.HangUp():
                self._call.hang_up()
        return None
