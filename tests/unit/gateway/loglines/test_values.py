"""What strangers send and agents raise is short and printable in the log."""

from __future__ import annotations

import json
import sys

import pytest

from gateway.loglines.chain import Render
from gateway.loglines.sink import LINE_BYTES_MAX
from gateway.loglines.values import Bounds, cut, described, plain, printable, trace

BOUNDS = Bounds()


class Vicious:
    def __repr__(self) -> str:
        raise RuntimeError("no")


class EndlessError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


def test_a_long_text_says_how_long_it_was() -> None:
    assert cut("x" * 1_000_000, 10) == "xxxxxxxxxx... (1000000 characters)"
    assert cut("short", 5) == "short"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("grüße, 世界", "grüße, 世界"),
        ("\x1b[2J\x07", "\\x1b[2J\\x07"),
        ("two\r\nlines", "two\\r\\nlines"),
        ("\x9b31m", "\\x9b31m"),
        ("left\u202eright", "left\\u202eright"),
        ("\udcff", "\\udcff"),
    ],
)
def test_nothing_commands_a_terminal_or_makes_a_line(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert plain({"key": [text]}, BOUNDS) == {"key": [shown]}


@pytest.mark.parametrize(
    "value",
    [
        "x" * 1_000_000,
        b"\xff" * 1_000_000,
        10**5000,
        float("nan"),
        float("inf"),
        ["x" * 10_000] * 10_000,
        {str(number): number for number in range(100_000)},
        Vicious(),
        {Vicious(): Vicious()},
        {("a", 1): {2, 3}},
        object,
    ],
    ids=lambda value: type(value).__name__,
)
def test_any_value_is_short_and_json(value: object) -> None:
    text = json.dumps(plain(value, BOUNDS), allow_nan=False)
    assert len(text) < 100_000
    render = Render(lambda _logger, _level, line: json.dumps(line), for_journal=False)
    assert len(render(None, "info", {"event": "any", "value": value, "other": value})) <= LINE_BYTES_MAX


def test_nesting_has_an_end() -> None:
    nested: list[object] = []
    inner = nested
    for _ in range(3000):
        inner.append([])
        inner = inner[0]  # type: ignore[assignment]
    assert len(json.dumps(plain(nested, BOUNDS))) < 2000


def test_a_line_of_many_long_values_is_cut_until_it_fits() -> None:
    render = Render(lambda _logger, _level, line: json.dumps(line), for_journal=False)
    line = {"event": "any", **{f"k{number}": "\u4e16" * 2000 for number in range(5000)}}
    written = render(None, "info", line)
    assert len(written) <= LINE_BYTES_MAX
    assert json.loads(written)["event"] == "any"


def recurse(depth: int) -> None:
    if depth == 0:
        raise ValueError("\x1b[31m" + "y" * 1_000_000)
    recurse(depth - 1)


def test_a_long_exception_keeps_its_kind_and_its_end() -> None:
    try:
        recurse(500)
    except ValueError:
        _, error, traceback = sys.exc_info()
    assert error is not None
    text = trace((type(error), error, traceback), BOUNDS)
    assert len(text) < BOUNDS.trace + 200
    assert text.startswith("Traceback")
    assert "ValueError: \\x1b[31myyy" in text
    assert "(1000017 characters)" in text.splitlines()[-1]


def test_an_exception_of_many_lines_keeps_its_kind() -> None:
    error = KeyboardInterrupt("line\n" * 200_000)
    text = trace((type(error), error, None), BOUNDS)
    assert len(text) < BOUNDS.trace + 200
    assert text.startswith("KeyboardInterrupt")


def test_an_exception_that_cannot_be_shown() -> None:
    assert "Endless" in trace((EndlessError, EndlessError(), None), BOUNDS)


def test_an_exception_in_a_message_is_short() -> None:
    assert described(ValueError("no\x1b")) == "ValueError: no\\x1b"
    assert described(EndlessError()) == "EndlessError: <its text raises RuntimeError>"
    assert len(described(ValueError("x" * 1_000_000))) < 1100
