"""Numbers a model's answers if its vendor's API has no ids for them, to recognise late audio of an answer. No I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from gateway.agents.network.model_session import AnswerAudio, AnswerBegan, AnswerText, ModelEvent

TEXTS_MAX = 200
"""How many sentences of one answer are kept until its end; the oldest are dropped."""


class CountedAnswers:
    """Counts the answers of one call.

    A new answer begins with the first sign of an answer (its text, or a message that it is being made) after the last
    one has ended or was interrupted. Audio that comes between an interruption and the next sign is late: it belongs to
    the interrupted answer, and is dropped.
    """

    def __init__(self) -> None:
        self._number = 0
        self._texts: deque[str] = deque(maxlen=TEXTS_MAX)
        self._late = False
        self._closed = True
        """Whether the newest answer was sent completely or interrupted: the next sign belongs to a new one."""
        self.under_way = False
        """Whether an answer is being made."""

    def sign(self) -> Sequence[ModelEvent]:
        """Note that an answer is being made: the newest one, or a new one if that is closed."""
        self._late = False
        self._number += self._closed
        self._closed = False
        began = not self.under_way
        self.under_way = True
        return (AnswerBegan(),) if began else ()

    def text(self, text: str) -> Sequence[ModelEvent]:
        """Add a sentence. `end` returns all sentences as one text, as the heard part is known for the whole only."""
        began = self.sign()
        self._texts.append(text)
        return began

    @property
    def newest(self) -> str:
        """The name of the newest answer: its number."""
        return str(self._number)

    @property
    def has_text(self) -> bool:
        """Whether there are sentences that `end` has not returned yet."""
        return bool(self._texts)

    def audio(self, audio: bytes) -> Sequence[ModelEvent]:
        """Return the events for a piece of audio; none if it is late."""
        return () if self._late else (*self.sign(), AnswerAudio(str(self._number), audio))

    def asked_again(self) -> None:
        """Note that the caller has said something: audio from now on belongs to the answer to that."""
        self._late = False

    def end(self, *, interrupted: bool = False) -> Sequence[ModelEvent]:
        """Close the newest answer: it was sent completely, or the caller interrupted it. Returns its text."""
        self._late, self._closed, self.under_way = interrupted, True, False
        text = " ".join(self._texts)
        self._texts.clear()
        return (AnswerText(str(self._number), text),) if text else ()
