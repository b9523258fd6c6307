"""The answers of a model in one call: which were sent, and how much of each was heard."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field

from gateway.agents.agent import Speech
from gateway.agents.network.voice import Voice
from media.conversation.history import HistoryText
from media.leg import Pcm

KEPT = 64
"""Answers whose heard milliseconds may still be asked for."""


@dataclass(slots=True)
class _ModelAnswer:
    speech: Speech
    content_index: int
    sent_ms: float = 0.0
    said: list[HistoryText] = field(default_factory=list)
    """It in the history of the call, in its parts."""
    heard: float | None = None
    """Once interrupted: the share of it that was heard, from 0 to 1."""


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
        self._unspoken: deque[tuple[str, HistoryText]] = deque(maxlen=KEPT)
        """Texts that came before the first sound of their answers."""

    def play(self, item: str, content_index: int, pcm: Pcm) -> None:
        """Say a piece of the answer of that name; a piece of an interrupted answer is refused."""
        answer = self._answers.get(item)
        if answer is None:
            answer = self._answers[item] = _ModelAnswer(self._voice.new_answer(), content_index)
            answer.said += [text for of, text in self._unspoken if of == item]
            while len(self._answers) > KEPT:
                self._answers.popitem(last=False)
        if answer.heard is None:
            answer.sent_ms += self._voice.play(pcm, answer.speech)

    def interrupted(self) -> list[Unheard]:
        """Those that the caller has not heard to their end, in order. Each is reported once."""
        found: list[Unheard] = []
        for item, answer in self._answers.items():
            if answer.heard is not None:
                continue
            sent_ms = int(answer.sent_ms)
            heard_ms = min(answer.speech.heard_ms, sent_ms)
            answer.heard = heard_ms / sent_ms if sent_ms else 1.0
            for text in answer.said:
                text.cut(answer.heard)
            if heard_ms < sent_ms:
                found.append(Unheard(item, answer.content_index, heard_ms))
        return found

    def wrote(self, item: str, said: HistoryText) -> None:
        """What an answer said, as the history has it; cut to what was heard of it, now or when it is interrupted."""
        answer = self._answers.get(item)
        if answer is None:
            self._unspoken.append((item, said))
            return
        answer.said.append(said)
        if answer.heard is not None:
            said.cut(answer.heard)
