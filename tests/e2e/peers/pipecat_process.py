"""pipecat from its registry, in a virtual environment that is kept, since its libraries are many."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError
from urllib.request import urlopen

from tests.e2e.peers.process import LOOPBACK, PeerError, Process, free_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = "1.14.0"
REQUIREMENTS = (f"pipecat-ai[websocket]=={VERSION}", "fastapi", "uvicorn[standard]")
ENVIRONMENT = Path.home() / ".cache" / "offhook" / f"pipecat-{VERSION}-python{sys.version_info.minor}"
INSTALL_S = 600
START_S = 60.0
BOT = Path(__file__).with_name("pipecat_bot.py")


def installed() -> Path:
    """The Python of an environment that has pipecat; made now if it is not there.

    Raises:
        PeerError: it could not be installed.
    """
    python = ENVIRONMENT / "bin" / "python"
    ready = ENVIRONMENT / "ready"
    if ready.exists():
        return python
    # pipecat's libraries have versions of their own: what this project pins does not hold for them.
    environment = {name: value for name, value in os.environ.items() if name != "PIP_CONSTRAINT"}
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)],
        [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *REQUIREMENTS],
    ):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=INSTALL_S, check=False)
        if done.returncode != 0:
            raise PeerError(f"{' '.join(command)}: {done.stderr[-2_000:]}")
    ready.write_text(time.strftime("%Y-%m-%d"))
    return python


class PipecatBot(Process):
    """`with PipecatBot(directory) as bot:` waits until it takes connections."""

    def __init__(self, directory: Path, environment: Mapping[str, str] | None = None) -> None:
        self.port = free_port()
        super().__init__(
            "pipecat", [str(installed()), str(BOT), str(self.port)], directory / "pipecat.log", environment
        )

    @property
    def url(self) -> str:
        """Where it takes calls."""
        return f"ws://{LOOPBACK}:{self.port}/ws"

    def wait_ready(self) -> None:
        """Wait until it answers."""

        def answers() -> bool:
            if not self.running:
                raise PeerError(self.explain("it ended while starting"))
            try:
                urlopen(f"http://{LOOPBACK}:{self.port}/openapi.json", timeout=1).close()
            except (URLError, OSError):
                return False
            return True

        wait_until(answers, "pipecat takes connections", START_S, every_s=0.2)
