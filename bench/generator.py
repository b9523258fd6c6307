"""The load generator as a subprocess: built when its sources changed, run, its JSON lines taken apart."""

from __future__ import annotations

import itertools
import json
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import MeasurementFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bench.provenance import Json

SOURCE = Path(__file__).resolve().parent / "loadgen"
PROGRAM = SOURCE / "build" / "loadgen"


def build_generator() -> None:
    """Bring the program up to date.

    Raises:
        MeasurementFailedError: it does not compile.
    """
    built = subprocess.run(["make", "-s", "-C", str(SOURCE)], capture_output=True, text=True, check=False)  # noqa: S607 - the user's make
    if built.returncode != 0:
        raise MeasurementFailedError(built.stderr)


def run_generator(
    mode: str,
    options: Mapping[str, str | float],
    limit_s: float,
    on_event: Callable[[str], None] = lambda _name: None,
) -> Mapping[str, Json]:
    """Run it to its end and return its result; `on_event` is told `measuring` and `measured` as they come.

    Options are those of its command line, without the dashes. It goes before ordinary threads, if the system permits
    and no option says otherwise: real callers do not wait for this machine.

    A run that lasts longer than limit_s is asked to hang up and end.

    Raises:
        MeasurementFailedError: it ended without a result.
    """
    words = ((f"--{name}", str(value)) for name, value in {"realtime": "yes", **options}.items())
    command = [str(PROGRAM), mode, *itertools.chain.from_iterable(words)]
    result: dict[str, Json] | None = None
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        watchdog = threading.Timer(limit_s, process.terminate)
        watchdog.start()
        try:
            for line in process.stdout or ():
                said = json.loads(line)
                if said["event"] == "result":
                    result = said
                else:
                    on_event(said["event"])
            complaint = process.stderr.read() if process.stderr else ""
        except BaseException:
            process.terminate()
            raise
        finally:
            watchdog.cancel()
    if result is None or process.returncode != 0:
        message = f"{' '.join(command)} ended with {process.returncode}\n{complaint}"
        raise MeasurementFailedError(message)
    if result["answered"] == 0:
        message = f"no call was answered: {result['failures']}"
        raise MeasurementFailedError(message)
    del result["event"]
    return result


def warm_up(target: str) -> None:
    """Have two short calls, so that what is loaded with the first ones belongs to the process and not to each call.

    Raises:
        MeasurementFailedError: they did not work.
    """
    result = run_generator("echo", {"target": target, "calls": 2, "seconds": 1, "settle": 0}, limit_s=60)
    if result["failed"] != 0:
        message = f"the first two calls failed: {result['failures']}"
        raise MeasurementFailedError(message)


def count(result: Mapping[str, Json], key: str) -> int:
    """A whole number of a result.

    Raises:
        MeasurementFailedError: it is none.
    """
    found = result.get(key)
    if not isinstance(found, int):
        message = f"the generator's result has no count {key}: {found!r}"
        raise MeasurementFailedError(message)
    return found
