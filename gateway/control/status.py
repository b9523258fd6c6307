"""The status of the running gateway, as JSON values."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from gateway.calls.gateway import Gateway
    from gateway.process.lag import LoopLag
    from gateway.process.realtime import RealTimeThreads
    from gateway.sip.service import SipService

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


def status(gateway: Gateway, sip: SipService, lag: LoopLag, realtime: RealTimeThreads, version: str) -> dict[str, Json]:
    """Trunks, calls, agents and limits, right now."""
    return {
        "state": gateway.state,
        "version": version,
        "uptime_s": round(time.time() - gateway.started_at, 1),
        "process": {
            "pid": os.getpid(),
            "loop_lag_ms": lag.worst_ms(),
            "realtime": realtime.granted and not realtime.demoted,
            "tasks": len(asyncio.all_tasks()),
            "threads": threading.active_count(),
            "memory_blocks": sys.getallocatedblocks(),
        },
        "listen": [str(one) for one in gateway.settings.sip.listen],
        "calls": {
            "live": len(gateway.calls),
            "limit": gateway.settings.limits.calls,
            "total": gateway.calls_total,
            "refused": gateway.calls_refused,
            "overloaded": gateway.is_overloaded(),
        },
        "sip": {
            "calls": sip.endpoint.call_objects,
            "malformed": sip.endpoint.malformed_messages,
            "excessive": sip.endpoint.excessive_requests,
        },
        "media": {} if gateway.state == "starting" else _media(sip),
        "trunks": _trunks(sip),
        "agents": {
            spec.name: {
                "calls": spec.calls,
                "failed": spec.failed_total,
                "abandoned": spec.abandoned,
                **({} if spec.breaker is None else {"breaker": spec.breaker.state}),
            }
            for spec in gateway.agents
        },
    }


def _media(sip: SipService) -> dict[str, Json]:
    plane = sip.endpoint.plane
    engine = plane.engine
    return {
        "legs": plane.legs,
        "slots": engine.slots,
        "late_ticks": engine.late_ticks,
        "realtime": engine.realtime,
    }


def _trunks(sip: SipService) -> dict[str, Json]:
    return {
        name: {
            "state": registration.state.value,
            "why": registration.why,
            "expires_s": registration.expires_s,
            "failures": registration.failures,
            "next_attempt_s": None if retry_in_s is None else round(retry_in_s, 1),
        }
        for name, (registration, retry_in_s) in sip.trunks.registrations().items()
    }
