"""Floor control: turns and barge-in, to the frame."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.conversation.events import SpeechEnded, SpeechStarted
from media.conversation.floor import (
    Action,
    BargeIn,
    BargeInSettings,
    CutPlayout,
    FloorControl,
    PausePlayout,
    ResumePlayout,
)

FRAME_MS = 20


def hear(floor: FloorControl, pattern: str) -> list[tuple[int, Action]]:
    """Feed frames, `#` with voice and `.` without; what came out, with the frame's number from 1."""
    out: list[tuple[int, Action]] = []
    for number, sign in enumerate(pattern, start=1):
        if sign == "#":
            actions = floor.on_voice(FRAME_MS)
        elif floor.busy:
            actions = floor.on_silence(FRAME_MS)
        else:
            actions = ()
        out += [(number, action) for action in actions]
    return out


def speaking(mode: BargeIn) -> FloorControl:
    floor = FloorControl(BargeInSettings(mode=mode))
    floor.on_agent_started()
    return floor


def kinds(out: list[tuple[int, Action]]) -> list[tuple[int, type[Action]]]:
    return [(number, type(action)) for number, action in out]


def test_cut_on_the_frame_that_completes_min_speech() -> None:
    assert kinds(hear(speaking(BargeIn.CUT), "..." + "#" * 10)) == [(9, SpeechStarted), (9, CutPlayout)]


def test_pause_then_cut_when_speech_goes_on() -> None:
    out = kinds(hear(speaking(BargeIn.PAUSE), "#" * 40))
    assert out == [(6, SpeechStarted), (6, PausePlayout), (20, CutPlayout)]


def test_a_cough_with_the_hangover_of_the_vad_is_rejected() -> None:
    out = kinds(hear(speaking(BargeIn.PAUSE), "#" * 13 + "." * 40))
    assert out == [(6, SpeechStarted), (6, PausePlayout), (28, ResumePlayout), (43, SpeechEnded)]


def test_brief_gaps_delay_nothing() -> None:
    out = kinds(hear(speaking(BargeIn.CUT), "##..#.#"))
    assert out == [(7, SpeechStarted), (7, CutPlayout)]


def test_a_longer_gap_starts_over() -> None:
    assert hear(speaking(BargeIn.CUT), "#####...#####...") == []


def test_gaps_while_held_neither_confirm_nor_reset() -> None:
    out = kinds(hear(speaking(BargeIn.PAUSE), "#" * 10 + "." * 10 + "#" * 10))
    assert out[-1] == (30, CutPlayout)


def test_a_turn_does_not_end_while_it_is_open_whether_it_interrupts() -> None:
    floor = FloorControl(BargeInSettings(mode=BargeIn.PAUSE, end_silence_ms=200))
    floor.on_agent_started()
    out = kinds(hear(floor, "#" * 16 + "." * 14 + "#" * 4 + "." * 10))
    assert out == [(6, SpeechStarted), (6, PausePlayout), (34, CutPlayout), (44, SpeechEnded)]


def test_what_was_no_interruption_ends_its_turn_with_that() -> None:
    floor = FloorControl(BargeInSettings(mode=BargeIn.PAUSE, end_silence_ms=200))
    floor.on_agent_started()
    out = kinds(hear(floor, "#" * 16 + "." * 20))
    assert out == [(6, SpeechStarted), (6, PausePlayout), (31, ResumePlayout), (31, SpeechEnded)]


def test_off_never_touches_the_playout() -> None:
    out = kinds(hear(speaking(BargeIn.OFF), "#" * 100 + "." * 40))
    assert out == [(6, SpeechStarted), (130, SpeechEnded)]


def test_turns_are_told_while_the_agent_is_silent() -> None:
    floor = FloorControl(BargeInSettings(mode=BargeIn.PAUSE))
    out = hear(floor, "..######..###" + "." * 30)
    assert out == [(8, SpeechStarted(120)), (43, SpeechEnded(220, 600))]
    assert not floor.busy


def test_a_turn_that_finds_no_end_is_ended_and_another_begins() -> None:
    floor = FloorControl(BargeInSettings(mode=BargeIn.PAUSE, max_turn_ms=1_000))
    out = hear(floor, "#" * 110 + "." * 30)
    assert out == [
        (6, SpeechStarted(120)),
        (50, SpeechEnded(1_000, 0)),
        (50, SpeechStarted(20)),
        (99, SpeechEnded(1_000, 0)),
        (99, SpeechStarted(20)),
        (140, SpeechEnded(240, 600)),
    ]


def test_only_speech_over_the_agent_counts() -> None:
    floor = FloorControl(BargeInSettings(mode=BargeIn.CUT))
    hear(floor, "#" * 50)
    floor.on_agent_started()
    assert kinds(hear(floor, "#" * 10)) == [(6, CutPlayout)]


def test_an_underrun_of_the_agent_does_not_start_the_count_over() -> None:
    floor = speaking(BargeIn.CUT)
    hear(floor, "####")
    floor.on_agent_stopped()
    hear(floor, "##")
    floor.on_agent_started()
    assert kinds(hear(floor, "##")) == [(2, CutPlayout)]


def test_an_underrun_while_held_delays_the_interruption_by_nothing() -> None:
    floor = speaking(BargeIn.PAUSE)
    hear(floor, "#" * 10)
    assert floor.on_agent_stopped() == (ResumePlayout(),)
    floor.on_agent_started()
    assert kinds(hear(floor, "#" * 10)) == [(1, PausePlayout), (10, CutPlayout)]


def test_the_agent_overrules_until_the_speech_ends() -> None:
    floor = speaking(BargeIn.PAUSE)
    hear(floor, "#" * 8)
    assert floor.reject() == (ResumePlayout(),)
    assert hear(floor, "#" * 50) == []
    hear(floor, "." * 15)
    assert kinds(hear(floor, "#" * 6)) == [(6, PausePlayout)]


def test_the_agent_confirms_at_once() -> None:
    floor = speaking(BargeIn.PAUSE)
    assert floor.confirm() == ()
    hear(floor, "#" * 6)
    assert floor.confirm() == (CutPlayout(),)
    assert floor.confirm() == floor.reject() == ()


def test_an_agent_that_stops_while_held_is_let_go() -> None:
    floor = speaking(BargeIn.PAUSE)
    hear(floor, "#" * 6)
    assert floor.on_agent_stopped() == (ResumePlayout(),)
    assert floor.confirm() == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"min_speech_ms": 0}, "min_speech_ms is 0: give at least 10"),
        ({"confirm_ms": 100}, "confirm_ms is 100: it must be greater than min_speech_ms"),
        ({"gap_ms": -1}, "gap_ms is -1"),
        ({"reject_after_ms": 40}, "reject_after_ms is 40: it must be greater than gap_ms"),
        ({"aggressiveness": 4}, "aggressiveness is 4: give 0, 1, 2 or 3"),
        ({"floor_dbfs": 3.0}, "floor_dbfs is 3.0"),
    ],
)
def test_settings_that_cannot_work_are_named(changes: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BargeInSettings(**changes)  # type: ignore[arg-type]


STEPS = st.lists(
    st.one_of(
        st.sampled_from(["voice", "silence", "started", "stopped", "silenced", "confirm", "reject"]).map(
            lambda name: (name, 20)
        ),
        st.tuples(st.sampled_from(["voice", "silence"]), st.integers(1, 700)),
    ),
    max_size=200,
)


def _settings(mode: BargeIn, least: int, more: int, gap: int, reject: int, end: int) -> BargeInSettings:  # noqa: PLR0917
    return BargeInSettings(mode, least, least + more, gap + reject, gap + end, gap)


SETTINGS = st.builds(
    lambda mode, least, more, gap, reject, end: BargeInSettings(
        mode, least, least + more, gap + reject, gap + end, gap
    ),
    st.sampled_from(BargeIn),
    st.integers(10, 300),
    st.integers(1, 500),
    st.integers(0, 100),
    st.integers(10, 500),
    st.integers(10, 900),
)


def step(floor: FloorControl, name: str, duration_ms: int) -> tuple[Action, ...]:
    match name:
        case "voice":
            return floor.on_voice(duration_ms)
        case "silence":
            return floor.on_silence(duration_ms)
        case "stopped":
            return floor.on_agent_stopped()
        case "started" | "silenced":
            (floor.on_agent_started if name == "started" else floor.on_agent_silenced)()
            return ()
        case "confirm":
            return floor.confirm()
        case _:
            return floor.reject()


@given(SETTINGS, STEPS)
def test_invariants(settings: BargeInSettings, steps: list[tuple[str, int]]) -> None:
    floor = FloorControl(settings)
    held = turn = False
    agent = False
    for name, duration_ms in steps:
        for action in step(floor, name, duration_ms):
            match action:
                case PausePlayout():
                    assert settings.mode is BargeIn.PAUSE
                    assert agent
                    assert not held
                    held = True
                case ResumePlayout():
                    assert held, "resumed what was not held"
                    held = False
                case CutPlayout():
                    assert settings.mode is not BargeIn.OFF
                    assert agent
                    assert turn, "no end of a turn would follow"
                    assert held or settings.mode is BargeIn.CUT, "cut without a pause before"
                    held = agent = False
                case SpeechStarted():
                    assert not turn
                    assert action.speech_ms >= settings.min_speech_ms
                    turn = True
                case SpeechEnded():
                    assert turn
                    assert action.silence_ms >= settings.end_silence_ms or action.speech_ms >= settings.max_turn_ms
                    turn = False
        agent = name == "started" or (agent and name not in {"stopped", "silenced"})
        held = held and name != "silenced"
        assert floor.busy or not (held or turn)


@given(SETTINGS, STEPS)
def test_silence_long_enough_ends_everything(settings: BargeInSettings, steps: list[tuple[str, int]]) -> None:
    floor = FloorControl(settings)
    for name, duration_ms in steps:
        step(floor, name, duration_ms)
    floor.on_silence(max(settings.end_silence_ms, settings.reject_after_ms))
    assert not floor.busy
    assert floor.confirm() == ()
    assert floor.on_silence(10_000) == ()
