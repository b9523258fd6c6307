"""Transports messages between an agent's thread and the gateway's loop, in order, with one wake-up for many."""

from __future__ import annotations

import asyncio
import itertools
import queue
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from gateway.agents.door import Door
from gateway.agents.messages import AgentCommand, Answer, Refusal, Request, Withdraw
from media.conversation.conversation import Conversation
from media.conversation.events import CallEndedError

ANSWER_DEADLINE_S = 5.0
"""If the gateway does not answer a simple request within this time, it is shutting down."""


class MessagePort:
    """The agent's end. Any thread of the agent may use it."""

    __slots__ = ("_door", "_gateway", "_numbers", "_outbox", "_takers", "_waking")

    def __init__(self, call: Conversation, gateway: asyncio.AbstractEventLoop) -> None:
        self._gateway = gateway
        self._door = Door(call)
        self._outbox: deque[Request] = deque()
        self._waking = False
        """Whether the gateway was woken, and has not yet begun to take requests from the outbox."""
        self._numbers = itertools.count(1)
        self._takers: dict[int, Callable[[Answer | Refusal], object] | asyncio.Future[object]] = {}

    def tell(self, command: AgentCommand) -> None:
        """Send a command without waiting for its answer."""
        self._send(Request(0, command))

    def mention(self, command: AgentCommand) -> None:
        """Send a command together with the next one that wakes the gateway; without a next one it is not sent."""
        self._outbox.append(Request(0, command))

    def ask(self, command: AgentCommand) -> object:
        """Send a command and block until the answer comes."""
        request = Request(next(self._numbers), command)
        box: queue.SimpleQueue[Answer | Refusal] = queue.SimpleQueue()
        self._takers[request.number] = box.put
        self._send(request)
        try:
            answer = box.get(timeout=ANSWER_DEADLINE_S)
        except queue.Empty as error:
            if self._take_back(request):
                raise CallEndedError("the gateway does not answer: it is shutting down") from error
            answer = box.get()  # the gateway has taken it and is answering it
        if isinstance(answer, Refusal):
            raise answer.error
        return answer.value

    async def wait(self, command: AgentCommand) -> object:
        """Send a command and wait for the answer. Cancellation withdraws the command."""
        request = Request(next(self._numbers), command)
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._takers[request.number] = future
        self._send(request)
        try:
            return await future
        except asyncio.CancelledError:
            if not self._take_back(request) and self._takers.pop(request.number, None) is not None:
                with suppress(CallEndedError):
                    self.tell(Withdraw(request.number))
            raise

    def _send(self, request: Request) -> None:
        self._outbox.append(request)
        if not self._waking:
            self._waking = True
            self._wake(request)

    def _wake(self, request: Request) -> None:
        try:
            self._gateway.call_soon_threadsafe(self._on_requests)
        except RuntimeError as error:
            self._waking = False
            self._take_back(request)
            raise CallEndedError("the gateway has ended") from error

    def _take_back(self, request: Request) -> bool:
        """Take back a request that the gateway has not taken yet; False if it has."""
        try:
            self._outbox.remove(request)
        except ValueError:
            return False
        self._takers.pop(request.number, None)
        return True

    # -- on the gateway's loop ----------------------------------------------------------------------------------------

    def _on_requests(self) -> None:
        self._waking = False  # first: a request added from now on wakes the gateway again
        for _ in range(len(self._outbox)):
            try:
                request = self._outbox.popleft()
            except IndexError:  # meanwhile requests were taken back
                break
            self._door.take(request, self._on_answer)
        if self._outbox and not self._waking:
            self._waking = True
            self._gateway.call_soon(self._on_requests)  # other callbacks of the loop run first

    def _on_answer(self, answer: Answer | Refusal) -> None:
        taker = self._takers.pop(answer.number, None)
        if taker is None:
            return
        if not isinstance(taker, asyncio.Future):
            taker(answer)
            return
        with suppress(RuntimeError):  # the agent's loop has closed: nothing waits for the answer
            taker.get_loop().call_soon_threadsafe(_settle, taker, answer)


def _settle(future: asyncio.Future[object], answer: Answer | Refusal) -> None:
    if future.done():
        return
    if isinstance(answer, Refusal):
        future.set_exception(answer.error)
    else:
        future.set_result(answer.value)
