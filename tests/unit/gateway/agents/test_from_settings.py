# ruff: noqa: E501 - messages are compared as they are printed, on one line
"""Agents of gateway.yaml: what is written arrives, what is wrong is told at its place, and the sample says it all."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import pytest

from gateway.agents import AgentSettings, EchoSettings, Isolation, OnInterrupt, PythonSettings, SpeakerSettings
from gateway.agents.from_settings import agent_settings
from gateway.agents.kinds import AnyAgent, BargeInOptions, ToneSettings, ToolOptions
from gateway.agents.kinds.backup import BackupOptions
from gateway.settings.context import FileContext
from gateway.settings.load import load_text
from gateway.settings.shipped import DIALPLANS
from media.conversation.floor import BargeIn, BargeInSettings, Keys

if TYPE_CHECKING:
    from gateway.settings.problem import Problem

SAMPLE = Path(__file__).parents[4] / "systemd" / "gateway.yaml"
WAV = DIALPLANS / "sounds" / "sorry.wav"


def read(text: str, base: Path = Path("/nonexistent")) -> tuple[dict[str, AgentSettings], list[Problem]]:
    loaded = load_text(text, "g.yaml", FileContext(base, {}))
    return agent_settings(loaded.settings.agents, loaded.document, loaded.context)


def faults(text: str, base: Path = Path("/nonexistent")) -> list[str]:
    return [str(problem) for problem in read(text, base)[1]]


def one(written: str) -> AgentSettings:
    agents, found = read(f"agents: {{a: {{{written}}}}}")
    assert found == []
    return agents["a"]


def test_the_built_in_agents_are_there_and_may_be_defined_anew() -> None:
    agents, found = read("agents: {echo: {kind: echo, max_calls: 7}}")
    assert found == []
    assert agents["echo"] == EchoSettings(max_calls=7)
    assert agents["tone"] == ToneSettings()
    assert isinstance(agents["welcome"], SpeakerSettings)


def test_what_is_written_arrives() -> None:
    found = one(
        "kind: python, class: 'm:C', directory: /x, options: {n: 5, deep: [true, '5']}, isolation: none, max_calls: 3, "
        "start_timeout: 1s, stall_timeout: 2s, hangup_grace: 0s, cancel_deadline: 4s, "
        "barge_in: {mode: cut, min_speech: 60ms, reject_after: 200ms, end_silence: 1s, gap: 60ms, aggressiveness: 3, "
        "floor: -40, keys: always}"
    )
    assert isinstance(found, PythonSettings)
    assert (found.class_path, found.directory, found.options) == ("m:C", Path("/x"), {"n": 5, "deep": [True, "5"]})
    assert found.where is Isolation.NONE
    assert (found.max_calls, found.start_timeout_s, found.stall_timeout_s) == (3, 1.0, 2.0)
    assert (found.hangup_grace_s, found.cancel_deadline_s) == (0.0, 4.0)
    assert found.effective_barge_in == BargeInSettings(
        mode=BargeIn.CUT,
        min_speech_ms=60,
        reject_after_ms=200,
        end_silence_ms=1000,
        gap_ms=60,
        aggressiveness=3,
        floor_dbfs=-40.0,
        keys=Keys.ALWAYS,
    )
    speaker = one(f"kind: speaker, files: ['{WAV}'], repeat: 0, on_interrupt: next")
    assert speaker == SpeakerSettings(files=(WAV,), repeat=0, on_interrupt=OnInterrupt.NEXT)
    assert one("kind: tone, frequency: 1000, level: -6") == ToneSettings(frequency=1000, level=-6.0)
    assert BargeInOptions().settings() == BargeInSettings()


def test_all_faults_are_told_together_each_at_its_place() -> None:
    text = """\
agents:
  x: {kind: ecko}
  y: {files: [a]}
  z: {kind: speaker, files: [], repeat: -1}
  w: {kind: tone, barge_in: {mode: paus, confirm: 5}}
  v: {kind: tone, barge_in: {min_speech: 500ms}}
  fine: {kind: echo}
"""
    assert faults(text) == [
        'g.yaml:2:13: agents.x.kind: there is no such kind as "ecko"; did you mean "echo"?',
        'g.yaml:3:6: agents.y: the key "kind" is missing; add kind: with one of echo, tone, speaker, python, media-streams, openai-realtime, gemini-live, deepgram, elevenlabs, audiosocket, chan-websocket',
        "g.yaml:4:29: agents.z.files: it is empty, got an empty list; write at least one",
        'g.yaml:4:41: agents.z.repeat: less than 0, got "-1"; write 0 or more',
        'g.yaml:5:36: agents.w.barge_in.mode: not one of the words allowed here, got "paus"; did you mean "pause"? use one of cut, pause, off',
        'g.yaml:5:51: agents.w.barge_in.confirm: not a duration, got "5"; write a number and a unit: 120ms, 5s, 30m or 4h',
        "g.yaml:6:29: agents.v.barge_in: confirm is 400; it must be greater than min_speech (500)",
    ]  # fmt: skip
    assert "fine" in read(text)[0]


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ("kind: tone, barge_in: {mode: false}", 'g.yaml:1:43: agents.a.barge_in.mode: not one of the words allowed here, got "false"; use one of cut, pause, off'),
        ("kind: tone, frequency: 5000", 'g.yaml:1:37: agents.a.frequency: more than 3400, got "5000"; write 3400 or less'),
        ("kind: python, class: mod", 'g.yaml:1:35: agents.a.class: not module:Class, got "mod"; write the place of the class, such as mycompany.agents:Receptionist'),
        ("kind: python", "g.yaml:1:13: agents.a.class: the key is missing; add it"),
        ("kind: openai", 'g.yaml:1:20: agents.a.kind: there is no such kind as "openai"; did you mean "openai-realtime"?'),
        ("kind: ", "g.yaml:1:20: agents.a.kind: it is empty; write one of echo, tone, speaker, python, media-streams, openai-realtime, gemini-live, deepgram, elevenlabs, audiosocket, chan-websocket"),
        ("kind: deepgram, api_key: {env: $KEY}", "g.yaml:1:39: agents.a.api_key: env: not the name of an environment variable; write its name as in TRUNK_PASSWORD: without $, of letters, digits and underscores"),
        ("kind: deepgram, api_key: sk-123", "g.yaml:1:39: agents.a.api_key: a secret must not be written here; write where it is, such as {file: name}; use one of file, env, credential"),
        ("kind: deepgram, url: 'wss://me:sk-123@h/'", "g.yaml:1:35: agents.a.url: it contains a password; remove it, and write headers: {Authorization: {file: name}}"),
        ("kind: python, class: 'm:C', isolation: process", 'g.yaml:1:53: agents.a.isolation: not one of the words allowed here, got "process"; use one of thread, none'),
        ("kind: echo, barge_in: {mode: off}", "g.yaml:1:26: agents.a.barge_in: there is no such key; use one of max_calls, start_timeout, stall_timeout, hangup_grace, cancel_deadline, backup, kind"),
    ],
)  # fmt: skip
def test_fault(written: str, fault: str) -> None:
    assert faults(f"agents: {{a: {{{written}}}}}") == [fault]


def test_a_sound_must_be_one(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no sound")
    found = faults("agents: {a: {kind: speaker, files: [gone.wav, text.wav]}}", tmp_path)
    assert len(found) == 2
    assert "agents.a.files[0]: cannot read" in found[0]
    assert "agents.a.files[1]: " in found[1]
    assert 'got "text.wav"; give a WAV file' in found[1]


class TestSample:
    """systemd/gateway.yaml says what is default, and says it of every option."""

    def text(self) -> str:
        text = re.sub(r"^( *)# ( *[a-z_]+:( |$)| +#)", r"\1\2", SAMPLE.read_text(), flags=re.MULTILINE)
        section = text[text.index("\nagents:") : text.index("\n# Dialplans")]
        return section.replace("sounds/opening-hours.wav", str(WAV))

    def test_it_says_the_defaults(self) -> None:
        agents, found = read(self.text())
        assert found == []
        bare, _ = read(
            "agents:\n"
            "  parrot: {kind: echo}\n"
            "  beep: {kind: tone}\n"
            f"  announcement: {{kind: speaker, files: ['{WAV}']}}\n"
            "  receptionist: {kind: python, class: mycompany.agents:Receptionist}\n"
            "  bot: {kind: media-streams, url: 'wss://bot.example.com/stream'}\n"
            "  pbx: {kind: audiosocket, server: 'bot.example.com:9092'}\n"
            "  application: {kind: chan-websocket, url: 'wss://bot.example.com/media'}\n"
            "  assistant: {kind: openai-realtime}\n"
            "  gemini: {kind: gemini-live}\n"
            "  clerk: {kind: deepgram}\n"
            "  hostess: {kind: elevenlabs, agent_id: agent_0123456789}\n"
        )
        shown = {
            "max_calls",
            "directory",
            "options",
            "auth_token",
            "ca",
            "api_key",
            "voice",
            "language",
            "instructions",
            "greeting",
            "backup",
        }
        for name, agent in bare.items():
            assert agents[name].model_dump(exclude=shown) == agent.model_dump(exclude=shown)

    def test_it_has_every_option(self) -> None:
        models = [*get_args(get_args(AnyAgent)[0]), BargeInOptions, ToolOptions, BackupOptions]
        options = {field.alias or name for model in models for name, field in model.model_fields.items()}
        assert [key for key in sorted(options) if not re.search(rf" {key}:\s", self.text())] == []
