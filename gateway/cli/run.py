"""`offhook run`: the gateway in the foreground, as systemd or a person starts it."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sys
from typing import TYPE_CHECKING

import structlog
import systemd.daemon

from gateway.calls.gateway import Gateway
from gateway.cli.leaving import run_to_the_end
from gateway.cli.prepare import prepare
from gateway.cli.version import release, version
from gateway.control.server import ControlError, ControlServer
from gateway.control.status import status
from gateway.dialplan.pattern import Exact
from gateway.logs import complain, set_up_logs
from gateway.process.lag import LoopLag
from gateway.process.overload import Overload
from gateway.process.realtime import RealTimeThreads
from gateway.settings import ConfigurationError, control_socket
from gateway.sip.errors import SipStartError
from gateway.sip.service import SipService

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable
    from pathlib import Path

    from gateway.cli.prepare import Prepared
    from gateway.control.status import Json
    from gateway.settings import Problem
    from gateway.sip.endpoint import SipEndpoint

_log = structlog.get_logger("gateway")

_EX_CONFIG = 78
"""sysexits.h; the unit does not restart the gateway after it."""
_STOP_S = 15.0
"""How long a stop takes in addition to waiting for calls, in seconds."""
_SIP_STUCK_S = 5.0
"""The SIP thread's loop turns at least once a second; if it does not for so many seconds, something blocks it."""
_FILES_PER_CALL = 3
_SWITCH_INTERVAL_S = 0.0005
"""How long one Python thread may make the others wait: media and SIP must get their turn in well under a packet's time.
With Python's default of 5 ms, one agent that computes without a pause makes the loop 5.4 ms late (p50; p99 11 ms); with
this value it is 0.8 ms (p99 4 ms)."""


def run(path: Path | None, _args: argparse.Namespace) -> int:
    """Take calls until SIGTERM or SIGINT, then drain. SIGHUP reloads the dialplans, unless the terminal was closed.

    A second SIGTERM or SIGINT ends the calls that are left. Returns 0 after a clean end, 1 when it could not start or
    crashed, 78 when the configuration has faults: the service manager starts it again after 1, but not after 78.
    """
    try:
        prepared = prepare(path)
    except ConfigurationError as error:
        complain(f"{error}\n")
        return _EX_CONFIG
    code = 0
    refusals: list[Exception] = []
    with set_up_logs(prepared.settings.log.level, prepared.settings.log.format) as logs:
        _log_warnings(prepared.warnings)
        _allow_files(prepared.settings.limits.calls)
        sys.setswitchinterval(_SWITCH_INTERVAL_S)
        try:
            run_to_the_end(_Service(prepared).run(), logs.close)
        except* (SipStartError, ControlError) as group:
            refusals += group.exceptions
        except* Exception as group:  # noqa: BLE001 - the edge of the process: it ends, and says why
            _log.critical("gateway.crashed", exc_info=group)
            code = 1
    for refusal in refusals:
        complain(f"offhook: {refusal}\n")
        code = 1
    return code


class _Service:
    """The gateway between its start and its end, as the service manager sees it."""

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared
        self._stop = asyncio.Event()
        self._reload = asyncio.Event()
        self._reloading = asyncio.Lock()
        self._source = None if prepared.source is None else str(prepared.source)

    async def run(self) -> None:
        prepared = self._prepared
        sip = SipService(prepared.settings, user_agent=f"Offhook/{release()}")
        realtime, overload = RealTimeThreads(), Overload()
        lag = LoopLag(lambda late_ms: overload.observe(late_ms, saturated=realtime.saturated))
        gateway = Gateway(
            prepared.settings, prepared.agents, prepared.plans, [sip], is_overloaded=lambda: overload.active
        )

        async def report() -> dict[str, Json]:
            return status(gateway, sip, lag, realtime, version()) | {"settings": self._source}

        commands = {"status": report, "reload": self._reload_now}
        control = ControlServer(control_socket(prepared.settings.control), commands)
        async with asyncio.TaskGroup() as tasks:
            await control.start()
            try:
                await gateway.start(tasks)
            except SipStartError:
                await control.stop()
                raise
            lag.start()
            self._handle_signals(gateway)
            gateway.garbage.start()
            systemd.daemon.notify("READY=1")
            self._announce()
            realtime.start()
            background = [
                tasks.create_task(self._keep_reloading(), name="reload"),
                tasks.create_task(_feed_watchdog(sip.endpoint), name="watchdog"),
            ]
            await self._stop.wait()
            patience_us = round((prepared.settings.limits.drain_timeout_s + _STOP_S) * 1e6)
            systemd.daemon.notify(f"STOPPING=1\nEXTEND_TIMEOUT_USEC={patience_us}")
            await gateway.stop()
            lag.stop()
            realtime.stop()
            await control.stop()
            for task in background:
                task.cancel()
        _log.info("gateway.stopped")

    def _handle_signals(self, gateway: Gateway) -> None:
        def stop() -> None:
            if self._stop.is_set():
                _log.warning("gateway.hurried", calls=len(gateway.calls))
                gateway.hurry()
            self._stop.set()

        # Under nohup the terminal may be closed, and the gateway goes on.
        on_terminal = _has_terminal() and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN

        def hang_up() -> None:
            if on_terminal and not _has_terminal():
                stop()
            else:
                self._reload.set()

        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, stop)
        loop.add_signal_handler(signal.SIGINT, stop)
        loop.add_signal_handler(signal.SIGHUP, hang_up)

    def _announce(self) -> None:
        settings = self._prepared.settings
        listen = ", ".join(str(one) for one in settings.sip.listen)
        _log.info("gateway.ready", listen=listen, trunks=sorted(settings.trunks), calls=settings.limits.calls)
        if sys.stderr.isatty() or self._prepared.source is None:
            sys.stderr.write(_what_to_dial(self._prepared))

    async def _keep_reloading(self) -> None:
        while True:
            await self._reload.wait()
            self._reload.clear()
            try:
                await self._reload_now()
            except Exception:  # noqa: BLE001 - an unexpected error in reading files must not end calls
                _log.exception("dialplan.reload_failed")

    async def _reload_now(self) -> dict[str, Json]:
        """Read the dialplans again; returns the answer to `offhook reload`."""
        plans = self._prepared.plans
        async with self._reloading:
            self._notify("RELOADING=1")
            try:
                problems = await asyncio.to_thread(plans.reload)
            finally:
                self._notify("READY=1")
        for problem in problems:
            _log.error("dialplan.refused", problem=str(problem))
        if not problems:
            _log_warnings(plans.warnings)
            _log.info("dialplan.reloaded", routes=len(plans.plan.routes))
        warnings = () if problems else plans.warnings
        return {
            "settings": self._source,
            "routes": len(plans.plan.routes),
            "problems": [str(problem) for problem in problems],
            "warnings": [str(warning) for warning in warnings],
        }

    def _notify(self, state: str) -> None:
        if not self._stop.is_set():  # a gateway that stops is not ready any more
            systemd.daemon.notify(state)


def _has_terminal() -> bool:
    """Whether a standard stream is a terminal; a closed terminal does not count."""
    return any(os.isatty(stream) for stream in (0, 1, 2))


def _what_to_dial(prepared: Prepared) -> str:
    """A text with the numbers that a person who has just started the gateway can dial."""
    first = prepared.settings.sip.listen[0]
    host = f"[{first.address}]" if ":" in str(first.address) else first.address
    numbers = [
        f"  sip:{wanted.text}@{host}:{first.port}  {route.name}"
        for route in prepared.plans.plan.routes
        if route.match is not None
        for wanted in route.match.to[:1]
        if isinstance(wanted, Exact)
    ]
    return "\n".join(["", "Dial with any SIP telephone:", *numbers, "", ""]) if numbers else ""


def _log_warnings(warnings: Iterable[Problem]) -> None:
    for warning in warnings:
        _log.warning("configuration.doubtful", problem=str(warning))


def _allow_files(calls: int) -> None:
    """Raise the limit of open files to the highest allowed: shells begin with 1,024, too few for 350 calls."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    wanted = _FILES_PER_CALL * calls
    if hard != resource.RLIM_INFINITY and hard < wanted:
        problem = (
            f"limits.calls: {calls} calls need {wanted} open files, but the process may have only {hard}; "
            f"set LimitNOFILE={wanted} or more in the unit (in a shell: ulimit -n {wanted}), or lower limits.calls"
        )
        _log.warning("configuration.doubtful", problem=problem)


async def _feed_watchdog(sip: SipEndpoint) -> None:
    """Tell systemd that the asyncio and SIP loops run, twice per watchdog period (sd_notify(3))."""
    period_us = int(os.environ.get("WATCHDOG_USEC", "0"))
    while period_us > 0:
        silent_s = sip.silent_s
        if silent_s < _SIP_STUCK_S:
            systemd.daemon.notify("WATCHDOG=1")
        else:
            _log.error("sip.stuck", silent_s=round(silent_s, 1))
        await asyncio.sleep(period_us / 2e6)
