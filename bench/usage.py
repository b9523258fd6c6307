"""What a process uses, read from outside: CPU time, memory, threads, descriptors."""

from __future__ import annotations

import ctypes
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def _cpu_clock(pid: int) -> int:
    """The clock of all CPU time of a process (clock_getcpuclockid(3)), finer than the 10 ms ticks of /proc."""
    clock = ctypes.c_int()
    error = _LIBC.clock_getcpuclockid(ctypes.c_int(pid), ctypes.byref(clock))
    if error:
        raise ProcessLookupError(error, f"no CPU clock for process {pid}")
    return clock.value


@dataclass(frozen=True, slots=True)
class Usage:
    """One reading."""

    at_s: float
    cpu_s: float
    machine_cpu_s: float
    """Of all processes together."""
    stolen_s: float
    """What the hypervisor gave to others while this machine wanted to run."""
    rss_kb: int
    threads: int
    descriptors: int
    thread_cpu_s: dict[str, float] = field(default_factory=dict)
    """By name of the thread; threads of one name are summed."""


def read_usage(pid: int) -> Usage:
    """What the process has used until now.

    Raises:
        OSError: it is gone.
    """
    proc = Path("/proc") / str(pid)
    status = dict(line.split(":", 1) for line in (proc / "status").read_text(encoding="utf-8").splitlines())
    return Usage(
        at_s=time.monotonic(),
        cpu_s=time.clock_gettime(_cpu_clock(pid)),
        machine_cpu_s=_machine_cpu_s(),
        stolen_s=_stolen_s(),
        rss_kb=int(status["VmRSS"].split()[0]),
        threads=int(status["Threads"]),
        descriptors=sum(1 for _ in (proc / "fd").iterdir()),
        thread_cpu_s=_thread_cpu_s(proc / "task"),
    )


def _machine_cpu_s() -> float:
    """All cores' time that was not idle, of an arbitrary origin.

    By the idle time (proc(5)), which the kernel keeps exactly: what ran is sampled by its tick, and short work missed.
    """
    idle, iowait = (int(ticks) for ticks in _cpu_line()[4:6])
    return time.monotonic() * (os.cpu_count() or 1) - (idle + iowait) / _TICKS_PER_S


def _stolen_s() -> float:
    return int(_cpu_line()[8]) / _TICKS_PER_S


def _cpu_line() -> list[str]:
    return Path("/proc/stat").read_text(encoding="ascii").partition("\n")[0].split()


def _thread_cpu_s(tasks: Path) -> dict[str, float]:
    used: dict[str, float] = {}
    for task in tasks.iterdir():
        try:
            name = (task / "comm").read_text(encoding="utf-8").strip()
            running_ns = int((task / "schedstat").read_text(encoding="utf-8").split()[0])
        except OSError:
            continue  # it has ended since it was listed
        used[name] = used.get(name, 0.0) + running_ns / 1e9
    return used


@dataclass(slots=True)
class Window:
    """Readings at the two ends of the measured time, taken as the generator announces them."""

    pid: int
    readings: dict[str, Usage] = field(default_factory=dict)

    def on_event(self, name: str) -> None:
        """Read: the generator has said `measuring` or `measured`."""
        self.readings[name] = read_usage(self.pid)

    @property
    def begin(self) -> Usage:
        """When all calls were up and had settled."""
        return self.readings["measuring"]

    @property
    def end(self) -> Usage:
        """With all calls still up."""
        return self.readings["measured"]

    @property
    def core_pct(self) -> float:
        """CPU in percent of one core."""
        return core_pct(self.begin, self.end)

    @property
    def rest_core_pct(self) -> float:
        """CPU of everything else on the machine, the generator included."""
        seconds = self.end.at_s - self.begin.at_s
        return 100 * (self.end.machine_cpu_s - self.begin.machine_cpu_s) / seconds - self.core_pct

    @property
    def stolen_ms(self) -> float:
        """How long the machine stood still for others' sake: what every thread and every caller waited."""
        return 1000 * (self.end.stolen_s - self.begin.stolen_s)

    @property
    def thread_core_pct(self) -> dict[str, float]:
        """The same by thread, the busiest first; idle ones are left out."""
        return thread_core_pct(self.begin, self.end)


def core_pct(before: Usage, after: Usage) -> float:
    """CPU between two readings, in percent of one core."""
    return 100 * (after.cpu_s - before.cpu_s) / (after.at_s - before.at_s)


def thread_core_pct(before: Usage, after: Usage) -> dict[str, float]:
    """CPU between two readings by thread, the busiest first, in percent of one core; idle ones are left out."""
    seconds = after.at_s - before.at_s
    used = {name: 100 * (cpu_s - before.thread_cpu_s.get(name, 0.0)) / seconds
            for name, cpu_s in after.thread_cpu_s.items()}  # fmt: skip
    return {name: round(pct, 2) for name, pct in sorted(used.items(), key=lambda item: -item[1]) if pct >= 0.01}
