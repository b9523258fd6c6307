"""Which rooms may know which; what import-linter cannot see, since the engine is no Python."""

from __future__ import annotations

import ast
import graphlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

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


def needed(path: Path, modules: AbstractSet[str]) -> set[str]:
    """Those of the modules that a file imports, or something out of, also for types alone."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            below = {f"{node.module}.{one.name}" for one in node.names}
            names |= below if below <= modules else {node.module, *below}
    return names & modules


@pytest.mark.parametrize("room", WIRELESS)
def test_who_decides_knows_no_engine(room: str) -> None:
    modules = sorted((ROOT / room).rglob("*.py"))
    assert modules
    assert [path.name for path in modules if "media._engine" in imported(path)] == []


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Also not by way of its own package, which import-linter's contract lets pass; imports for types count."""
    modules: dict[str, Path] = {}
    for path in [*(ROOT / "gateway").rglob("*.py"), *(ROOT / "media").rglob("*.py")]:
        if "pjsip" not in path.parts:  # a program of its own
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            modules[name.removesuffix(".__init__")] = path
    graph = {name: needed(path, modules.keys()) - {name} for name, path in modules.items()}
    graphlib.TopologicalSorter(graph).prepare()


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
