"""The answers of a model in one call: which ones it sent, and how much of each the caller heard."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field

from gateway.agents.agent import Speech
from gateway.agents.network.voice import Voice
from media.conversation.history import HistoryText
from media.leg import Pcm

KEPT = 64
"""How many answers are remembered, to report how much of each was heard."""


@dataclass(slots=True)
class _ModelAnswer:
    speech: Speech
    content_index: int
    sent_ms: float = 0.0
    said: list[HistoryText] = field(default_factory=list)
    """Its texts in the call's history."""
    heard: float | None = None
    """The share of it that was heard, from 0 to 1; None until it is interrupted."""


@dataclass(frozen=True, slots=True)
class Unheard:
    """An answer that the caller did not hear to its end."""

    item: str
    content_index: int
    heard_ms: int


class Answers:
    """Plays the pieces of a model's answers; after an interruption, reports how much of each was heard."""

    def __init__(self, voice: Voice) -> None:
        self._voice = voice
        self._answers: OrderedDict[str, _ModelAnswer] = OrderedDict()
        self._unspoken: deque[tuple[str, HistoryText]] = deque(maxlen=KEPT)
        """Texts that came before the first audio of their answers."""

    def play(self, item: str, content_index: int, pcm: Pcm) -> None:
        """Play a piece of the answer `item`; a piece of an interrupted answer is refused."""
        answer = self._answers.get(item)
        if answer is None:
            answer = self._answers[item] = _ModelAnswer(self._voice.new_answer(), content_index)
            answer.said += [text for of, text in self._unspoken if of == item]
            while len(self._answers) > KEPT:
                self._answers.popitem(last=False)
        if answer.heard is None:
            answer.sent_ms += self._voice.play(pcm, answer.speech)

    def interrupted(self) -> list[Unheard]:
        """Return the answers that the caller did not hear to their end, in order; each answer is reported once."""
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
        """Add a text of an answer, as stored in the history; it is cut to the part that was heard, now or later."""
        answer = self._answers.get(item)
        if answer is None:
            self._unspoken.append((item, said))
            return
        answer.said.append(said)
        if answer.heard is not None:
            said.cut(answer.heard)
