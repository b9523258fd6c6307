"""What was said in a call, as text, for an agent that continues after another one."""

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
        """Keep only the words that were heard: `share` of the text, 0 to 1, assuming an even speech rate."""
        if share < 1.0:
            kept = self.text[: int(len(self.text) * share)].rpartition(" ")[0].rstrip()
            self.text = f"{kept} ..." if kept else ""


class History:
    """The newest texts: at most `TEXTS_MAX` texts and `CHARS_MAX` characters; the newest text is always kept."""

    def __init__(self) -> None:
        self._texts: deque[HistoryText] = deque(maxlen=TEXTS_MAX)

    def __iter__(self) -> Iterator[tuple[Role, str]]:
        return ((one.role, one.text) for one in self._texts if one.text)

    def add(self, role: Role, text: str) -> HistoryText:
        """Add what the caller (`user`) or the agent (`assistant`) said; empty text is not kept."""
        said = HistoryText(role, text)
        if text.strip():
            self._texts.append(said)
            while len(self._texts) > 1 and sum(len(one.text) for one in self._texts) > CHARS_MAX:
                self._texts.popleft()
        return said


def split_unanswered(history: Iterable[tuple[Role, str]]) -> tuple[list[tuple[Role, str]], str]:
    """Split into the texts up to the last answer, and what the caller said since then (empty if nothing)."""
    said = list(history)
    unanswered: list[str] = []
    while said and said[-1][0] == "user":
        unanswered.insert(0, said.pop()[1])
    return said, " ".join(unanswered)
