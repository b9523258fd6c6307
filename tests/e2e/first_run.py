"""What a newcomer does: start the gateway with no configuration, dial what it prints. Run in a network of its own.

Not a test module: `test_first_run.py` runs it as a program, since the default ports may be taken on this machine.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile

from tests.e2e.gateway_process import OFFHOOK
from tests.e2e.listening import assert_heard
from tests.e2e.peers.caller import Caller
from tests.e2e.peers.process import wait_until
from tests.e2e.peers.sound import tone


def main() -> None:
    """Raise where anything is not as the README says."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with tempfile.TemporaryDirectory() as place:
        environment = {name: value for name, value in os.environ.items() if name != "OFFHOOK_CONFIG"}
        environment["XDG_RUNTIME_DIR"] = environment["RUNTIME_DIRECTORY"] = place
        with open(f"{place}/said", "wb") as said:  # noqa: PTH123 - a path in a string is all there is to it
            gateway = subprocess.Popen(
                [OFFHOOK, "run"], cwd=place, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said
            )
        try:
            dial(f"{place}/said")
        finally:
            gateway.send_signal(signal.SIGTERM)
        assert gateway.wait(15) == 0


def dial(said: str) -> None:
    """Dial the numbers that it names."""

    def targets() -> dict[str, tuple[str, int]]:
        with open(said, encoding="utf-8") as lines:  # noqa: PTH123
            found = re.findall(r"^ +sip:(\S+)@([0-9.]+):(\d+) ", lines.read(), re.MULTILINE)
        return {number: (host, int(port)) for number, host, port in found}

    numbers = wait_until(targets, "it says what to dial", 15)
    sys.stdout.write(f"{sorted(numbers)}\n")
    with Caller(numbers["600"]) as caller:
        call = caller.dial("600")
        call.wait_answered()
        call.send(tone(440, 500))
        assert_heard(call.wait_heard(700), [440])
        assert call.hangup() == 200


if __name__ == "__main__":
    main()
