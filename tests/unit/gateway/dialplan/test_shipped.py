"""The dialplans that come with Offhook load, and route as their comments say."""

from __future__ import annotations

import wave
from typing import TYPE_CHECKING

import pytest

from gateway.dialplan import LoadedPlan, find_route, invite, load_plan
from gateway.header_names import fold_headers
from gateway.settings import load_settings
from gateway.settings.shipped import DIALPLANS

if TYPE_CHECKING:
    from pathlib import Path

NEEDS = {
    "default.yaml": (load_settings(None).settings.agents.keys(), ()),
    "office.yaml": (("receptionist", "billing"), ("carrier",)),
    "nightshift.yaml": (("duty",), ()),
}


def shipped(name: str) -> LoadedPlan:
    agents, trunks = NEEDS[name]
    return load_plan([DIALPLANS / name], agents=agents, trunks=trunks)


def route(name: str, to: str, from_: str = "+491", trunk: str | None = None, **headers: str) -> str | None:
    fields = fold_headers(
        [("From", f"<sip:{from_}@h>"), *((key.replace("_", "-"), value) for key, value in headers.items())]
    )
    found = find_route(shipped(name).plan, invite(f"sip:{to}@h", fields, trunk=trunk))
    return found.name if found else None


@pytest.mark.parametrize("path", sorted(DIALPLANS.glob("*.yaml")), ids=lambda path: path.name)
def test_it_loads_without_a_warning(path: Path) -> None:
    assert shipped(path.name).warnings == ()


@pytest.mark.parametrize(
    ("to", "name"),
    [
        ("600", "echo"),
        ("*43", "echo"),
        ("601", "tone"),
        ("602", "welcome"),
        ("+15550100", "welcome"),
        ("+15550101", "unknown-number"),
        ("", "unknown-number"),
    ],
)
def test_default(to: str, name: str) -> None:
    assert route("default.yaml", to) == name


def test_office() -> None:
    assert route("office.yaml", "+4930555123", trunk="carrier", X_Tier="gold") == "gold"
    assert route("office.yaml", "+49305552", trunk="carrier") == "reception"
    assert route("office.yaml", "+49305552 01".replace(" ", ""), trunk="carrier") == "billing"
    assert route("office.yaml", "+4930555123", "anonymous", trunk="carrier") == "nuisance"
    assert route("office.yaml", "+4930555123", "+2348012", trunk="carrier") == "nuisance"
    assert route("office.yaml", "+4930555123", trunk="carrier", Privacy="id") == "nuisance"
    assert route("office.yaml", "+1", trunk="carrier") == "not-ours"
    assert route("office.yaml", "+4930555123") == "stranger"


def test_nightshift() -> None:
    assert route("nightshift.yaml", "duty") == "duty"
    assert route("nightshift.yaml", "come-back") == "others"


@pytest.mark.parametrize("path", sorted((DIALPLANS / "sounds").glob("*.wav")), ids=lambda path: path.name)
def test_sounds_are_small_and_telephone_like(path: Path) -> None:
    with wave.open(str(path)) as sound:
        assert (sound.getnchannels(), sound.getsampwidth(), sound.getframerate()) == (1, 2, 16_000)
        assert 1 < sound.getnframes() / sound.getframerate() < 15
    assert path.stat().st_size < 300_000
