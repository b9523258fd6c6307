"""What was said in a call, as text, for a session that goes on where another one ended."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Literal, TypeAlias

TEXTS_MAX = 200
CHARS_MAX = 32_000

Role: TypeAlias = Literal["user", "assistant"]


class History:
    """The newest texts, `TEXTS_MAX` of them and `CHARS_MAX` characters at most; the newest one is kept in any case."""

    def __init__(self) -> None:
        self._texts: deque[tuple[Role, str]] = deque(maxlen=TEXTS_MAX)

    def __iter__(self) -> Iterator[tuple[Role, str]]:
        return iter(self._texts)

    def add(self, role: Role, text: str) -> None:
        """The caller (`user`) or the model (`assistant`) has said this; nothing is no text."""
        if text.strip():
            self._texts.append((role, text))
            while len(self._texts) > 1 and sum(len(one) for _, one in self._texts) > CHARS_MAX:
                self._texts.popleft()
