"""The process ends after the gateway has, whoever still holds a thread or a task."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

PROGRAM = """
import asyncio, sys, threading
from gateway.cli.leaving import run_to_the_end
from media import wav

never, begun = threading.Event(), threading.Event()

def blocked():
    begun.set()
    never.wait()

async def stubborn():
    begun.set()
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass

kept = []

async def main():
    loop = asyncio.get_running_loop()
    match {held!r}:
        case "thread":
            loop.run_in_executor(None, blocked)
        case "thread of a thread":
            threading.Thread(target=asyncio.run, args=(asyncio.to_thread(blocked),), daemon=True).start()
        case "task":
            kept.append(asyncio.create_task(stubborn()))
            await asyncio.sleep(0)
        case "idle":
            await loop.run_in_executor(wav.executor, begun.set)
            await asyncio.to_thread(begun.set)
    begun.wait()

run_to_the_end(main(), sys.stdout.flush)
print("left")
"""


@pytest.mark.parametrize("held", ["thread", "thread of a thread", "task", "idle"])
def test_nobody_keeps_the_process(held: str) -> None:
    program = textwrap.dedent(PROGRAM.format(held=held))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr
    assert ("gateway.left_behind" in done.stdout) is (held != "idle")
    assert done.stdout.endswith("left\n") is (held == "idle")
