"""Which rooms may know which; what import-linter cannot see, since the engine is no Python."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WIRELESS = (
    "gateway/agents",
    "gateway/calls",
    "gateway/dialplan",
    "gateway/settings",
    "media/conversation",
    "media/speech",
)


def imported(path: Path) -> set[str]:
    """Everything that a module imports, also for types alone."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{one.name}" for one in node.names}
    return names


@pytest.mark.parametrize("room", WIRELESS)
def test_who_decides_knows_no_engine(room: str) -> None:
    modules = sorted((ROOT / room).rglob("*.py"))
    assert modules
    assert [path.name for path in modules if "media._engine" in imported(path)] == []


def test_a_name_is_that_of_one_class_or_type() -> None:
    defined: dict[str, list[str]] = {}
    for path in sorted([*(ROOT / "gateway").rglob("*.py"), *(ROOT / "media").rglob("*.py")]):
        if "pjsip" in path.parts:
            continue  # a program of its own
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                defined.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
            elif isinstance(node, ast.AnnAssign) and ast.unparse(node.annotation) == "TypeAlias":
                defined.setdefault(ast.unparse(node.target), []).append(str(path.relative_to(ROOT)))
    shared = {name: paths for name, paths in defined.items() if len(paths) > 1}
    # What an agent is given, by the name that users' agents know, is the gateway's call as the agent may see it.
    assert shared == {"Call": ["gateway/agents/agent.py", "gateway/calls/call.py"]}
