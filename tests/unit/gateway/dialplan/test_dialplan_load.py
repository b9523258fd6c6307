# ruff: noqa: E501 - messages are compared as they are printed, on one line
"""Dialplan files: what they may say, and every kind of fault."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from gateway.dialplan.control import Cause
from gateway.dialplan.load import LoadedPlan, load_plan, load_text
from gateway.dialplan.pattern import Exact, Prefix
from gateway.dialplan.steps import (
    AgentStep,
    AnswerStep,
    HangupStep,
    JumpTo,
    PauseStep,
    PlayStep,
    RejectStep,
    RingStep,
)
from gateway.settings import DialplanError
from gateway.settings.shipped import DIALPLANS

if TYPE_CHECKING:
    from pathlib import Path

SORRY = DIALPLANS / "sounds" / "sorry.wav"


def load(text: str, agents: tuple[str, ...] = ("echo",), trunks: tuple[str, ...] | None = ("carrier",)) -> LoadedPlan:
    return load_text(text, DIALPLANS / "d.yaml", agents=agents, trunks=trunks)


def faults(text: str) -> list[str]:
    with pytest.raises(DialplanError) as caught:
        load(text)
    return [line.removeprefix(f"{DIALPLANS}/") for line in str(caught.value).splitlines()]


def steps_faults(steps: str, fallback: str = "[]") -> list[str]:
    text = f"routes: [{{name: a, match: {{any: true}}, fallback: {fallback}, steps: {steps}}}]"
    return [fault.partition(": ")[2] for fault in faults(text)]


def test_every_step_in_its_long_and_its_short_form() -> None:
    (route,) = load(
        """
        version: 1
        routes:
          - name: a
            match: {to: 600, from: "+49*", trunk: carrier, header: {X-Tier: [gold, silver]}}
            steps:
              - ring: {early: true}
              - ring
              - play: sounds/sorry.wav
              - play: {file: sounds/sorry.wav, repeat: 2}
              - pause: 500ms
              - answer: {}
              - answer:
              - agent: echo
              - agent: {name: echo, max_duration: 30m, on_busy: next, on_error: {goto: a}}
              - hangup: busy
            fallback:
              - hangup
        """
    ).plan.routes
    assert route.steps == (
        RingStep(early=True),
        RingStep(),
        PlayStep(file=SORRY),
        PlayStep(file=SORRY, repeat=2),
        PauseStep(duration=0.5),
        AnswerStep(),
        AnswerStep(),
        AgentStep(name="echo"),
        AgentStep(name="echo", max_duration=1800.0, on_busy="next", on_error=JumpTo(goto="a")),
        HangupStep(cause=Cause.BUSY),
    )
    assert route.fallback == (HangupStep(),)
    assert route.match is not None
    assert route.match.to == (Exact("600"),)
    assert route.match.from_ == (Prefix("+49"),)
    assert route.match.header == (("X-Tier", (Exact("gold"), Exact("silver"))),)
    assert (route.file, route.line) == (DIALPLANS / "d.yaml", 4)


def test_reject_in_full() -> None:
    text = "routes: [{name: a, match: {any: true}, steps: [{reject: {code: 503, reason: Come back, retry_after: 2m}}]}]"
    assert load(text).plan.routes[0].steps == (RejectStep(code=503, reason="Come back", retry_after=120.0),)


def test_all_faults_are_told_together_each_at_its_place() -> None:
    text = """\
version: 2
rutes: 1
routes:
  - nam: x
    match: {too: 1}
    steps: [play, {play: nope.wav, pause: 1s}, {plai: x}, answer: 5, {agent: ekko}]
  - name: a
    match: {any: true, to: 5}
    steps: [hangup, answer]
  - name: a
    match: {}
    steps: []
    fallback: [{agent: {name: echo, on_busy: fallback}}]
  - name: b
    match: {to: "regex:(a", header: {X-Y: [], Z: {a: 1}}, trunk: carier, from: ""}
    steps: [reject: 200, {play: nope.wav}, {hangup: nromal}]
  - 5
  - {name: "bad name!", match: 5, steps: {a: b}}
"""
    assert faults(text) == [
        'd.yaml:1:10: version: not one of the words allowed here, got "2"; write 1',
        'd.yaml:2:1: rutes: there is no such key; did you mean "routes"?',
        "d.yaml:4:5: routes[0].name: the key is missing; add it",
        'd.yaml:4:5: routes[0].nam: there is no such key; did you mean "name"?',
        'd.yaml:5:13: routes[0].match.too: there is no such key; did you mean "to"?',
        "d.yaml:6:13: routes[0].steps[0].play.file: the key is missing; add it",
        ("d.yaml:6:19: routes[0].steps[1]: a step is a map of one key, got a mapping; "
        "write - play: {file: hello.wav}, one dash for each step"),
        ('d.yaml:6:49: routes[0].steps[2].plai: there is no such step; did you mean "play"? '
        "use one of answer, ring, play, pause, agent, reject, hangup, goto"),
        'd.yaml:6:59: routes[0].steps[3].answer: answer takes no value of its own, got "5"; write answer: {}',
        'd.yaml:6:78: routes[0].steps[4].agent.name: there is no such agent, got "ekko"; use one of echo',
        "d.yaml:8:5: routes[1].match: any: true stands beside other keys; remove one or the other",
        "d.yaml:9:21: routes[1].steps[1].answer: it never runs: hangup comes before; remove it, or move it up",
        f'd.yaml:10:11: routes[2].name: the name is taken by the route at {DIALPLANS}/d.yaml:7, got "a"; choose another',
        "d.yaml:11:5: routes[2].match: it asks for nothing; write any: true to match every call",
        "d.yaml:12:12: routes[2].steps: it is empty, got an empty list; write at least one",
        ('d.yaml:13:46: routes[2].fallback[0].agent.on_busy: a fallback has no fallback, got "fallback"; '
        "write next, hangup or {goto: route}"),
        ('d.yaml:15:17: routes[3].match.to: not a regular expression: missing ): (a, got "regex:(a"; '
        "correct the expression (RE2 syntax: no look-around, no back references)"),
        "d.yaml:15:43: routes[3].match.header.X-Y: the list is empty; write at least one pattern, or remove the key",
        'd.yaml:15:50: routes[3].match.header.Z: not text; write a pattern, as "+4930*"',
        ('d.yaml:15:66: routes[3].match.trunk: there is no such trunk, got "carier"; '
        'did you mean "carrier"? or define it under trunks in the settings'),
        'd.yaml:15:80: routes[3].match.from: it is empty, got ""; write a text, or "*" for any',
        'd.yaml:16:21: routes[3].steps[0].reject.code: less than 400, got "200"; write 400 or more',
        (f'd.yaml:16:33: routes[3].steps[1].play.file: cannot read {DIALPLANS}/nope.wav: No such file or directory, '
        'got "nope.wav"; create it, or correct the path; it is relative to the directory of this file'),
        "d.yaml:16:33: routes[3].steps[1].play: it never runs: reject comes before; remove it, or move it up",
        ('d.yaml:16:53: routes[3].steps[2].hangup.cause: not one of the words allowed here, got "nromal"; '
        'did you mean "normal"? use one of normal, busy, declined, unavailable, congestion, error'),
        'd.yaml:17:5: routes[4]: not a mapping, got "5"; write keys with values, such as key: value',
        ('d.yaml:18:12: routes[5].name: not a name, got "bad name!"; use letters, digits, dot, dash and underscore, '
        "at most 64, a letter or digit first"),
        'd.yaml:18:32: routes[5].match: not a mapping, got "5"; write keys with values, such as key: value',
        "d.yaml:18:42: routes[5].steps: not a list, got a mapping; write [a, b], or one line with a dash for each",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("steps", "fault"),
    [
        ("[{goto: bee}]", 'routes[0].steps[0].goto.route: there is no such route, got "bee"; use one of a'),
        (
            "[{agent: {name: echo, on_busy: {goto: bee}}}]",
            'routes[0].steps[0].agent.on_busy.goto: there is no such route, got "bee"; use one of a',
        ),
        (
            "[{agent: {name: echo, on_busy: {gto: a}}}]",
            "routes[0].steps[0].agent.on_busy: not a valid way to continue; write next, fallback, hangup or {goto: route}",
        ),
        (
            "[{agent: {name: echo, on_error: retry}}]",
            'routes[0].steps[0].agent.on_error: not a valid way to continue, got "retry"; write next, fallback, hangup or {goto: route}',
        ),
        (
            "[{agent: {name: echo, on_error: {goto: not a name}}}]",
            (
                "routes[0].steps[0].agent.on_error: not a name; use letters, digits, dot, dash and underscore, at most 64, "
                "a letter or digit first"
            ),
        ),
        (
            "[{agent: {name: echo, on_busy: fallback}}]",
            (
                'routes[0].steps[0].agent.on_busy: the route has no fallback, got "fallback"; '
                "add fallback: to the route, or write next, hangup or {goto: route}"
            ),
        ),
        (
            "[{goto: a}]",
            "routes[0].steps[0].goto: it goes in a circle without a pause: a -> a; end one of the routes otherwise",
        ),
        ("[hangup, answer]", "routes[0].steps[1].answer: it never runs: hangup comes before; remove it, or move it up"),
        ("[answer, {reject: 404}]", "routes[0].steps[1].reject: the call is answered by then; use hangup"),
        ("[answer, ring]", "routes[0].steps[1].ring: the call is answered by then; move it up, or remove it"),
        (
            "[{play: sounds/sorry.wav}, {reject: 404}]",
            "routes[0].steps[1].reject: the call is answered by then; use hangup",
        ),
        (
            "[agent:echo]",
            "routes[0].steps[0].agent:echo: there is no space after the colon of agent; write agent: with a space before the value",
        ),
        (
            "[dial: 1]",
            (
                "routes[0].steps[0].dial: there is no such step; "
                "use one of answer, ring, play, pause, agent, reject, hangup, goto"
            ),
        ),
        ("[{agent: echo}, {reject: 404}]", "routes[0].steps[1].reject: the call is answered by then; use hangup"),
        (
            "[{reject: 401}]",
            "routes[0].steps[0].reject: 401 asks for a password, and nothing here checks one; reject with 403",
        ),
        ("[{reject: 302}]", 'routes[0].steps[0].reject.code: less than 400, got "302"; write 400 or more'),
        ("[{reject: 700}]", 'routes[0].steps[0].reject.code: more than 699, got "700"; write 699 or less'),
        (
            "[{reject: {code: 405, retry_after: 5s}}]",
            (
                "routes[0].steps[0].reject: retry_after has no meaning with 405; "
                "remove it, or use one of 404, 413, 480, 486, 500, 503, 600, 603"
            ),
        ),
        (
            "[{pause: 0s}]",
            'routes[0].steps[0].pause.duration: must be longer than zero, got "0s"; write a longer duration, such as 5s',
        ),
        (
            "[{play: {file: sounds/sorry.wav, repeat: 0}}]",
            'routes[0].steps[0].play.repeat: less than 1, got "0"; write 1 or more',
        ),
        (
            "[[a]]",
            "routes[0].steps[0]: a step is a map of one key, got a list; write - play: {file: hello.wav}, one dash for each step",
        ),
        (
            "[{play: [a]}]",
            "routes[0].steps[0].play: not a mapping, got a list; write keys with values, such as key: value",
        ),
    ],
)
def test_a_fault_in_steps(steps: str, fault: str) -> None:
    assert steps_faults(steps) == [fault]


def test_a_service_code_without_quotes_is_the_only_fault_told_where_it_stands() -> None:
    text = """
routes:
  - name: a
    match: {to: *43}
    steps: [hangup]
  - name: *8
    match: {trunk: [carrier, *9], header: {X-A: *7}}
    steps: [*4, play: *5, hangup: {cause: *6}]
  - {name: b, match: {frm: *3}, steps: [hangup]}
"""
    assert faults(text) == [
        'd.yaml:4:17: routes[0].match.to: there is no such anchor before this, got *43; write it in quotes: "*43"',
        'd.yaml:6:11: routes[1].name: there is no such anchor before this, got *8; write it in quotes: "*8"',
        'd.yaml:7:30: routes[1].match.trunk[1]: there is no such anchor before this, got *9; write it in quotes: "*9"',
        'd.yaml:7:49: routes[1].match.header.X-A: there is no such anchor before this, got *7; write it in quotes: "*7"',
        'd.yaml:8:13: routes[1].steps[0]: there is no such anchor before this, got *4; write it in quotes: "*4"',
        'd.yaml:8:23: routes[1].steps[1].play: there is no such anchor before this, got *5; write it in quotes: "*5"',
        'd.yaml:8:43: routes[1].steps[2].hangup.cause: there is no such anchor before this, got *6; write it in quotes: "*6"',
        'd.yaml:9:23: routes[2].match.frm: there is no such key; did you mean "from"?',
        'd.yaml:9:28: routes[2].match.frm: there is no such anchor before this, got *3; write it in quotes: "*3"',
    ]


@pytest.mark.parametrize(
    ("match", "fault"),
    [
        (
            "{trunk: carrier, to: }",
            'match.to: nothing stands behind it; write a pattern, as "+4930*", or remove the key',
        ),
        ("{from: }", 'match.from: nothing stands behind it; write a pattern, as "+4930*", or remove the key'),
        (
            "{header: {X-A: }}",
            'match.header.X-A: nothing stands behind it; write a pattern, as "+4930*", or remove the key',
        ),
        ("{to: '1', header: }", "match.header: no header is named; write X-Tier: gold below it, or remove the key"),
    ],
)
def test_an_empty_key_asks_for_nothing_and_is_a_fault(match: str, fault: str) -> None:
    (told,) = faults(f"routes: [{{name: a, match: {match}, steps: [hangup]}}]")
    assert told.partition("routes[0].")[2] == fault


@pytest.mark.parametrize(
    ("step", "example"),
    [
        ("{agent: echo, max_duration: 5m}", "agent: {name: echo, max_duration: 5m}"),
        ("{agent: , name: echo, on_error: {goto: a}}", "agent: {name: echo, on_error: ...}"),
        ("{early: true, ring: }", "ring: {early: true}"),
        ("{agent: echo, colour: red}", "play: {file: hello.wav}"),
        ("{answer: , hangup: }", "play: {file: hello.wav}"),
    ],
)
def test_a_step_of_several_keys_is_told_how_to_write_what_was_meant(step: str, example: str) -> None:
    (told,) = steps_faults(f"[{step}]")
    assert told.partition("; ")[2] == f"write - {example}, one dash for each step"


def test_a_fallback_has_no_fallback() -> None:
    assert steps_faults("[answer]", "[{agent: {name: echo, on_error: fallback}}]") == [
        (
            'routes[0].fallback[0].agent.on_error: a fallback has no fallback, got "fallback"; '
            "write next, hangup or {goto: route}"
        )
    ]


@pytest.mark.parametrize(
    "steps",
    [
        "[ring: {early: true}, play: sounds/sorry.wav, reject: 404]",
        "[agent: {name: echo, on_busy: next}, reject: 486]",
        "[agent: {name: echo, on_busy: {goto: b}}]",
        "[play: sounds/sorry.wav, goto: a]",
    ],
)
def test_no_fault_in_steps(steps: str) -> None:
    load(f"routes: [{{name: a, match: {{any: true}}, steps: {steps}}}, {{name: b, match: {{to: x}}, steps: [hangup]}}]")


def test_a_circle_of_several_routes_is_told_once() -> None:
    text = """
routes:
  - {name: in, match: {any: true}, steps: [answer, goto: a]}
  - {name: a, steps: [goto: b]}
  - {name: b, steps: [answer, goto: c]}
  - {name: c, steps: [goto: a]}
"""
    assert [fault.partition(": ")[2] for fault in faults(text)] == [
        "routes[1].steps[0].goto: it goes in a circle without a pause: a -> b -> c -> a; end one of the routes otherwise"
    ]


def test_what_is_wrong_with_the_whole_is_told_beside_what_is_wrong_with_its_parts() -> None:
    text = """
routes:
  - {name: in, match: {any: true}, steps: [{play: gone.wav}, {agent: {name: ekko, on_busy: {goto: nowhere}, x: 1}}]}
  - {name: a, match: {to: a}, steps: [answer: 5, goto: b]}
  - {name: b, match: {to: "regex:("}, steps: [goto: a]}
  - {name: alone, steps: [reject: 200]}
"""
    assert [re.sub(r"^d.yaml:(\S+) ([^:]*: [^,;]*).*", r"\1 \2", fault) for fault in faults(text)] == [
        f"3:51: routes[0].steps[0].play.file: cannot read {DIALPLANS}/gone.wav: No such file or directory",
        "3:77: routes[0].steps[1].agent.name: there is no such agent",
        "3:99: routes[0].steps[1].agent.on_busy.goto: there is no such route",
        "3:109: routes[0].steps[1].agent.x: there is no such key",
        "4:39: routes[1].steps[0].answer: answer takes no value of its own",
        "4:56: routes[1].steps[1].goto: it goes in a circle without a pause: a -> b -> a",
        "5:27: routes[2].match.to: not a regular expression: missing ): (",
        "6:35: routes[3].steps[0].reject.code: less than 400",
    ]


@pytest.mark.parametrize(
    ("routes", "fault"),
    [
        # A goto to a route that is there, whatever is wrong with it.
        ("{name: a, match: {any: true}, steps: [goto: b]}, {name: b, steps: 5}", "not a list"),
        ("{name: a, match: {any: true}, steps: [goto: b]}, {name: b, mach: 5, steps: [hangup]}", "no such key"),
        # A goto to what may be the route whose name cannot be read.
        ("{name: a, match: {any: true}, steps: [goto: b]}, {nam: b, match: {to: b}, steps: [hangup]}", "no such key"),
        ("{name: a, match: {any: true}, steps: [goto: b]}, b", "not a mapping"),
        # A route that a goto leads to, or is meant to.
        ("{name: a, match: {any: true}, steps: [gto: b]}, {name: b, steps: [hangup]}", "no such step"),
        ("{name: a, match: {any: true}, steps: [{goto: bob}]}, {name: bobby, steps: [hangup]}", "no such route"),
        ("{name: a, match: {any: true}, steps: [{goto: b, x: 1}]}, {name: b, steps: [hangup]}", "map of one key"),
        ("{name: a, match: {any: true}, steps: [{goto: {rout: b}}]}, {name: b, steps: [hangup]}", "no such key"),
        ("{name: a, match: {any: true}, steps: {goto: b}}, {name: b, steps: [hangup]}", "not a list"),
        ("{name: a, match: {any: true}, stepps: [goto: b]}, {name: b, steps: [hangup]}", "no such key"),
        # A match that is there, though not right.
        ("{name: a, match: 5, steps: [hangup]}", "not a mapping"),
        ("{name: a, mach: {any: true}, steps: [hangup]}", "no such key"),
        ("{name: a, match: {too: 600}, steps: [hangup]}", "no such key"),
        ("{name: a, match: {to: 'regex:('}, steps: [hangup]}", "not a regular expression"),
        # A circle in which a step may take time that cannot be read, or that ends before.
        ("{name: a, match: {any: true}, steps: [pauze: 1s, goto: a]}", "no such step"),
        ("{name: a, match: {any: true}, steps: [pause: 1, goto: a]}", "not a duration"),
        ("{name: a, match: {any: true}, steps: [hangup, goto: a]}", "never runs"),
        # An order that a step decides which cannot be read.
        ("{name: a, match: {any: true}, steps: [rin: {early: true}, play: sounds/sorry.wav, reject: 404]}", "no such"),
        ("{name: a, match: {any: true}, steps: [ring: {early: 5}, play: sounds/sorry.wav, reject: 404]}", "true nor"),
        ("{name: a, match: {any: true}, steps: [agent: {name: echo, on_busy: nxt}, reject: 486]}", "not a valid way"),
        # A fallback that cannot be read.
        ("{name: a, match: {any: true}, steps: [agent: {name: echo, on_busy: fallback}], fallback: 5}", "not a list"),
        ("{name: a, match: {any: true}, steps: [agent: {name: echo, on_busy: fallback}], falback: 5}", "no such key"),
    ],
)
def test_no_fault_is_told_that_another_may_have_caused(routes: str, fault: str) -> None:
    found = [one for one in faults(f"routes: [{routes}]") if "the key is missing" not in one]
    assert len(found) == 1, found
    assert fault in found[0]


@pytest.mark.parametrize("other", ["routes: [", "rutes: []", None])
def test_a_file_that_cannot_be_read_may_hold_what_is_missing(other: str | None, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "routes: [{name: a, match: {any: true}, steps: [goto: far]}, {name: b, steps: [hangup]}]"
    )
    if other is not None:
        (tmp_path / "b.yaml").write_text(other)
    with pytest.raises(DialplanError) as caught:
        load_plan([tmp_path / "a.yaml", tmp_path / "b.yaml"], agents=())
    assert {problem.file for problem in caught.value.problems} == {str(tmp_path / "b.yaml")}


def test_a_key_that_is_there_twice_hides_no_more_than_it_may() -> None:
    twice = (
        "routes: [{name: a, match: {any: true}, steps: [{play: {file: sounds/sorry.wav, repeat: 2, repeat: 3}}, %s]}]"
    )
    assert [fault.partition(": ")[2] for fault in faults(twice % "goto: b")] == [
        "routes[0].steps[0].play.repeat: the key is already used on line 1; remove one of them",
        'routes[0].steps[1].goto.route: there is no such route, got "b"; use one of a',
    ]
    assert len(faults("routes: [{name: a, match: {any: true}, steps: [goto: b]}]\nroutes: []")) == 1


def test_every_pattern_is_told_at_its_place() -> None:
    text = """\
routes:
  - name: a
    match:
      to: [600, "", "regex:(", "+49*"]
      from:
        - "regex:[a"
        - {a: 1}
        -
      trunk: [carrier, nope, 'regex:(', cariers]
      header: {X-A: [gold, ""]}
    steps: [hangup]
"""
    regex = "correct the expression (RE2 syntax: no look-around, no back references)"
    assert faults(text) == [
        'd.yaml:4:17: routes[0].match.to[1]: it is empty, got ""; write a text, or "*" for any',
        f'd.yaml:4:21: routes[0].match.to[2]: not a regular expression: missing ): (, got "regex:("; {regex}',
        f'd.yaml:6:11: routes[0].match.from[0]: not a regular expression: missing ]: [a, got "regex:[a"; {regex}',
        'd.yaml:7:11: routes[0].match.from[1]: not text; write a pattern, as "+4930*"',
        'd.yaml:8:10: routes[0].match.from[2]: not text, got nothing; write a pattern, as "+4930*"',
        ('d.yaml:9:24: routes[0].match.trunk[1]: there is no such trunk, got "nope"; '
        "use one of carrier, or define it under trunks in the settings"),
        f'd.yaml:9:30: routes[0].match.trunk[2]: not a regular expression: missing ): (, got "regex:("; {regex}',
        ('d.yaml:9:41: routes[0].match.trunk[3]: there is no such trunk, got "cariers"; '
        'did you mean "carrier"? or define it under trunks in the settings'),
        'd.yaml:10:28: routes[0].match.header.X-A[1]: it is empty, got ""; write a text, or "*" for any',
    ]  # fmt: skip


def test_there_may_be_a_thousand_patterns() -> None:
    text = "routes: [{name: a, match: {to: [%s]}, steps: [hangup]}]"
    load(text % ", ".join(["600"] * 1000))
    assert faults(text % ", ".join(["600"] * 1001)) == [
        "d.yaml:1:32: routes[0].match.to: more than 1000 patterns; use a prefix or a regular expression"
    ]


@pytest.mark.parametrize(
    ("key", "written", "warning"),
    [
        ("to", "+49*30", "only a * at the end stands for any text, and a * before the end is the * key, got \"+49*30\"; write \"+49*\", or 'regex:\\+49.*30'"),
        ("to", "+49*30*", "only a * at the end stands for any text, and a * before the end is the * key, got \"+49*30*\"; write \"+49*\", or 'regex:\\+49.*30.*'"),
        ("from", "sales*eu", "only a * at the end stands for any text, and a * before the end is the * key, got \"sales*eu\"; write \"sales*\", or 'regex:sales.*eu'"),
        ("to", "+49 30 555", 'a number comes without spaces and separators, got "+49 30 555"; write "+4930555"'),
        ("from", "+49 (0)30/555-*", 'a number comes without spaces and separators, got "+49 (0)30/555-*"; write "+4930555*"'),
        ("to", "(030) 555", 'a number comes without spaces and separators, got "(030) 555"; write "030555"'),
        ("to", "600 ", 'a number comes without spaces and separators, got "600 "; write "600"'),
        ("to", "sip:600@192.0.2.1", 'a number comes without sip: and host, got "sip:600@192.0.2.1"; write "600"'),
        ("from", "tel:+4930*", 'a number comes without sip: and host, got "tel:+4930*"; write "+4930*"'),
        ("to", "600@*", 'a number comes without sip: and host, got "600@*"; write "600"'),
        ("to", "@192.0.2.1", 'a number comes without sip: and host, got "@192.0.2.1"; write "*"'),
    ],
)  # fmt: skip
def test_a_pattern_that_no_number_is_like_is_a_warning(key: str, written: str, warning: str) -> None:
    text = f"routes: [{{name: a, match: {{{key}: [x, '{written}']}}, steps: [hangup]}}]"
    assert [str(one).partition(": ")[2] for one in load(text).warnings] == [
        f"routes[0].match.{key}[1]: warning: {warning}"
    ]


@pytest.mark.parametrize(
    "written", ["+4930*", "*", "*43", "*43*", "*21*5#", "#31#600", "600-1", "4.2", "front desk", "regex:\\+49 .*@"]
)
def test_a_pattern_that_a_number_or_name_may_be_like(written: str) -> None:
    match = f"{{to: '{written}', header: {{X-A: 'sip:600@h'}}, trunk: '*'}}"
    assert load(f"routes: [{{name: a, match: {match}, steps: [hangup]}}]").warnings == ()


def test_a_route_without_match_needs_a_goto() -> None:
    assert faults("routes:\n  - {name: a, steps: [hangup]}") == [
        (
            "d.yaml:2:5: routes[0]: it has no match, and no goto leads to it; "
            "add match: to take calls, or goto: it from another route"
        )
    ]


def test_a_route_to_which_only_an_agent_may_go_is_a_warning() -> None:
    in_ = "{name: in, match: {any: true}, steps: [agent: echo]}"
    loaded = load(f"routes:\n  - {in_}\n  - {{name: sales, steps: [hangup]}}")
    assert [str(one).removeprefix(f"{DIALPLANS}/").partition(";")[0] for one in loaded.warnings] == [
        "d.yaml:3:5: routes[1]: warning: it has no match, and only an agent can lead to it"
    ]


@pytest.mark.parametrize(
    ("trunk", "fix"),
    [
        ("carier", 'did you mean "carrier"? or define it under trunks in the settings'),
        ("b*", "define it under trunks in the settings"),
        ("regex:x.*", "define it under trunks in the settings"),
    ],
)
def test_a_trunk_must_exist(trunk: str, fix: str) -> None:
    text = f"routes: [{{name: a, match: {{trunk: '{trunk}'}}, steps: [hangup]}}]"
    assert faults(text) == [f'd.yaml:1:35: routes[0].match.trunk: there is no such trunk, got "{trunk}"; {fix}']
    assert load(text, trunks=None).plan.routes


@pytest.mark.parametrize(
    "steps",
    [
        "[answer, agent: echo]",
        "[play: sounds/sorry.wav]",
        "[pause: 1s, answer, play: sounds/sorry.wav, agent: echo]",
    ],
)
def test_a_fallback_of_an_answered_call_cannot_refuse_it(steps: str) -> None:
    (fault,) = steps_faults(steps, "[{reject: 404}]")
    assert fault == "routes[0].fallback[0].reject: the call is answered by then; use hangup"


@pytest.mark.parametrize(
    "steps",
    [
        "[agent: echo]",
        "[ring: {early: true}, play: sounds/sorry.wav]",
        "[agent: {name: echo, on_busy: next}, answer, agent: echo]",
        "[pause: 1s, agent: echo, answer]",
    ],
)
def test_a_fallback_of_a_call_that_may_not_be_answered_may_refuse_it(steps: str) -> None:
    load(f"routes: [{{name: a, match: {{any: true}}, fallback: [{{reject: 404}}], steps: {steps}}}]")


def test_an_answered_call_that_goes_to_a_route_that_refuses_it_is_a_warning() -> None:
    loaded = load(
        "routes:\n"
        " - {name: early, match: {to: 1}, steps: [goto: no]}\n"
        " - {name: late, match: {to: 2}, steps: [answer, goto: no]}\n"
        " - {name: no, steps: [reject: 404]}\n"
    )
    assert [str(warning).removeprefix(f"{DIALPLANS}/") for warning in loaded.warnings] == [
        'd.yaml:3:55: routes[1].steps[1].goto.route: warning: the call is answered by then, and hung up where that route refuses it, got "no"; use hangup'
    ]


WIDE_AND_NARROW = [
    ("{to: 600}", '{to: "600"}'),
    ("{to: [600, 601]}", "{to: 601}"),
    ('{to: "+49*"}', '{to: ["+4930*", "+4940"]}'),
    ('{to: "*"}', "{to: 600, from: 1}"),
    ("{from: 1}", "{to: 600, from: 1}"),
    ("{from: 1}", '{to: "regex:6..", from: 1}'),
    ('{to: "regex:6.."}', '{to: "regex:6.."}'),
    ('{to: "regex:6.."}', "{to: 600}"),
    ("{trunk: carrier}", "{trunk: carrier, to: 5}"),
    ("{header: {X-A: a}}", "{header: {x-a: a, X-B: b}}"),
]


def _in_order(first: str, second: str) -> list[str]:
    text = f"routes: [{{name: a, match: {first}, steps: [hangup]}}, {{name: b, match: {second}, steps: [hangup]}}]"
    return [str(warning).partition(": ")[2] for warning in load(text).warnings]


@pytest.mark.parametrize(("wide", "narrow"), WIDE_AND_NARROW)
def test_a_route_that_asks_for_what_an_earlier_one_takes_is_a_warning(wide: str, narrow: str) -> None:
    assert _in_order(wide, narrow) == [
        'routes[1].match: warning: no call reaches it, "a" before it takes all that it asks for; move it above "a", or remove it'
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        *((narrow, wide) for wide, narrow in WIDE_AND_NARROW[1:6]),
        ("{to: 600}", "{to: 601}"),
        ("{to: 600, from: 1}", "{to: 600}"),
        ("{to: 600, from: 1}", "{to: 600, from: 2}"),
        ('{to: "+4930*"}', '{to: ["+4930*", "+4940"]}'),
        ("{header: {X-A: a}}", "{header: {X-A: [a, b]}}"),
    ],
)
def test_a_route_that_takes_what_an_earlier_one_leaves_is_none(first: str, second: str) -> None:
    assert _in_order(first, second) == []


@pytest.mark.slow
def test_a_large_plan_is_looked_through_in_bounded_time() -> None:
    routes = "\n".join(f'  - {{name: r{n}, match: {{to: "regex:{n}."}}, steps: [hangup]}}' for n in range(3_000))
    assert load(f"routes:\n{routes}").warnings == ()


def test_a_route_behind_one_that_takes_all_is_a_warning() -> None:
    loaded = load(
        "routes:\n"
        "  - {name: all, match: {any: true}, steps: [goto: helper]}\n"
        "  - {name: late, match: {to: x}, steps: [hangup]}\n"
        "  - {name: helper, match: {to: y}, steps: [hangup]}\n"
    )
    assert [str(warning).removeprefix(f"{DIALPLANS}/") for warning in loaded.warnings] == [
        (
            'd.yaml:3:12: routes[1].name: warning: no call reaches it, "all" before it takes every call, got "late"; '
            'move it above "all"'
        )
    ]


def test_several_files_are_one_plan(tmp_path: Path) -> None:
    one, two = tmp_path / "1.yaml", tmp_path / "2.yaml"
    one.write_text("routes: [{name: a, match: {to: x}, steps: [goto: b]}]")
    two.write_text("routes: [{name: b, match: {any: true}, steps: [hangup]}]")
    plan = load_plan([one, two], agents=()).plan
    assert [(route.name, route.file) for route in plan.routes] == [("a", one), ("b", two)]
    two.write_text("routes: [{name: a, match: {any: true}, steps: [hangup]}]")
    with pytest.raises(DialplanError) as caught:
        load_plan([one, two], agents=())
    assert str(caught.value).splitlines() == [
        f'{one}:1:50: routes[0].steps[0].goto.route: there is no such route, got "b"; use one of a',
        f'{two}:1:17: routes[0].name: the name is taken by the route at {one}:1, got "a"; choose another',
    ]


def test_faults_of_all_files_are_told_together(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("routes: [")
    (tmp_path / "latin.yaml").write_bytes(b"# \xfc")
    paths = [tmp_path / name for name in ("gone.yaml", "bad.yaml", "latin.yaml")]
    with pytest.raises(DialplanError) as caught:
        load_plan(paths, agents=())
    lines = [line.removeprefix(f"{tmp_path}/") for line in str(caught.value).splitlines()]
    assert lines == [
        "gone.yaml: cannot read the file: No such file or directory; create it, or correct dialplans in the settings",
        (
            "bad.yaml:2:1: routes[0]: not YAML: did not find expected node content; "
            "check quotes, colons and indentation here and on the line above"
        ),
        "latin.yaml: the file is not UTF-8 at byte 3; save it as UTF-8",
    ]


@pytest.mark.parametrize("text", ["", "5", "[]", "routes:", "routes: {}", "version: 1"])
def test_a_file_without_routes_is_a_fault(text: str) -> None:
    assert faults(text)
