"""docs/records.md names every field and every cause, and says of each what the code does."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from gateway.calls.outcome import EndCause
from gateway.calls.party_record import PartyRecord
from gateway.calls.record import CallRecord

DOCUMENT = (Path(__file__).parents[4] / "docs/records.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")] for line in DOCUMENT.splitlines() if line.startswith("| `")
]


FIELDS = [field.name.rstrip("_") for one in (CallRecord, PartyRecord) for field in dataclasses.fields(one)]


@pytest.mark.parametrize("name", [name for name in FIELDS if name != "party"])
def test_every_field_is_described(name: str) -> None:
    assert any(f"`{name}`" in row[0] for row in ROWS)


@pytest.mark.parametrize("cause", EndCause)
def test_every_cause_is_described(cause: EndCause) -> None:
    (row,) = [row for row in ROWS if row[0] == f"`{cause.value}`"]
    assert row[1:3] == [cause.ended_by.value, cause.responsibility.value]
