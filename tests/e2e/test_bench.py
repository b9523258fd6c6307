"""The benchmarks run, and print what they promise; how fast is not asked here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ALWAYS = {"machine", "versions", "commit"}
PERCENTILES = {"p50", "p99", "max"}


def last_object(module: str, *options: str) -> dict[str, object]:
    command = [sys.executable, "-m", module, *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    printed: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    assert printed.keys() >= ALWAYS
    return printed


def keys(value: object) -> set[str]:
    assert isinstance(value, dict)
    return set(value)


def test_echo() -> None:
    result = last_object("bench.echo", "--calls", "3", "--seconds", "1")
    assert (result["calls"], result["answered"], result["rtp_tx"]) == (3, 3, 150)
    received, lost_pct = result["rtp_rx"], result["loss_pct"]
    assert isinstance(received, int)
    assert 0 < received <= 150, (
        "how many come back within the second is the machine's doing: what came late was dropped"
    )
    assert lost_pct == pytest.approx(100 * (150 - received) / 150, abs=0.01)
    assert keys(result["echo_ms"]) >= PERCENTILES | {"p99_9"}
    assert keys(result["ingest_ms"]) >= PERCENTILES
    assert keys(result["gap_ms"]) >= PERCENTILES
    assert result.keys() >= {"cpu_core_pct_per_call", "rss_kb_per_call"}


def test_setup() -> None:
    result = last_object("bench.setup", "--cps", "10", "--live", "5", "--seconds", "1")
    assert (result["failed"], result["live_after"]) == (0, 0)
    assert result["cps"] == pytest.approx(10, abs=3)
    assert result["live"]


@pytest.mark.slow
def test_barge_in() -> None:
    result = last_object("bench.bargein", "--calls", "2", "--rounds", "1")
    assert result["calls"] == 2
    assert keys(result["stop_ms"]) >= PERCENTILES


@pytest.mark.slow
def test_network_agents() -> None:
    result = last_object("bench.network", "--calls", "2", "--seconds", "1")
    kinds = result["kinds"]
    assert isinstance(kinds, list)
    assert [one["kind"] for one in kinds] == ["media-streams", "openai-realtime"]
    for one in (*kinds, result):
        assert keys(one["up_ms"]) >= {"p50", "p99"}
        assert keys(one["down_ms"]) >= {"p50", "p99"}
        assert one.keys() >= {"calls", "cpu_core_pct_per_call", "dropped"}
