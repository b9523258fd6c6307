"""Agents are checked before any call, and every fault is named with its fix."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from gateway.agents import (
    AgentRegistry,
    AgentSettings,
    AgentSetupError,
    AgentSpec,
    EchoSettings,
    Isolation,
    SpeakerSettings,
    ToneSettings,
)
from gateway.agents.kinds.tone import one_second
from media.conversation.floor import BargeIn
from media.speech.silero_model import network
from tests.agents import python_agent

USERS = "tests.component.user_agents"


def test_every_kind_is_made_anew_for_each_call(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.ones(800, np.int16), 8_000)
    kinds: list[AgentSettings] = [
        EchoSettings(),
        ToneSettings(),
        SpeakerSettings(files=(path,)),
        python_agent(f"{USERS}:TurnTaker", {"greeting_ms": 5}),
    ]
    registry = AgentRegistry({f"a{number}": kind for number, kind in enumerate(kinds)})
    assert [spec.name for spec in registry] == ["a0", "a1", "a2", "a3"]
    assert "a3" in registry
    assert "a4" not in registry
    for spec in registry:
        assert spec.make() is not spec.make()
    assert [spec.isolation for spec in registry] == [Isolation.NONE] * 3 + [Isolation.THREAD]
    assert registry["a3"].make().greeting_ms == 5  # type: ignore[attr-defined]


def test_what_one_call_does_to_its_options_does_not_reach_the_next() -> None:
    options: dict[str, object] = {"notes": {"caller": ["hello"]}}
    spec = AgentSpec("notes", python_agent(f"{USERS}:TakesNotes", options))
    first, second = spec.make(), spec.make()
    first.notes["caller"].append("my secret")  # type: ignore[attr-defined]
    assert second.notes == spec.make().notes == {"caller": ["hello"]}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("class_path", "options", "field", "message"),
    [
        ("no_such_module:Agent", {}, "class", "cannot import 'no_such_module' .*set 'directory'.*ModuleNotFoundError"),
        (f"{USERS}:Parot", {}, "class", "has no class 'Parot'; it has .*Parrot"),
        (f"{USERS}:NotAnAgent", {}, "class", r"lacks 'async def run\(self, call\)'"),
        (f"{USERS}:TwoArguments", {}, "class", "run must take one argument, the call"),
        (f"{USERS}:TurnTaker", {"greting_ms": 1}, "options", "cannot be made with .*greting_ms"),
        (f"{USERS}:Burns", {}, "options", "missing a required argument: 'seconds'"),
    ],
)
def test_a_class_that_cannot_work_is_named(
    class_path: str, options: dict[str, object], field: str, message: str
) -> None:
    with pytest.raises(AgentSetupError, match=message) as caught:
        AgentSpec("mine", python_agent(class_path, options))
    assert (caught.value.agent, caught.value.field) == ("mine", field)


def test_a_module_from_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "own_agent_module.py").write_text("class Own:\n    async def run(self, call):\n        pass\n")
    (tmp_path / "broken_agent_module.py").write_text("import json.nothing_of_the_kind\n")
    assert AgentSpec("own", python_agent("own_agent_module:Own", directory=tmp_path))
    with pytest.raises(AgentSetupError) as caught:
        AgentSpec("own", python_agent("own_agent_modul:Own", directory=tmp_path))
    assert caught.value.message == (
        f"there is no module 'own_agent_modul' in {tmp_path}; it has broken_agent_module, own_agent_module"
    )
    with pytest.raises(AgentSetupError, match=f"cannot import 'broken_agent_module' from {tmp_path}: ModuleNotFound"):
        AgentSpec("own", python_agent("broken_agent_module:Own", directory=tmp_path))
    with pytest.raises(AgentSetupError, match="is not a directory"):
        AgentSpec("own", python_agent("own_agent_module:Own", directory=tmp_path / "none"))


def test_a_missing_library_is_told_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    place = tmp_path / "my agents"
    place.mkdir()
    (place / "needy_agent_module.py").write_text("import nothing_of_the_kind.below\n")
    with pytest.raises(AgentSetupError) as caught:
        AgentSpec("own", python_agent("needy_agent_module:Own", directory=place))
    assert caught.value.message == (
        "'needy_agent_module' imports 'nothing_of_the_kind', which is not installed: "
        f"{shlex.quote(sys.executable)} -m pip install --target '{place}' nothing_of_the_kind "
        "(or the name of the package that contains it)"
    )


@pytest.mark.parametrize(
    ("error", "shown"), [("ValueError('x' * 1_000_000)", "ValueError: xxx"), ("Endless()", "Endless: <its text raises")]
)
def test_a_module_may_raise_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: str, shown: str) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "raising_agent_module.py").write_text(
        f"class Endless(Exception):\n    def __str__(self):\n        raise RuntimeError\nraise {error}\n"
    )
    with pytest.raises(AgentSetupError) as caught:
        AgentSpec("own", python_agent("raising_agent_module:Own", directory=tmp_path))
    assert shown in caught.value.message
    assert len(caught.value.message) < 2_000


@pytest.mark.parametrize("status", ["", "0", "'no model'"])
def test_a_module_that_exits_ends_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "exiting_agent_module.py").write_text(f"import sys\nsys.exit({status})\n")
    with pytest.raises(AgentSetupError, match=f"cannot import 'exiting_agent_module' from {tmp_path}: SystemExit"):
        AgentSpec("mine", python_agent("exiting_agent_module:Bot", directory=tmp_path))


def test_two_modules_of_one_name_are_not_taken_for_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    bot = "class Bot:\n    async def run(self, call):\n        pass\n"
    files = ["twin_agent_module.py", "twin_agent_package/__init__.py", "twin_agent_package/inner.py", "json.py"]
    for directory in (tmp_path, tmp_path / "support"):
        (directory / "twin_agent_package").mkdir(parents=True)
        for file in files:
            (directory / file).write_text(bot)

    def spec(name: str, directory: Path) -> AgentSpec:
        return AgentSpec("mine", python_agent(f"{name}:Bot", directory=directory))

    for name in ("twin_agent_module", "twin_agent_package", "twin_agent_package.inner"):
        assert spec(name, tmp_path), "whatever directory was used last"
        assert spec(name, tmp_path / "support" / "..")
        other = rf"'{name}' came from {tmp_path}/twin.*\.py, not from {tmp_path}/support: give your module another name"
        with pytest.raises(AgentSetupError, match=other) as caught:
            spec(name, tmp_path / "support")
        assert caught.value.field == "directory"
    with pytest.raises(AgentSetupError, match=r"'json' came from /.*/json/__init__\.py, not from"):
        spec("json", tmp_path)
    with pytest.raises(AgentSetupError, match="'sys' came from Python itself, not from"):
        spec("sys", tmp_path)


def test_all_faults_are_reported_together() -> None:
    agents: dict[str, AgentSettings] = {
        "one": python_agent(f"{USERS}:NotAnAgent"),
        "two": EchoSettings(),
        "three": python_agent("nothing:Here"),
    }
    with pytest.raises(ExceptionGroup) as caught:
        AgentRegistry(agents)
    assert [error.agent for error in caught.value.exceptions if isinstance(error, AgentSetupError)] == ["one", "three"]


@pytest.mark.parametrize(
    ("max_calls", "gateway_calls", "abandoned_max"), [(None, 500, 500), (100, 500, 100), (3, 500, 16), (None, 4, 16)]
)
def test_as_many_runs_may_be_abandoned_as_it_may_have_calls(
    max_calls: int | None, gateway_calls: int, abandoned_max: int
) -> None:
    assert AgentSpec("a", EchoSettings(max_calls=max_calls), gateway_calls).abandoned_max == abandoned_max


def test_barge_in_is_off_for_an_echo_and_on_for_others() -> None:
    assert EchoSettings().effective_barge_in.mode is BargeIn.OFF
    assert ToneSettings().effective_barge_in.mode is BargeIn.PAUSE


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 48_000])
def test_a_tone_has_its_frequency_its_level_and_no_seam(rate_hz: int) -> None:
    tone = one_second(441, -12.0, rate_hz)
    spectrum = np.abs(np.fft.rfft(np.tile(tone, 2)))
    assert spectrum.argmax() / 2 == 441
    others = np.delete(spectrum, 882)
    assert others.max() < spectrum[882] / 1_000, "a seam would spread its energy"
    assert tone.max() == pytest.approx(32_767 * 10 ** (-12 / 20), rel=0.01)
    assert one_second(441, -12.0, rate_hz) is tone


def test_a_detector_whose_runtime_is_missing_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    silent = ToneSettings.model_validate({"kind": "tone", "barge_in": {"detector": "silero"}})
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    network.cache_clear()
    with pytest.raises(AgentSetupError) as caught:
        AgentSpec("beep", silent)
    assert str(caught.value) == (
        "agent 'beep': barge_in.detector: silero needs onnxruntime, which is not installed; "
        f"{shlex.quote(sys.executable)} -m pip install onnxruntime (as a service: make install EXTRAS=silero), "
        "or choose webrtcvad"
    )
    assert AgentSpec("beep", ToneSettings.model_validate({"kind": "tone"}))


def test_a_detector_is_ready_before_the_first_call() -> None:
    network.cache_clear()
    AgentSpec("beep", ToneSettings.model_validate({"kind": "tone", "barge_in": {"detector": "silero"}}))
    assert network.cache_info().currsize == 1
