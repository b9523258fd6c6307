"""Who is called, and by whom."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialplan.invite import invite, user_part


@pytest.mark.parametrize(
    ("address", "user"),
    [
        ("sip:600@192.0.2.1", "600"),
        ("sip:+4930@h;user=phone", "+4930"),
        ("sips:bob@h:5061;transport=tcp?X=y", "bob"),
        ("sip:bob:secret@h", "bob"),
        ("sip:+1212;phone-context=x;npdi@h", "+1212"),
        ("sip:%2A43%23@h", "*43#"),
        ('"Bob <x>" <sip:bob@h>;tag=1', "bob"),
        (r'"a \" <sip:evil@h>" <sip:bob@h>', "bob"),
        ("Bob <sip:bob@h>", "bob"),
        ("<tel:+49-30-(555).1;ext=5>", "+49305551"),
        ("tel:110", "110"),
        ("sip:192.0.2.1", ""),
        ("sip:h;user=phone", ""),
        ("mailto:bob@h", ""),
        ("", ""),
        ("<<<>>>", ""),
        ("sip:%FF@h", "\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_user_part(address: str, user: str) -> None:
    assert user_part(address) == user


def test_a_long_address_takes_time_in_proportion() -> None:
    """What a stranger writes is read on the loop of all calls. Twice per character would be a minute here."""
    code = "from gateway.dialplan import user_part; user_part('sip:s@h;tag=1' + ' ' * 200_000 + ';x=y')"
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[4], check=True, timeout=20)


@given(st.text(max_size=60))
def test_user_part_takes_anything(address: str) -> None:
    for text in (address, f"sip:{address}", f"<sip:{address}", f'"{address}" <sip:a@h>'):
        assert isinstance(user_part(text), str)


HEADERS = {
    "from": ('"B" <sip:from@h>;tag=1',),
    "to": ("<sip:+15550100@h>",),
    "p-asserted-identity": ("<sip:asserted@h>", "<tel:+1>"),
}


def test_the_request_uri_is_dialled_and_from_calls() -> None:
    found = invite("sip:600@h", HEADERS)
    assert (found.to, found.from_, found.trunk) == ("600", "from", None)
    assert found.headers["from"] == ('"B" <sip:from@h>;tag=1',)


def test_an_asserted_identity_counts_over_a_trusted_trunk_only() -> None:
    assert invite("sip:600@h", HEADERS, trunk="t", trust_identity=True).from_ == "asserted"
    assert invite("sip:600@h", HEADERS, trunk="t", trust_identity=False).from_ == "from"
    assert invite("sip:600@h", HEADERS, trunk=None, trust_identity=True).from_ == "from"
    assert invite("sip:600@h", {"from": ("<sip:a@h>",)}, trunk="t", trust_identity=True).from_ == "a"


@pytest.mark.parametrize(
    ("privacy", "caller"),
    [
        ("id", "anonymous"),
        ("user;ID;critical", "anonymous"),
        ("header", "asserted"),
        ("none", "asserted"),
        ("", "asserted"),
    ],
)
def test_a_caller_who_withholds_its_number_is_anonymous(privacy: str, caller: str) -> None:
    found = invite("sip:600@h", {**HEADERS, "privacy": (privacy,)}, trunk="t", trust_identity=True)
    assert found.from_ == caller
    assert found.headers["p-asserted-identity"] == ("<sip:asserted@h>", "<tel:+1>")


def test_to_is_dialled_when_the_request_uri_only_names_our_account() -> None:
    assert invite("sip:acc@h", HEADERS, trunk="t", account="acc").to == "+15550100"
    assert invite("sip:h", HEADERS, trunk="t", account="acc").to == "+15550100"
    assert invite("sip:600@h", HEADERS, trunk="t", account="acc").to == "600"
    assert invite("sip:acc@h", HEADERS, trunk="t", account="acc", called_number="request-uri").to == "acc"
    assert invite("sip:600@h", HEADERS, trunk="t", called_number="to").to == "+15550100"
    assert invite("sip:acc@h", {}, trunk="t", account="acc").to == "acc"


def test_a_caller_may_have_no_name() -> None:
    assert invite("sip:600@h", {"from": ("<sip:anonymous.invalid>",)}).from_ == ""
    assert invite("sip:600@h", {}).from_ == ""
