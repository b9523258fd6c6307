"""The worked dialplan step of CONTRIBUTING.md, applied to a copy exactly as it is written there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECTION = re.compile(r"^## A dialplan step\n(.*?)^## ", re.MULTILINE | re.DOTALL)
FILE_OR_CHANGE = re.compile(
    r"^[0-9]\. `(?P<file>[^`]+)`|^ {3}```diff\n(?P<change>.*?)^ {3}```", re.MULTILINE | re.DOTALL
)

PLAN = """
routes:
  - {name: ringing, match: {to: 600}, steps: [ring, busy]}
  - {name: answered, match: {to: 601}, steps: [answer, busy]}
"""
NEVER_RUNS = "routes: [{name: a, match: {any: true}, steps: [busy, hangup]}]"

IN_THE_COPY = """
import asyncio, sys
from pathlib import Path

# The environment's own Offhook is found by an import hook, which would come first.
sys.meta_path = [one for one in sys.meta_path if "editable" not in type(one).__module__]
sys.path.insert(0, ".")

from gateway.agents import AgentRegistry
from gateway.calls.call import Call
from gateway.cli import main
from gateway.dialplan import load_plan
from gateway.settings.model import Limits
from tests.fake_party import FakeParty, arrival

async def call(to):
    party = FakeParty()
    await Call(arrival(party, to=to), AgentRegistry({}), Limits()).live(plan)
    told.append((to, *party.told))

told = []
plan = load_plan([Path("plan.yaml")], agents=()).plan
asyncio.run(call("600"))
asyncio.run(call("601"))
Path("told").write_text("".join(" ".join(one) + "\\n" for one in told))
main(["route", "--config", "gateway.yaml", "--to", "600"])
main(["check", "--config", "faulty.yaml"])
"""


def changes(document: str) -> list[tuple[str, str, str]]:
    """Each change of the section: the file, the lines as they are, the lines as they become."""
    section = SECTION.search(document)
    assert section is not None
    found: list[tuple[str, str, str]] = []
    file = ""
    for one in FILE_OR_CHANGE.finditer(section[1]):
        if one["file"] is not None:
            file = one["file"]
            continue
        lines = [line[3:] for line in one["change"].splitlines()]
        before, after = (
            "".join(f"{line[1:]}\n" for line in lines if not line.startswith(other)) for other in ("+", "-")
        )
        found.append((file, before, after))
    return found


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The sources, with the worked step in them."""
    python = shutil.ignore_patterns("__pycache__", "*.cpp", "*.hpp", "pjsip", "*.so")
    for tree in ("gateway", "media", "dialplans"):
        shutil.copytree(ROOT / tree, tmp_path / tree, ignore=python)
    (tmp_path / "tests").mkdir()
    for fake in (ROOT / "tests").glob("*.py"):
        shutil.copy(fake, tmp_path / "tests")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    worked = changes((ROOT / "CONTRIBUTING.md").read_text())
    assert {file for file, _, _ in worked} == {"gateway/dialplan/steps.py", "gateway/dialplan/run.py"}
    for file, before, after in worked:
        text = (tmp_path / file).read_text()
        assert text.count(before) == 1, f"{file} has this {text.count(before)} times:\n{before}"
        (tmp_path / file).write_text(text.replace(before, after))
    return tmp_path


def test_the_worked_step_works_as_it_is_written(copy: Path) -> None:
    for name, plan in (("gateway", PLAN), ("faulty", NEVER_RUNS)):
        (copy / f"{name}.yaml").write_text(f"dialplans: [plan-of-{name}.yaml]\n")
        (copy / f"plan-of-{name}.yaml").write_text(plan)
    (copy / "plan.yaml").write_text(PLAN)
    ran = subprocess.run([sys.executable, "-c", IN_THE_COPY], cwd=copy, capture_output=True, text=True, check=False)
    assert (copy / "told").exists(), ran.stderr
    assert (copy / "told").read_text() == "600 180 486\n601 200 bye busy\n"
    assert "  2. busy\n" in ran.stdout
    assert "it never runs: busy comes before" in ran.stderr


def test_the_worked_step_is_in_form(copy: Path) -> None:
    ruff = Path(sys.executable).with_name("ruff")
    for command in (["format", "--check"], ["check"]):
        ran = subprocess.run(
            [ruff, *command, "--no-cache", "gateway/dialplan"], cwd=copy, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
