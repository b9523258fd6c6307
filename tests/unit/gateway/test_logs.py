"""Whatever becomes of standard error, nobody waits for it or fails by it, and what is lost is told."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

Lines = list[dict[str, object]]

HEADER = """
import sys, structlog
from gateway.logs import set_up_logs
log = structlog.get_logger("test")
"""
DEADLINE_S = 60.0


def start(program: str, stderr: IO[bytes] | int, **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", HEADER + textwrap.dedent(program)],
        stdout=subprocess.PIPE,
        stderr=stderr,
        env={**os.environ, **environment},
    )


def finish(process: subprocess.Popen[bytes]) -> bytes:
    out, _ = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0
    return out


def lines(text: bytes) -> Lines:
    return [json.loads(line) for line in text.splitlines()]


def events(text: bytes, name: str) -> Lines:
    return [line for line in lines(text) if line["event"] == name]


EVERYTHING = """
import asyncio, gc, logging, os, threading, warnings
async def forgotten():
    asyncio.create_task(failing())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gc.collect()
async def failing():
    raise ValueError("of a task")
class Unraisable:
    def __del__(self):
        raise ValueError("of a finalizer")
def failing_thread():
    raise ValueError("of a thread")
with set_up_logs("info", "json") as logs:
    log.info("a.line", value="x" * 2000)
    sys.stderr.write("printed\\n")
    print("printed, too", file=sys.stderr, flush=True)
    warnings.warn("a warning")
    logging.getLogger("library").warning("said %s", "so")
    logging.getLogger("library").warning("said %d", "so")
    logging.getLogger("library").log(35, "said at a level of its own")
    Unraisable()
    thread = threading.Thread(target=failing_thread)
    thread.start()
    thread.join()
    asyncio.run(forgotten())
    try:
        raise ValueError("of ours")
    except ValueError:
        log.exception("ours.failed")
    print("all said")
"""


def full() -> IO[bytes]:
    return Path("/dev/full").open("wb")


def reader_gone() -> IO[bytes]:
    reader, writer = os.pipe()
    os.close(reader)
    return os.fdopen(writer, "wb")


@pytest.mark.parametrize("unwritable", [full, reader_gone])
def test_nothing_fails_when_standard_error_cannot_be_written(unwritable: Callable[[], IO[bytes]]) -> None:
    with unwritable() as stderr:
        assert finish(start(EVERYTHING, stderr)) == b"all said\n"


def test_everything_that_is_said_gets_out(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        assert finish(start(EVERYTHING, log)) == b"all said\n"
    text = (tmp_path / "log").read_text()
    for said in ("a.line", "printed\n", "printed, too\n", "a warning", "said so", "of a finalizer", "of a thread"):
        assert said in text
    ours = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    libraries = [(line["sender"], line["level"]) for line in ours if line["event"] == "library.said"]
    assert libraries == [*[("library", "warning")] * 3, ("asyncio", "error")]
    assert [line["event"] for line in ours if "of ours" in str(line.get("exception"))] == ["ours.failed"]


def test_a_reader_that_does_not_read_holds_nobody_up() -> None:
    reader, writer = os.pipe()
    program = """
        import time
        began = time.monotonic()
        with set_up_logs("info", "json") as logs:
            for number in range(5000):
                log.info("a.line", number=number, always=True)
                sys.stderr.write("printed" * 10 + chr(10))
            took_s = time.monotonic() - began
        print(took_s, time.monotonic() - began)
    """
    try:
        took_s, ended_s = map(float, finish(start(program, writer)).split())
    finally:
        os.close(reader)
        os.close(writer)
    assert took_s < 30  # writing would have waited for ever
    assert ended_s < took_s + 20


def test_a_reader_that_reads_again_is_told_what_it_missed() -> None:
    program = """
        with set_up_logs("info", "json") as logs:
            for number in range(5000):
                log.info("a.line", text="x" * 100, always=True)
            print("full", flush=True)
            sys.stdin.readline()
    """
    process = subprocess.Popen(
        [sys.executable, "-c", HEADER + textwrap.dedent(program)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"full\n"
    _, read = process.communicate(b"go on\n", timeout=DEADLINE_S)
    (lost,) = events(read, "log.lost")
    assert (lost["why"], lost["level"]) == ("the reader is too slow", "warning")
    assert isinstance(lost["lines"], int)
    assert len(events(read, "a.line")) + lost["lines"] == 5000


def test_a_disk_that_was_full_says_what_is_missing(tmp_path: Path) -> None:
    program = """
        import os, resource, time
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        with set_up_logs("info", "json") as logs:
            resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
            for number in range(100):
                log.info("a.line", number=number)
            while logs.waiting:
                time.sleep(0.01)
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
            log.info("room.again")
    """
    with (tmp_path / "log").open("wb") as log:
        finish(start(program, log))
    written = (tmp_path / "log").read_bytes().splitlines()
    torn = [line for line in written if not line.endswith(b"}")]
    assert len(torn) <= 1
    whole = b"\n".join(line for line in written if line.endswith(b"}"))
    (lost,) = events(whole, "log.lost")
    assert lost["why"] == "File too large"
    assert isinstance(lost["lines"], int)
    assert len(events(whole, "a.line")) + lost["lines"] == 100
    assert len(events(whole, "room.again")) == 1


def test_a_flood_is_counted_and_hides_nothing_else(tmp_path: Path) -> None:
    program = """
        with set_up_logs("info", "json"):
            for number in range(5000):
                log.warning("call.refused", number=number)
                if number % 10 == 9:  # fewer than the queue holds: its limit is not what this is about
                    log.info("call.ended", always=True)
                if number % 1000 == 999:
                    log.warning("trunk.lost")
                    log.error("pjsip.said", sender="one")
    """
    with (tmp_path / "log").open("wb") as log:
        finish(start(program, log))
    text = (tmp_path / "log").read_bytes()
    refused = len(events(text, "call.refused"))
    assert refused < 1000
    assert len(events(text, "call.ended")) == 500
    assert len(events(text, "trunk.lost")) == len(events(text, "pjsip.said")) == 5
    told: list[object] = [line["dropped"] for line in events(text, "log.limited")]
    assert sum(one["call.refused"] for one in told if isinstance(one, dict)) + refused == 5000
    assert not events(text, "log.lost")
    assert not any("always" in line for line in lines(text))


def test_floods_of_two_senders_are_two(tmp_path: Path) -> None:
    program = """
        with set_up_logs("info", "json"):
            for number in range(1000):
                log.error("pjsip.said", sender="a")
            log.error("pjsip.said", sender="b")
    """
    with (tmp_path / "log").open("wb") as log:
        finish(start(program, log))
    text = (tmp_path / "log").read_bytes()
    assert [line["sender"] for line in events(text, "pjsip.said")][-1] == "b"
    (limited,) = events(text, "log.limited")
    assert isinstance(limited["dropped"], dict)
    assert list(limited["dropped"]) == ["pjsip.said a"]


def test_the_journal_gets_each_lines_priority(tmp_path: Path) -> None:
    program = """
        with set_up_logs("debug", "auto"):
            log.debug("a.trace"); log.info("a.fact"); log.warning("a.doubt"); log.error("a.fault")
            log.critical("an.end")
            print("two\\nlines", file=sys.stderr)
    """
    with (tmp_path / "log").open("wb") as log:
        status = os.fstat(log.fileno())
        finish(start(program, log, JOURNAL_STREAM=f"{status.st_dev}:{status.st_ino}"))
    written = (tmp_path / "log").read_text().splitlines()
    assert [line[:4] for line in written] == ["<7>{", "<6>{", "<4>{", "<3>{", "<2>{", "<4>t", "<4>l"]


def test_the_journal_gets_the_priority_of_what_a_command_complains_of(tmp_path: Path) -> None:
    """As `offhook run` does of bad settings, and `offhook reload`, which the unit runs, of a dialplan."""
    program = r"""
        from gateway.logs import complain
        complain("a fault\nand another\n"); complain("a doubt\n", "warning")
    """
    with (tmp_path / "log").open("wb") as log:
        status = os.fstat(log.fileno())
        finish(start(program, log, JOURNAL_STREAM=f"{status.st_dev}:{status.st_ino}"))
    assert (tmp_path / "log").read_text() == "<3>a fault\n<3>and another\n<4>a doubt\n"


def test_a_stream_that_is_not_the_journal_gets_none(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        finish(start('with set_up_logs("info", "auto"): log.error("a.fault")', log, JOURNAL_STREAM="1:2"))
    assert (tmp_path / "log").read_text().startswith("{")


def test_a_traceback_on_a_terminal_is_bounded_and_printable(tmp_path: Path) -> None:
    program = r"""
        with set_up_logs("info", "console"):
            try:
                raise ValueError("\x1b[2J" + "x" * 1_000_000)
            except ValueError:
                log.exception("a.fault", said="\x1b[2J\udcff")
    """
    with (tmp_path / "log").open("wb") as log:
        finish(start(program, log))
    written = (tmp_path / "log").read_bytes()
    assert len(written) < 20_000
    assert b"\x1b" not in written
    assert rb"\x1b[2J\udcff" in written
    assert b"Traceback" in written


def test_a_child_process_of_an_agent_speaks_for_itself(tmp_path: Path) -> None:
    program = """
        import os
        with set_up_logs("info", "json"):
            child = os.fork()
            if child == 0:
                print("printed", file=sys.stderr, flush=True)
                log.info("a.line")
                os._exit(0)
            os.waitpid(child, 0)
    """
    with (tmp_path / "log").open("wb") as log:
        finish(start(program, log))
    text = (tmp_path / "log").read_text()
    assert "printed\n" in text
    assert '"a.line"' in text


def test_closed_streams_lend_their_numbers_to_nobody(tmp_path: Path) -> None:
    program = (
        "import socket, sys\n"
        "from gateway.logs import complain, open_missing_streams, set_up_logs\n"
        "open_missing_streams()\n"
        "assert socket.socket().fileno() > 2\n"
        "complain('nobody hears this')\n"
        "with set_up_logs('info', 'auto'):\n"
        "    print('nor this'); print('nor this', file=sys.stderr)\n"
        f"open({str(tmp_path / 'done')!r}, 'w').close()\n"
    )
    shell = ["/bin/sh", "-c", 'exec "$0" -c "$1" <&- >&- 2>&-', sys.executable, program]
    assert subprocess.run(shell, check=False, timeout=DEADLINE_S).returncode == 0
    assert (tmp_path / "done").exists()


def test_complaining_where_nobody_can_read_is_no_failure() -> None:
    with full() as stderr:
        assert finish(start('from gateway.logs import complain\ncomplain("why")\nprint("alive")', stderr)) == b"alive\n"


@pytest.mark.parametrize("room", [0, 1])
def test_complaining_to_a_reader_that_does_not_read_has_an_end(room: int) -> None:
    """A gateway that cannot start ends with its exit code, and is started again; a piece may still fit in."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, b"x" * 4096)
    os.set_blocking(writer, True)
    os.read(reader, 4096 * room or 1)
    try:
        program = 'from gateway.logs import complain\ncomplain("why" * 10_000)\nprint("alive")'
        assert finish(start(program, writer)) == b"alive\n"
    finally:
        os.close(reader)
        os.close(writer)


def test_dropped_lines_are_told_while_it_runs(tmp_path: Path) -> None:
    program = """
        import gateway.loglines.sink
        gateway.loglines.sink.REPORT_S = 0.1
        with set_up_logs("info", "json"):
            for number in range(1000):
                log.warning("call.refused")
            sys.stdin.readline()
    """
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", HEADER + textwrap.dedent(program)], stdin=subprocess.PIPE, stderr=log
        )
    end_s = time.monotonic() + DEADLINE_S
    while b"log.limited" not in (tmp_path / "log").read_bytes():
        assert time.monotonic() < end_s, "it tells while it still runs"
        time.sleep(0.05)
    process.communicate(b"\n", timeout=DEADLINE_S)
