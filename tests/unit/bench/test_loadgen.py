"""The load generator: its own checks, and whole runs against a fake gateway."""

from __future__ import annotations

import asyncio
import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from bench.errors import MeasurementFailedError
from bench.generator import PROGRAM, SOURCE, build_generator, run_generator
from tests.unit.bench.fake_gateway import HUSH_AFTER_FRAMES, FakeGateway, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bench.provenance import Json


@pytest.fixture(scope="module", autouse=True)
def _built() -> None:
    build_generator()


def generate(
    fake: FakeGateway,
    mode: str,
    options: Mapping[str, float],
    limit_s: float = 20,
    on_event: Callable[[str], None] = lambda _name: None,
) -> Mapping[str, Json]:
    async def run() -> Mapping[str, Json]:
        async with serving(fake) as target:
            return await asyncio.to_thread(run_generator, mode, {"target": target, **options}, limit_s, on_event)

    return asyncio.run(run())


def number(result: Mapping[str, Json], *path: str) -> float:
    found: Json = dict(result)
    for key in path:
        assert isinstance(found, dict)
        found = found[key]
    assert isinstance(found, int | float)
    return found


@pytest.mark.slow
def test_the_generators_own_checks_pass() -> None:
    command = ["make", "-s", "-C", str(SOURCE), "selftest"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_packet_comes_back_and_every_call_is_hung_up() -> None:
    fake = FakeGateway(echo_delay_s=0.1)
    events: list[str] = []
    options = {"calls": 5, "seconds": 0.5, "settle": 0.2, "rate": 100}
    result = generate(fake, "echo", options, on_event=events.append)
    assert (result["calls"], result["answered"], result["failed"]) == (5, 5, 0)
    assert result["rtp_tx"] == result["rtp_rx"]
    # 25 from each call; where the machine kept the generator waiting, as many more or less as it says to be late.
    late_frames = number(result, "generator", "late_ms", "max") / 20
    skipped_frames = number(result, "generator", "skipped_slots") / 40
    assert number(result, "rtp_tx") / 5 == pytest.approx(25, abs=1 + late_frames + skipped_frames)
    assert (result["loss_pct"], result["rtp_unstamped"], result["rtp_of_other_calls"]) == (0, 0, 0)
    assert 100 <= number(result, "echo_ms", "p50") < 1000, "later than a second would have been lost"
    # Whatever is late, it is 20 ms from one packet to the next on average.
    assert number(result, "gap_ms", "p50") < 40
    assert number(result, "gap_ms", "max") > 19
    assert events == ["measuring", "measured"]
    assert (fake.live, fake.byes) == (0, 5)


def test_refused_calls_are_counted_by_cause_and_the_others_go_on() -> None:
    result = generate(FakeGateway(busy=2), "echo", {"calls": 5, "seconds": 0.2, "settle": 0, "rate": 100})
    assert (result["answered"], result["failed"], result["failures"]) == (3, 2, {"486": 2})


def test_an_invite_that_is_lost_is_sent_again() -> None:
    result = generate(FakeGateway(deaf=1), "echo", {"calls": 1, "seconds": 0.2, "settle": 0})
    assert (result["answered"], result["failed"]) == (1, 0)


def test_calls_are_set_up_at_the_rate_asked_for() -> None:
    fake = FakeGateway()
    result = generate(fake, "setup", {"rate": 40, "live": 10, "seconds": 1})
    # A machine that stands still moves calls to a later time, or beyond the end; it makes none.
    assert 40 <= number(result, "calls") <= 51
    assert 30 <= number(result, "cps") == number(result, "dialled_in_window") <= number(result, "calls")
    assert result["failed"] == 0
    # 10 on average; all 50 if they were not hung up after their time.
    assert number(result, "live_min") <= 11
    assert 9 <= number(result, "live") <= 30
    assert (fake.live, fake.byes) == (0, result["calls"])


def test_the_end_of_the_voice_is_found() -> None:
    options = {"calls": 3, "settle": 0, "listen": 0.2, "min-speech-ms": 1000}
    result = generate(FakeGateway(speaks=True), "bargein", options)
    assert (result["interruptions"], result["not_stopped"], result["agent_never_spoke"]) == (3, 0, 0)
    # The last loud answer is that to the frame before the one that hushes. Half a second of silence has shown that it
    # was the last: if that were counted, or the second of speech were not taken off, it would be more than late.
    last_voice_ms = (HUSH_AFTER_FRAMES - 2) * 20
    assert number(result, "stop_ms", "p50") == pytest.approx(last_voice_ms - 1000, abs=200)


def test_a_run_that_takes_too_long_hangs_up_and_is_an_error() -> None:
    fake = FakeGateway()
    with pytest.raises(MeasurementFailedError, match="130"):
        generate(fake, "echo", {"calls": 2, "seconds": 60, "rate": 100}, limit_s=2)
    assert (fake.live, fake.byes) == (0, 2)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["echo"], "--target"),
        (["echo", "--target", "127.0.0.1:5060", "--calls", "0"], "--calls"),
        (["echo", "--target", "nowhere"], "bad value for --target"),
        (["echo", "--tarket", "127.0.0.1:5060"], "unknown option --tarket"),
        (["sing"], "unknown mode"),
    ],
)
def test_wrong_usage_is_told(words: list[str], complaint: str) -> None:
    run = subprocess.run([str(PROGRAM), *words], capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert complaint in run.stderr


def test_the_result_is_one_line_of_json() -> None:
    async def run() -> bytes:
        async with serving(FakeGateway()) as target:
            words = ["echo", "--target", target, "--calls", "1", "--seconds", "0.1", "--settle", "0"]
            process = await asyncio.create_subprocess_exec(str(PROGRAM), *words, stdout=subprocess.PIPE)
            out, _ = await process.communicate()
            return out

    lines = asyncio.run(run()).decode().splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["measuring", "measured", "result"]
