# ruff: noqa: E501 - messages are compared as they are printed, on one line
"""YAML as data with places, and what it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.settings.document import MAX_BYTES, MAX_DEPTH, Plain, dotted, parse, read_text, typed
from gateway.settings.problem import Place

if TYPE_CHECKING:
    from pathlib import Path


def faults(text: str) -> list[str]:
    return [str(problem) for problem in parse(text, "f.yaml").problems]


def test_scalars_stay_as_written() -> None:
    data = parse(
        "{a: +4930, b: off, c: 007, d: 4:30, e: 2026-01-01, f: 1_000, g: 'null', h: null, i: ~, j: }", "f"
    ).data()
    assert data == {
        "a": "+4930",
        "b": "off",
        "c": "007",
        "d": "4:30",
        "e": "2026-01-01",
        "f": "1_000",
        "g": "null",
        "h": None,
        "i": None,
        "j": None,
    }


@pytest.mark.parametrize("written", ["“600”", "„600“", "‘600’", "«600»", "”600”", "“600"])  # noqa: RUF001
def test_typographic_quotes_are_a_fault_and_no_part_of_the_value(written: str) -> None:
    document = parse(f"a: {{to: [{written}], “b”: c}}", "f.yaml")
    assert [str(problem) for problem in document.problems] == [
        f'f.yaml:1:10: a.to[0]: YAML reads typographic quotes as text, got "{written}"; write "600"',
        f'f.yaml:1:{len(written) + 13}: a: YAML reads typographic quotes as text, got "“b”"; write "b"',
    ]
    assert document.data() == {"a": {"to": ["600"], "b": "c"}}


def test_typographic_quotes_in_straight_ones_are_meant() -> None:
    assert parse("{a: '“Hello”', b: it’s, c: say “no”}", "f.yaml").problems == ()  # noqa: RUF001


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a:\n\N{NO-BREAK SPACE} b: 1", "2:1"),
        ("a:\n  b:\N{NO-BREAK SPACE}1", "2:3: a"),
        ("a: {b: 1\N{ZERO WIDTH SPACE}}", "1:8: a.b"),
    ],
)
def test_an_invisible_letter_is_made_visible(text: str, place: str) -> None:
    (fault,) = faults(text)
    assert fault.startswith(f"f.yaml:{place}: it contains an invisible character")


def test_an_invisible_letter_within_a_text_is_meant() -> None:
    assert faults("{a: Bonjour\N{NO-BREAK SPACE}!, b: '\N{NO-BREAK SPACE}'}") == []


def test_a_dash_that_begins_no_entry_of_a_list() -> None:
    (fault,) = faults("a:\n  b:\n  \N{EN DASH} c: 1\n  \N{EN DASH} d\n")
    assert fault.endswith("begin the entries of a list with the plain dash of the keyboard, -")


def test_typed_follows_the_core_schema_and_leaves_quoted_text_alone() -> None:
    data = parse(
        "{a: 5, b: -0.5, c: true, d: '5', e: yes, f: 1e3, g: [1, {h: null}], i: 0x10, j: .5, k: 1_0}", "f"
    ).data()
    assert typed(data) == {
        "a": 5,
        "b": -0.5,
        "c": True,
        "d": "5",
        "e": "yes",
        "f": 1000.0,
        "g": [1, {"h": None}],
        "i": "0x10",
        "j": 0.5,
        "k": "1_0",
    }
    assert type(typed(Plain("x"))) is str


def test_place_finds_values_keys_and_the_nearest_thing_above() -> None:
    document = parse("a:\n  - b: 1\n    c: 2\n", "f.yaml")
    assert document.place(("a", 0, "c")) == Place(3, 8)
    assert document.place(("a", 0, "c"), of_key=True) == Place(3, 5)
    assert document.place(("a", 0, "nope")) == Place(2, 5)
    assert document.place(("a", 7)) == Place(2, 3)
    assert document.written(("a", 0, "c")) == "2"
    assert document.written(("a", 0, "nope", "deeper")) is None


def test_columns_count_characters() -> None:
    assert parse('{"ä": "ö", b: 1}', "f").place(("b",)) == Place(1, 15)


def test_aliases_are_expanded() -> None:
    assert parse("a: &x {b: 1}\nc: *x\n", "f").data() == {"a": {"b": "1"}, "c": {"b": "1"}}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: 1\nb: 2\na: 3\n", "f.yaml:3:1: a: the key is already used on line 1; remove one of them"),
        ("x:\n  - a: 1\n    a: 2\n", "f.yaml:3:5: x[0].a: the key is already used on line 2; remove one of them"),
        ("a: *b\n", 'f.yaml:1:4: a: there is no such anchor before this, got *b; write it in quotes: "*b"'),
        ("a: &a [*a]\n", 'f.yaml:1:8: a[0]: there is no such anchor before this, got *a; write it in quotes: "*a"'),
        ("a: *21*\n", 'f.yaml:1:7: a: not YAML: did not find expected alphabetic or numeric character; write text that begins with * in quotes, such as "*21*"'),
        ("a: !!python/name:os.system x\n", 'f.yaml:1:4: a: tags have no meaning here, got "tag:yaml.org,2002:python/name:os.system"; remove the tag'),
        ("a: &x {b: 1}\nc:\n  <<: *x\n", "f.yaml:3:3: c.<<: merge keys are not supported; write the keys out"),
        ("a: 1\n---\nb: 2\n", "f.yaml:2:1: a second document begins here; keep one document in a file"),
        ("? [a]\n: 1\n", "f.yaml:1:3: a key must be text, got a list; write one word before the colon"),
        ("a: b: c\n", "f.yaml:1:5: not YAML: mapping values are not allowed in this context; check quotes, colons and indentation here and on the line above"),
        ("a:\n\tb: 1\n", "f.yaml:2:1: a: not YAML: found character that cannot start any token; indent with spaces, not tabs"),
        ("a: {kind:b}\n", "f.yaml:1:5: a.kind: there is no space after the colon of kind; write kind: with a space before the value"),
        ("a:\n  kind:b\n  c: d\n", "f.yaml:3:4: not YAML: mapping values are not allowed in this context; write kind: with a space before the value"),
        ("a: 'b\n", "f.yaml:2:1: a: not YAML: found unexpected end of stream; check quotes, colons and indentation here and on the line above"),
    ],
)  # fmt: skip
def test_fault(text: str, fault: str) -> None:
    assert faults(text) == [fault]


@pytest.mark.parametrize("written", ["kind:b", 'kind:"b"', "kind:'b'"])
def test_a_key_and_value_without_a_space_are_still_read(written: str) -> None:
    """So that only this is reported, and not also that the key is missing."""
    document = parse(f"a: {{{written}, c: d}}", "f")
    assert document.data() == {"a": {"kind": "b", "c": "d"}}
    assert document.place(("a", "kind")) == Place(1, 10)


@pytest.mark.parametrize("text", ['{"kind":b}', "[kind:b, udp:127.0.0.1]", '{"kind:b"}', "{a:b: c}", "{http://h}"])
def test_a_colon_that_needs_no_space(text: str) -> None:
    assert faults(text) == []


def test_a_control_character_is_a_fault() -> None:
    assert faults("a: \x00") == [
        "f.yaml: not YAML: unacceptable character #x0000: control characters are not allowed; remove the character"
    ]
    assert "surrogates not allowed" in faults("a: \ud800")[0]


def test_all_faults_are_told_together() -> None:
    assert len(faults("a: 1\na: 2\nb: *x\nc: !t 1\n")) == 3


def test_after_a_syntax_error_nothing_is_usable() -> None:
    assert not parse("a: [1", "f").usable
    assert parse("", "f").usable
    assert parse("# only a comment\n", "f").data() is None


def test_depth_is_bounded() -> None:
    assert parse("[" * MAX_DEPTH + "]" * MAX_DEPTH, "f").usable
    deep = parse("[" * 5000, "f")
    assert "nested deeper than" in str(deep.problems[0])
    assert not deep.usable


def test_depth_by_aliases_is_bounded() -> None:
    text = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 100))
    assert "nested deeper than" in faults(text)[0]


def test_an_alias_bomb_does_not_go_off() -> None:
    text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
    )
    assert "values, aliases expanded" in faults(text)[0]
    assert not parse(text, "f").usable


def test_read_text_refuses_what_is_too_large_or_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(ValueError, match="larger than 1024 KiB; split it"):
        read_text(path)
    path.write_bytes(b"a: \xff")
    with pytest.raises(ValueError, match="not UTF-8 at byte 4; save it as UTF-8"):
        read_text(path)
    path.write_bytes(b"\xef\xbb\xbfa: 1")
    assert read_text(path) == "a: 1"


def test_dotted() -> None:
    assert dotted(["routes", 2, "steps", 0, "play", "file"]) == "routes[2].steps[0].play.file"
