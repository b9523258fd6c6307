"""What the service sees of the files that settings name, and what strangers do."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gateway.agents.from_settings import agent_settings, unseen_files
from gateway.cli.prepare import prepare
from gateway.settings import load_settings
from gateway.settings.service import HIDDEN, USER, SystemUser

if TYPE_CHECKING:
    from collections.abc import Iterator

UNIT = Path(__file__).resolve().parents[4] / "systemd" / "offhook.service"
TRUNK = "trunks: {a: {registrar: localhost, user: u, password_file: p}}"


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory that everyone may enter, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as name:
        made = Path(name).resolve()
        made.chmod(0o755)
        yield made


@pytest.fixture
def system(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory as that of the service, whose group is ours."""
    monkeypatch.setattr("gateway.settings.service.SYSTEM_DIRECTORY", directory)
    monkeypatch.setattr("gateway.settings.service.HIDDEN", {"ProtectHome": (f"{directory}/home",)})
    account = SystemUser(os.getuid() + 1, frozenset({directory.stat().st_gid}))
    for module in ("gateway.settings.service", "gateway.cli.prepare", "gateway.agents.from_settings"):
        monkeypatch.setattr(f"{module}.service_account", lambda: account)
    return directory


def write(path: Path, text: str, mode: int = 0o640) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def warnings(path: Path) -> list[str]:
    loaded = load_settings(path, environment={}, offline=True)
    return [str(warning).partition("warning: ")[2] for warning in loaded.warnings]


def test_a_password_that_everyone_can_read(directory: Path) -> None:
    path = write(directory / "g.yaml", 'trunks: {a: {registrar: localhost, user: u, password: "x"}}', 0o644)
    message = "everyone can read this file, and the password in it"
    assert warnings(path) == [f"{message}; chmod o= {path}, or use password_file"]
    path.chmod(0o640)
    assert warnings(path) == []


def test_a_password_file_that_everyone_can_read(directory: Path) -> None:
    path, secret = write(directory / "g.yaml", TRUNK), write(directory / "p", "x", 0o644)
    assert warnings(path) == [f"everyone can read {secret}; chmod o= {secret}"]
    directory.chmod(0o750)
    assert warnings(path) == [], "strangers do not get as far as the file"
    directory.chmod(0o755)
    secret.chmod(0o600)
    assert warnings(path) == []


def test_the_services_password_is_closed_to_all_but_the_service(system: Path) -> None:
    path, secret = write(system / "g.yaml", TRUNK), write(system / "p", "x", 0o644)
    assert warnings(path) == [f"everyone can read {secret}; chgrp offhook {secret}; chmod 640 {secret}"]
    secret.chmod(0o640)
    assert warnings(path) == []


def test_a_file_that_the_service_cannot_read(system: Path) -> None:
    path, secret = write(system / "g.yaml", TRUNK, 0o600), write(system / "p", "x", 0o600)
    assert warnings(path) == [
        f"the service cannot read {file}; chgrp offhook {file}; chmod 640 {file}" for file in (path, secret)
    ]
    assert load_settings(path, environment={}).warnings == (), "the service has read them"


def test_agents_that_the_service_does_not_see(system: Path) -> None:
    for name in ("home", "closed", "open"):
        (system / name).mkdir(mode=0o750)
        write(system / name / "bot.py", "")
    (system / "closed").chmod(0o700)
    (system / "open" / "bot.py").chmod(0o600)
    (system / "link").symlink_to(system / "home")
    path = system / "g.yaml"

    def told(where: str) -> list[str]:
        write(path, f"agents: {{a: {{kind: python, class: 'bot:Bot', directory: {where}}}}}")
        loaded = load_settings(path, environment={}, offline=True)
        agents, faults = agent_settings(loaded.settings.agents, loaded.document, loaded.context)
        assert faults == []
        return [warning.partition("warning: ")[2] for warning in map(str, unseen_files(agents, loaded.document))]

    closed, module = system / "closed", system / "open" / "bot.py"
    because = f"{closed}/bot.py, it may not enter {closed}"
    assert told("closed") == [f"the service cannot read {because}; chgrp offhook {closed}; chmod 750 {closed}"]
    assert told("open") == [f"the service cannot read {module}; chgrp offhook {module}; chmod 640 {module}"]
    module.chmod(0o640)
    assert told("open") == []
    fix = f"put it below {system}, or change ProtectHome with systemctl edit offhook"
    assert told("link") == [
        f"the service does not see {system}/link/bot.py, because the shipped unit hides {system}/home; {fix}"
    ]


def test_a_dialplan_and_a_sound_that_the_service_cannot_read(system: Path) -> None:
    sound = system / "a.wav"
    sound.write_bytes((Path(__file__).resolve().parents[4] / "dialplans" / "sounds" / "sorry.wav").read_bytes())
    sound.chmod(0o600)
    steps = "steps: [play: a.wav]"
    routes = f"[{{name: a, match: {{to: '1'}}, {steps}}}, {{name: b, match: {{to: '2'}}, {steps}}}]"
    plan = write(system / "d.yaml", f"routes: {routes}", 0o600)
    prepared = prepare(write(system / "g.yaml", "dialplans: [d.yaml]"), offline=True)
    at = {plan: f"{system}/g.yaml:1:13: dialplans[0]", sound: f"{plan}:1:1: a"}
    assert [str(warning) for warning in prepared.warnings] == [
        f"{at[file]}: warning: the service cannot read {file}; chgrp offhook {file}; chmod 640 {file}"
        for file in (plan, sound)
    ]


def test_the_unit_hides_what_is_warned_of() -> None:
    lines = UNIT.read_text().splitlines()
    assert {option for option in HIDDEN if f"{option}=yes" in lines} == {"ProtectHome", "PrivateTmp"}
    assert f"User={USER}" in lines
