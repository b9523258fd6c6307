"""The installed service as its administrator sees it: install, configure, systemctl, journal, `offhook status`."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.e2e.peers.process import PeerError, wait_until
from tests.systemd.rootfs import REPOSITORY

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from tests.systemd.container import Container

SOURCE, WHEELS = "/usr/src/offhook", "/usr/src/wheels"
SETTINGS = "/etc/offhook/gateway.yaml"
NUMBER, PASSWORD = "+15550100", "correct horse"

Fields = dict[str, object]
"""One JSON object of a log line or of the status."""


def wheels_directory() -> Path:
    """Where `make wheels` put Offhook and all that it needs; OFFHOOK_WHEELS names another place."""
    return Path(os.environ.get("OFFHOOK_WHEELS") or REPOSITORY / "build" / "wheels")


@dataclass(frozen=True, slots=True)
class Service:
    """offhook.service in a container."""

    container: Container

    def install(self, *arguments: str) -> str:
        """Run the installer, by default with the wheels; returns what it said."""
        done = self.container.run(f"{SOURCE}/systemd/install.sh", *(arguments or (WHEELS,)), deadline_s=120)
        return done.stdout + done.stderr

    def configure(self, registrar: str, password: str, *, drain_s: int = 20) -> None:
        """One trunk, as an administrator writes it: the password in a file that only the gateway can read."""
        secret = "/etc/offhook/carrier.password"
        self.container.run("install", "-m", "0640", "-o", "root", "-g", "offhook", "/dev/null", secret)
        self.container.write(secret, f"{password}\n")
        self.container.write(
            SETTINGS,
            "sip: {listen: [udp:0.0.0.0:5060, tcp:0.0.0.0:5060]}\n"
            f"limits: {{drain_timeout: {drain_s}s}}\n"
            "dialplans: [dialplans/default.yaml]\n"
            "trunks:\n"
            "  carrier:\n"
            f"    registrar: {registrar}\n"
            "    user: gateway\n"
            "    password_file: carrier.password\n"
            "    retry: {first: 1s, max: 2s}\n",
        )

    def systemctl(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """`systemctl ARGUMENTS offhook`."""
        return self.container.run("systemctl", *arguments, "offhook", check=check, deadline_s=120)

    def show(self, name: str) -> str:
        """A property of the unit, such as ActiveState."""
        return self.systemctl("show", "-P", name).stdout.strip()

    @property
    def main_pid(self) -> int:
        """The gateway's process id, 0 if it does not run."""
        return int(self.show("MainPID"))

    def status(self) -> Fields:
        """`offhook status --json`."""
        fields: Fields = json.loads(self.container.run("offhook", "status", "--json").stdout)
        return fields

    def log(self) -> list[Fields]:
        """What the gateway wrote to the journal since its last start, one object to a line.

        Raises:
            PeerError: a line is no JSON object.
        """
        # Of the gateway alone: a reload is a process of the unit, too.
        run = (f"_SYSTEMD_INVOCATION_ID={self.show('InvocationID')}", f"_PID={self.show('ExecMainPID')}")
        lines = self.container.run("journalctl", "--no-pager", "-o", "cat", *run).stdout.splitlines()
        try:
            return [json.loads(line) for line in lines]
        except json.JSONDecodeError as error:
            raise PeerError(f"a log line is no JSON ({error}):\n" + "\n".join(lines[-50:])) from None

    def wait_log(self, event: str, wanted: Callable[[Fields], bool] = bool, deadline_s: float = 10.0) -> Fields:
        """The last log line with this event that fulfils `wanted`."""

        def look() -> Fields | None:
            return next((line for line in reversed(self.log()) if line.get("event") == event and wanted(line)), None)

        try:
            return wait_until(look, f"log line {event}", deadline_s, every_s=0.2)
        except PeerError as error:
            raise PeerError(f"{error}\n{self.journal()}") from None

    def journal(self) -> str:
        """The end of the journal: the text of a failure."""
        return self.container.run("journalctl", "--no-pager", "-n", "60", "-u", "offhook").stdout
