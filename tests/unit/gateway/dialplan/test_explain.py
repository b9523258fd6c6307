"""Why a call goes where it goes."""

from __future__ import annotations

import json
from pathlib import Path

from gateway.dialplan.explain import as_json, as_text, explain
from gateway.dialplan.invite import Invite
from gateway.dialplan.load import load_text
from gateway.settings.shipped import DIALPLANS

PLAN = load_text(
    """\
routes:
  - {name: gold, match: {trunk: carrier, header: {X-Tier: gold}}, steps: [answer]}
  - {name: helper, steps: [reject: {code: 503, reason: Later, retry_after: 90s}]}
  - name: sales
    match: {to: ["600", "6*"]}
    steps:
      - ring: {early: true}
      - play: {file: sounds/sorry.wav, repeat: 2}
      - pause: 1500ms
      - agent: {name: bot, max_duration: 30m, on_busy: {goto: helper}, on_error: next}
      - goto: helper
    fallback: [hangup: error]
""",
    DIALPLANS / "d.yaml",
    agents=["bot"],
).plan
CALL = Invite("601", "+491", None, {"x-tier": ("tin",)})


def test_text() -> None:
    assert (
        as_text(explain(PLAN, CALL))
        == f"""\
call to 601 from +491, over no trunk
  no    gold (d.yaml:2): trunk is none, wanted "carrier"; header X-Tier is "tin", wanted "gold"
  no    helper (d.yaml:3): it has no match: only goto or an agent leads to it
  TAKES sales (d.yaml:4)
steps of sales
  1. ring: {{early: true}}
  2. play: {{file: {DIALPLANS}/sounds/sorry.wav, repeat: 2}}
  3. pause: {{duration: 1.5s}}
  4. agent: {{name: bot, max_duration: 1800s, on_busy: {{goto: helper}}, on_error: next}}
  5. goto: {{route: helper}}
fallback of sales
  1. hangup: {{cause: error}}
steps of helper
  1. reject: {{code: 503, reason: Later, retry_after: 90s}}"""
    )


def test_text_when_no_route_takes_it() -> None:
    assert (
        as_text(explain(PLAN, Invite("", "", "carrier", {})))
        == """\
call to nobody from nobody, over trunk carrier
  no    gold (d.yaml:2): header X-Tier is none, wanted "gold"
  no    helper (d.yaml:3): it has no match: only goto or an agent leads to it
  no    sales (d.yaml:4): to is "", wanted "600" or "6*"
  no route takes it: the caller is answered 404"""
    )


def test_json_says_the_same() -> None:
    found = json.loads(json.dumps(as_json(explain(PLAN, CALL))))
    assert found["call"] == {"to": "601", "from": "+491", "trunk": None, "headers": {"x-tier": ["tin"]}}
    assert found["route"] == "sales"
    assert found["passed"][0] == {
        "route": "gold",
        "file": str(DIALPLANS / "d.yaml"),
        "line": 2,
        "misses": [
            {"key": "trunk", "wanted": ["carrier"], "got": []},
            {"key": "header X-Tier", "wanted": ["gold"], "got": ["tin"]},
        ],
    }
    assert [route["route"] for route in found["routes"]] == ["sales", "helper"]
    assert found["routes"][0]["fallback"] == ["hangup: {cause: error}"]


def test_a_circle_of_gotos_is_walked_once() -> None:
    plan = load_text(
        "routes: [{name: a, match: {any: true}, steps: [pause: 1s, goto: b]}, {name: b, steps: [pause: 1s, goto: a]}]",
        Path("d.yaml"),
    ).plan
    assert [route.name for route in explain(plan, CALL).reached] == ["a", "b"]
