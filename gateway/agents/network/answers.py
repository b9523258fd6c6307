"""The answers of a model in one call: which were sent, and how much of each was heard."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from gateway.agents.agent import Speech
from gateway.agents.network.voice import Voice
from media.leg import Pcm

KEPT = 64
"""Answers whose heard milliseconds may still be asked for."""


@dataclass(slots=True)
class _ModelAnswer:
    speech: Speech
    content_index: int
    sent_ms: float = 0.0
    settled: bool = False
    """Whether the model knows how much of it was heard."""


@dataclass(frozen=True, slots=True)
class Unheard:
    """An answer that was not heard to its end."""

    item: str
    content_index: int
    heard_ms: int


class Answers:
    """Says the pieces of a model's answers, and tells after an interruption what was heard of them."""

    def __init__(self, voice: Voice) -> None:
        self._voice = voice
        self._answers: OrderedDict[str, _ModelAnswer] = OrderedDict()

    def play(self, item: str, content_index: int, pcm: Pcm, rate_hz: int) -> None:
        """Say a piece of the answer of that name; what belongs to an interrupted one is refused."""
        answer = self._answers.get(item)
        if answer is None:
            answer = self._answers[item] = _ModelAnswer(self._voice.new_answer(), content_index)
            while len(self._answers) > KEPT:
                self._answers.popitem(last=False)
        if not answer.settled:
            answer.sent_ms += len(pcm) * 1_000 / rate_hz
            self._voice.play(pcm, answer.speech)

    def interrupted(self) -> list[Unheard]:
        """Those that the caller has not heard to their end, in order. Each is reported once."""
        found: list[Unheard] = []
        for item, answer in self._answers.items():
            heard_ms = min(answer.speech.heard_ms, int(answer.sent_ms))
            if not answer.settled and heard_ms < int(answer.sent_ms):
                found.append(Unheard(item, answer.content_index, heard_ms))
            answer.settled = True
        return found
