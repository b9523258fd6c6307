"""bench-peers: the same calls to the gateway and to Asterisk, in turns: an echo, and a bot behind AudioSocket.

Prints one line with `peers`, one item each: peer, calls, loss_pct, echo_ms, gap_ms, cpu_core_pct_per_call,
rss_kb_per_call. Where there is no Asterisk, its rows are left out and `skipped` says why.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
from typing import TYPE_CHECKING

from bench.asterisk import ECHO, audiosocket, running_asterisk, version
from bench.echo import SETTLE_S
from bench.errors import MeasurementFailedError, PeerMissingError
from bench.gateway_process import running_gateway
from bench.generator import build_generator, count, run_generator, warm_up
from bench.provenance import ROOT, report
from bench.usage import Window, read_usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.provenance import Json

RATE = 50.0
"""Calls started per second: both sides set them up without a failure."""


@contextlib.contextmanager
def bot() -> Iterator[int]:
    """A server for AudioSocket that says again what it hears, as a process of its own; its port."""
    command = [sys.executable, "-m", "bench.audiosocket_bot"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            port = process.stdout.readline().strip() if process.stdout else ""
            if not port:
                raise MeasurementFailedError("the bot did not start")
            yield int(port)
        finally:
            process.terminate()


@contextlib.contextmanager
def offhook_echo(calls: int) -> Iterator[tuple[int, str]]:
    """The gateway, with the echo agent on its loop."""
    with running_gateway({"kind": "echo"}, calls=calls) as gateway:
        yield gateway.pid, gateway.target


@contextlib.contextmanager
def offhook_audiosocket(calls: int) -> Iterator[tuple[int, str]]:
    """The gateway, with the bot."""
    with bot() as port, running_gateway({"kind": "audiosocket", "server": f"127.0.0.1:{port}"}, calls=calls) as gateway:
        yield gateway.pid, gateway.target


@contextlib.contextmanager
def asterisk_echo(_calls: int) -> Iterator[tuple[int, str]]:
    """Asterisk's Echo()."""
    with running_asterisk(ECHO) as peer:
        yield peer


@contextlib.contextmanager
def asterisk_audiosocket(_calls: int) -> Iterator[tuple[int, str]]:
    """Asterisk's AudioSocket(), with the same bot."""
    with bot() as port, running_asterisk(audiosocket(port)) as peer:
        yield peer


PEERS: dict[str, Callable[[int], contextlib.AbstractContextManager[tuple[int, str]]]] = {
    "offhook echo": offhook_echo,
    "asterisk Echo()": asterisk_echo,
    "offhook audiosocket": offhook_audiosocket,
    "asterisk AudioSocket()": asterisk_audiosocket,
}


def measure(peer: str, calls: int, seconds: float) -> dict[str, Json]:
    """One run.

    Raises:
        MeasurementFailedError: it did not work.
        PeerMissingError: there is no such peer here.
    """
    with PEERS[peer](calls) as (pid, target):
        warm_up(target)
        idle = read_usage(pid)
        window = Window(pid)
        options: dict[str, str | float] = {
            "target": target,
            "calls": calls,
            "seconds": seconds,
            "rate": RATE,
            "settle": SETTLE_S,
        }
        found = run_generator("echo", options, calls / RATE + seconds + 60, window.on_event)
    answered = count(found, "answered")
    return {
        "peer": peer,
        "calls": calls,
        "answered": answered,
        **{key: found[key] for key in ("loss_pct", "echo_ms", "gap_ms")},
        "cpu_core_pct_per_call": round(window.core_pct / answered, 4),
        "rss_kb_per_call": round((window.end.rss_kb - idle.rss_kb) / answered, 1),
        "rest_core_pct": round(window.rest_core_pct, 2),
        "machine_stolen_ms": round(window.stolen_ms),
    }


def main() -> None:
    """Measure each peer with each number of calls, print, keep."""
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument("--calls", type=int, action="append", help="may be given several times; 500 and 1,000 without")
    parser.add_argument("--seconds", type=float, default=15.0, help="measured time, after all calls are up")
    parser.add_argument("--peer", choices=sorted(PEERS), action="append", help="may be given several times")
    given = parser.parse_args()
    runs: list[Json] = []
    skipped: dict[str, Json] = {}
    try:
        build_generator()
        for calls in given.calls or [500, 1000]:
            for peer in given.peer or PEERS:
                try:
                    runs.append(measure(peer, calls, given.seconds))
                except PeerMissingError as error:
                    skipped[peer] = str(error)
                    sys.stderr.write(f"{peer} is skipped: {error}\n")
    except MeasurementFailedError as error:
        raise SystemExit(str(error)) from None
    report("peers", {"peers": runs, "skipped": skipped, "asterisk": None if skipped else version()})


if __name__ == "__main__":
    main()
