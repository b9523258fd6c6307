"""What was said in a call: in bounds, and only what was heard."""

from __future__ import annotations

import pytest

from media.conversation.history import CHARS_MAX, TEXTS_MAX, History, split_unanswered


def test_the_newest_texts_are_kept() -> None:
    history = History()
    history.add("user", "  ")
    for number in range(TEXTS_MAX + 5):
        history.add("user", str(number))
    assert [text for _, text in history] == [str(number) for number in range(5, TEXTS_MAX + 5)]
    history.add("assistant", "x" * (CHARS_MAX + 1))
    assert [len(text) for _, text in history] == [CHARS_MAX + 1]


@pytest.mark.parametrize(
    ("share", "kept"), [(1.0, "one two three"), (0.6, "one ..."), (0.7, "one two ..."), (0.0, None)]
)
def test_only_what_was_heard(share: float, kept: str | None) -> None:
    """Another text that says the same, as of another agent, stays as it is."""
    history = History()
    history.add("assistant", "one two three")
    history.add("assistant", "one two three").cut(share)
    assert list(history)[1:] == ([("assistant", kept)] if kept else [])
    assert next(iter(history)) == ("assistant", "one two three")


def test_what_waits_for_an_answer() -> None:
    history = History()
    assert split_unanswered(history) == ([], "")
    history.add("user", "Hello?")
    assert split_unanswered(history) == ([], "Hello?")
    history.add("assistant", "Hello!")
    assert split_unanswered(history) == ([("user", "Hello?"), ("assistant", "Hello!")], "")
    history.add("user", "I want")
    history.add("user", "apples.")
    assert split_unanswered(history)[1] == "I want apples."
    history.add("assistant", "unheard").cut(0.0)
    assert split_unanswered(history)[1] == "I want apples.", "what nobody heard is no answer"
