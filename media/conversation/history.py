"""What was said in a call, as text, for an agent that goes on where another one ended."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

TEXTS_MAX = 200
CHARS_MAX = 32_000

Role: TypeAlias = Literal["user", "assistant"]


@dataclass(slots=True)
class _Text:
    role: Role
    text: str
    item: str


class History:
    """The newest texts: at most `TEXTS_MAX` of them and `CHARS_MAX` characters, and always the newest one."""

    def __init__(self) -> None:
        self._texts: deque[_Text] = deque(maxlen=TEXTS_MAX)

    def __iter__(self) -> Iterator[tuple[Role, str]]:
        return ((one.role, one.text) for one in self._texts if one.text)

    @property
    def waits_for(self) -> Role | None:
        """Who should speak next: whoever did not speak last; None if nothing was said."""
        if not self._texts:
            return None
        return "user" if self._texts[-1].role == "assistant" else "assistant"

    def add(self, role: Role, text: str, item: str = "") -> None:
        """The caller (`user`) or the model (`assistant`) has said this; empty text is not kept.

        `item` is the model's name for its answer, see `cut`.
        """
        if text.strip():
            self._texts.append(_Text(role, text, item))
            while len(self._texts) > 1 and sum(len(one.text) for one in self._texts) > CHARS_MAX:
                self._texts.popleft()

    def cut(self, item: str, share: float) -> None:
        """Only this share of an answer was heard, from 0 to 1: keep the words up to there."""
        for one in self._texts:
            if one.item == item:
                one.text = heard_words(one.text, share)


def heard_words(text: str, share: float) -> str:
    """The beginning of a text of which a share was heard, to the last whole word; speech is taken as even."""
    if share >= 1.0:
        return text
    kept = text[: int(len(text) * share)].rpartition(" ")[0].rstrip()
    return f"{kept} ..." if kept else ""
