"""Whatever the file holds, SettingsError is all that comes out."""

from __future__ import annotations

import contextlib
from pathlib import Path

import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.settings import SettingsError
from gateway.settings.context import FileContext
from gateway.settings.load import load_text

SAMPLE = (Path(__file__).resolve().parents[4] / "systemd" / "gateway.yaml").read_text()
WORDS = st.sampled_from([
    "sip", "media", "limits", "trunks", "agents", "dialplans", "control", "log", "listen", "codecs", "calls",
    "registrar", "user", "password", "expires", "retry", "first", "sources", "kind", "echo", "tone", "speaker",
    "python", "class", "files", "options", "barge_in", "mode", "off", "pause", "udp:0.0.0.0:5060", "5s", "0", "-1",
    "1e999", "nan", "null", "true", "[::1]:5", "10.0.0.0/8", "level", "format", "register", "rtp_ports", "1-2",
])  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | WORDS
TREES = st.recursive(
    SCALARS,
    lambda below: st.lists(below, max_size=4) | st.dictionaries(WORDS | st.text(max_size=4), below, max_size=5),
    max_leaves=20,
)


def load(text: str) -> None:
    with contextlib.suppress(SettingsError):
        load_text(text, "g.yaml", FileContext(Path("/nonexistent"), {}))


@given(st.text(max_size=200))
@example("a: \ud800")
@example("\x00")
@example("%YAML 9.9\n---\n")
@example("- &a *a")
@settings(max_examples=100)
def test_any_text(text: str) -> None:
    load(text)


@given(TREES)
@settings(max_examples=120)
def test_any_tree(tree: object) -> None:
    load(yaml.safe_dump(tree))


@given(st.integers(0, len(SAMPLE)), st.integers(0, 40), st.text(max_size=6) | WORDS)
@settings(max_examples=80)
def test_a_sample_that_was_mangled(start: int, removed: int, inserted: str) -> None:
    uncommented = SAMPLE.replace("\n# ", "\n")
    load(uncommented[:start] + inserted + uncommented[start + removed :])
