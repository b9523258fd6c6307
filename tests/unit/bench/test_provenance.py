"""A benchmark that somebody runs changes no published figure."""

from __future__ import annotations

import json

import pytest

from bench.provenance import LAST_RUNS, RESULTS, ROOT, report


def test_a_single_run_is_kept_where_git_does_not_look(capsys: pytest.CaptureFixture[str]) -> None:
    published = {path: path.read_bytes() for path in RESULTS.iterdir()}
    kept = LAST_RUNS / "test-of-report.json"
    try:
        report("test-of-report", {"calls": 1})
        assert json.loads(kept.read_text()) == json.loads(capsys.readouterr().out)
    finally:
        kept.unlink(missing_ok=True)
    assert published == {path: path.read_bytes() for path in RESULTS.iterdir()}
    assert f"/{LAST_RUNS.relative_to(ROOT).parts[0]}/" in (ROOT / ".gitignore").read_text().splitlines()
