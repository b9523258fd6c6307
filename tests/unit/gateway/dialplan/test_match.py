"""Patterns, keys, and which route wins."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from gateway.dialplan.invite import Invite
from gateway.dialplan.load import load_text
from gateway.dialplan.match import Miss, find_route, misses
from gateway.dialplan.pattern import pattern
from gateway.dialplan.plan import Plan
from gateway.header_names import fold_headers

if TYPE_CHECKING:
    from collections.abc import Mapping


def call(to: str = "600", from_: str = "+491", trunk: str | None = None, **headers: str) -> Invite:
    return Invite(to, from_, trunk, fold_headers((name.replace("_", "-"), value) for name, value in headers.items()))


def winner(match: str, invite: Invite) -> bool:
    text = f"routes: [{{name: a, match: {match}, steps: [hangup]}}]"
    return find_route(load_text(text, Path("d.yaml")).plan, invite) is not None


@pytest.mark.parametrize(
    ("written", "yes", "no"),
    [
        ("600", ["600"], ["6000", "60", "", "*600"]),
        ("+4930*", ["+4930", "+493055"], ["4930", "+4940"]),
        ("*", ["x"], [""]),
        ("*43", ["*43"], ["43", "x43", "*431"]),
        ("*43*", ["*43", "*431"], ["43"]),
        (r"regex:\+49(30|40)\d+", ["+49305", "+49401"], ["+4930", "x+49305", "+49305x", ""]),
        ("regex:.*", ["", "x"], []),
        ("regex:(?i)gold", ["GOLD"], ["silver"]),
        ("600 ", [], ["600"]),
    ],
)
def test_pattern(written: str, yes: list[str], no: list[str]) -> None:
    found = pattern(written)
    assert [subject for subject in yes if not found.matches(subject)] == []
    assert [subject for subject in no if found.matches(subject)] == []
    assert str(found) == written


@pytest.mark.parametrize("written", ["gol*", "regex:gol.", "regex:.*l.*"])
def test_bytes_that_were_no_utf8_are_some_letter(written: str) -> None:
    assert pattern(written).matches(b"gol\xff".decode(errors="surrogateescape"))
    assert not pattern("gold").matches("gol\udcff")


@pytest.mark.parametrize(
    "written", ["", "regex:", "regex:(", "regex:(?=a)", r"regex:(a)\1", "regex:a{2000}", "regex:" + "a" * 1025]
)
def test_no_pattern(written: str) -> None:
    with pytest.raises(PydanticCustomError):
        pattern(written)


def test_a_regular_expression_takes_linear_time() -> None:
    # Backtracking engines need more than the age of the world for this.
    evil, subject = pattern("regex:(a|a)*(a|a)*(a*)*b"), "a" * 60_000
    start = time.process_time()
    assert not evil.matches(subject)
    assert time.process_time() - start < 2


def test_each_key_looks_at_its_own() -> None:
    invite = call("1", "2", "t", X_Tier="gold")
    assert all(winner(match, invite) for match in ("{to: 1}", "{from: 2}", "{trunk: t}", "{header: {X-Tier: gold}}"))
    assert not any(
        winner(match, invite) for match in ("{to: 2}", "{from: 1}", "{trunk: u}", "{header: {X-Tier: lead}}")
    )


def test_keys_are_anded_and_lists_ored() -> None:
    invite = call("1", "2")
    assert winner("{to: [5, 1], from: 2}", invite)
    assert not winner("{to: [5, 1], from: 3}", invite)


def test_a_call_over_no_trunk_matches_no_trunk_key() -> None:
    assert not winner("{trunk: '*'}", call())
    assert not winner("{trunk: 'regex:.*'}", call())
    assert winner("{trunk: '*'}", call(trunk="t"))


def test_header_names_have_no_case_and_any_value_counts() -> None:
    headers: Mapping[str, tuple[str, ...]] = fold_headers(
        [("X-tier", "lead"), ("X-tier", "gold"), ("x-TIER", "tin"), ("s", "Hi")]
    )
    invite = Invite("1", "2", None, headers)
    assert winner("{header: {x-TiEr: gold}}", invite)
    assert winner("{header: {X-Tier: tin}}", invite)
    assert winner("{header: {Subject: Hi}}", invite)
    assert not winner("{header: {X-Tier: Gold}}", invite)
    assert not winner("{header: {X-Other: '*'}}", invite)


def test_the_first_that_matches_wins_and_none_may() -> None:
    plan = load_text(
        """
routes:
  - {name: helper, steps: [hangup]}
  - {name: a, match: {to: '6*'}, steps: [goto: helper]}
  - {name: b, match: {to: 600}, steps: [hangup]}
""",
        Path("d.yaml"),
    ).plan
    found = find_route(plan, call("600"))
    assert found is not None
    assert found.name == "a"
    assert find_route(plan, call("7")) is None


def test_misses_name_key_wanted_and_got() -> None:
    plan = load_text(
        "routes: [{name: a, match: {to: [1, 2], from: '*', trunk: t, header: {X-A: b}}, steps: [hangup]}]",
        Path("d.yaml"),
    ).plan
    match = plan.routes[0].match
    assert match is not None
    assert list(misses(match, call("3", "", X_A="c"))) == [
        Miss("to", ("1", "2"), ("3",)),
        Miss("from", ("*",), ("",)),
        Miss("trunk", ("t",), ()),
        Miss("header X-A", ("b",), ("c",)),
    ]


NUMBERS = ["", "1", "12", "123", "13", "2"]
WANTED = st.lists(st.sampled_from(["1", "12", "123", "1*", "12*", "*", "regex:1.", "2"]), min_size=1, max_size=3)
MATCHES = st.one_of(
    st.none(),
    st.just({"any": "true"}),
    st.dictionaries(st.sampled_from(["to", "from", "trunk"]), WANTED, min_size=1),
    st.fixed_dictionaries({"header": st.dictionaries(st.sampled_from(["A", "B"]), WANTED, min_size=1)}),
)


@given(st.lists(MATCHES, max_size=8), st.sampled_from(NUMBERS), st.sampled_from(NUMBERS), st.sampled_from(NUMBERS))
def test_it_is_the_first_of_all_routes_that_nothing_speaks_against(
    matches: list[dict[str, object] | None], to: str, from_: str, other: str
) -> None:
    routes: list[dict[str, object]] = []
    for index, match in enumerate(matches):
        name = f"r{index}"
        routes.append({"name": name, "steps": ["hangup"], **({} if match is None else {"match": match})})
        routes.append({"name": f"to-{name}", "steps": [{"goto": name}], "match": {"to": "nobody"}})
    routes.append({"name": "last", "steps": ["hangup"], "match": {"to": "nobody"}})
    plan = load_text(json.dumps({"routes": routes}), Path("d.yaml")).plan
    invite = call(to, from_, other or None, A=to, B=other)
    for route in plan.routes:
        if route.match is not None and not list(misses(route.match, invite)):
            assert find_route(plan, invite) is route
            break
    else:
        assert find_route(plan, invite) is None


@pytest.mark.parametrize(
    "key", ["to: '{}'", "to: ['{}', '{}*']", "trunk: t, to: '+49{}*'", "to: '{}', header: {{X-A: b}}"]
)
def test_ten_thousand_numbers_are_found_in_no_time(key: str) -> None:
    lines = (f"  - {{name: r{n}, match: {{{key.format(n, n)}}}, steps: [hangup]}}" for n in range(10_000, 12_000))
    plan = load_text("routes:\n" + "\n".join(lines), Path("d.yaml")).plan
    plan = Plan(plan.routes * 5)
    start = time.process_time()
    for _ in range(100):
        assert find_route(plan, call("+4930")) is None
    assert time.process_time() - start < 0.1
