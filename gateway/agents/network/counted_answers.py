"""Names for the answers of a model whose vendor has none, so that late audio of an interrupted one is known. No I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from gateway.agents.network.model_session import AnswerAudio, AnswerBegan, AnswerText, ModelEvent

TEXTS_MAX = 200
"""Of the sentences of one answer, the last so many are kept until its end."""


class CountedAnswers:
    """The answers of one call, in order.

    A new answer begins with the first sign of it after the end or the interruption of the last one. After an
    interruption, audio is late until there was such a sign.
    """

    def __init__(self) -> None:
        self._number = 0
        self._texts: deque[str] = deque(maxlen=TEXTS_MAX)
        self._late = False
        self._closed = True
        """Whether the newest answer was sent or interrupted: the next sign is of another one."""
        self.under_way = False
        """Whether one is being made."""

    def sign(self) -> Sequence[ModelEvent]:
        """An answer is being made: the one that began, or another one."""
        self._late = False
        self._number += self._closed
        self._closed = False
        began = not self.under_way
        self.under_way = True
        return (AnswerBegan(),) if began else ()

    def text(self, text: str) -> Sequence[ModelEvent]:
        """A sentence of it; all are told as one at its end: how much of it was heard is known for the whole only."""
        began = self.sign()
        self._texts.append(text)
        return began

    @property
    def newest(self) -> str:
        """The name of the answer that began last."""
        return str(self._number)

    @property
    def has_text(self) -> bool:
        """Whether the answer has said something that was not told yet."""
        return bool(self._texts)

    def audio(self, audio: bytes) -> Sequence[ModelEvent]:
        """A piece of it; nothing if it is late."""
        return () if self._late else (*self.sign(), AnswerAudio(str(self._number), audio))

    def asked_again(self) -> None:
        """The caller has said something: what is said from now on answers that."""
        self._late = False

    def end(self, *, interrupted: bool = False) -> Sequence[ModelEvent]:
        """It was sent, or the caller has interrupted it."""
        self._late, self._closed, self.under_way = interrupted, True, False
        text = " ".join(self._texts)
        self._texts.clear()
        return (AnswerText(str(self._number), text),) if text else ()
