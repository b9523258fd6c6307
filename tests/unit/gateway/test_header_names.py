"""Header names: case and short forms."""

from __future__ import annotations

import pytest

from gateway.header_names import fold_headers, header_key, spellings


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("Subject", "subject"),
        ("S", "subject"),
        ("s", "subject"),
        (" i ", "call-id"),
        ("n", "identity-info"),
        ("Y", "identity"),
        ("X-Tier", "x-tier"),
        ("z", "z"),
        ("", ""),
    ],
)
def test_a_header_has_one_key(written: str, key: str) -> None:
    assert header_key(written) == key
    assert header_key(header_key(written)) == key


def test_spellings_lead_back_to_their_key() -> None:
    assert spellings("content-type") == ("content-type", "c")
    assert spellings("x-tier") == ("x-tier",)


def test_values_of_all_spellings_keep_their_order() -> None:
    folded = fold_headers([("Subject", "a"), ("X-Tier", "gold"), ("s", "b"), ("SUBJECT", "c")])
    assert folded == {"subject": ("a", "b", "c"), "x-tier": ("gold",)}
