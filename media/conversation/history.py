"""What was said in a call, as text, for an agent that goes on where another one ended."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias

TEXTS_MAX = 200
CHARS_MAX = 32_000

Role: TypeAlias = Literal["user", "assistant"]


class HistoryText:
    """One text of a history."""

    __slots__ = ("role", "text")

    def __init__(self, role: Role, text: str) -> None:
        self.role = role
        self.text = text

    def cut(self, share: float) -> None:
        """Only this share of it was heard, from 0 to 1: keep the words up to there, as if speech were even."""
        if share < 1.0:
            kept = self.text[: int(len(self.text) * share)].rpartition(" ")[0].rstrip()
            self.text = f"{kept} ..." if kept else ""


class History:
    """The newest texts: at most `TEXTS_MAX` of them and `CHARS_MAX` characters, and always the newest one."""

    def __init__(self) -> None:
        self._texts: deque[HistoryText] = deque(maxlen=TEXTS_MAX)

    def __iter__(self) -> Iterator[tuple[Role, str]]:
        return ((one.role, one.text) for one in self._texts if one.text)

    def add(self, role: Role, text: str) -> HistoryText:
        """The caller (`user`) or the agent (`assistant`) has said this; empty text is not kept."""
        said = HistoryText(role, text)
        if text.strip():
            self._texts.append(said)
            while len(self._texts) > 1 and sum(len(one.text) for one in self._texts) > CHARS_MAX:
                self._texts.popleft()
        return said


def split_unanswered(history: Iterable[tuple[Role, str]]) -> tuple[list[tuple[Role, str]], str]:
    """What was said up to the last answer, and what the caller has said since: empty if nothing waits for an answer."""
    said = list(history)
    unanswered: list[str] = []
    while said and said[-1][0] == "user":
        unanswered.insert(0, said.pop()[1])
    return said, " ".join(unanswered)
