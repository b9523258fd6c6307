"""Checks offers, and limits the formats of our own session descriptions (RFC 8866)."""

from __future__ import annotations

import re

_LINES = re.compile(r"^(?=m=)", re.MULTILINE)
_AUDIO = re.compile(r"^(m=audio \d+(?:/\d+)? \S+)((?: \d+)+)", re.MULTILINE)
_PROFILE = re.compile(r"^m=audio [1-9]\d*(?:/\d+)? (\S+)", re.MULTILINE)
_NETWORK = re.compile(r"^c=IN (\S+) ", re.MULTILINE)
_RTPMAP = re.compile(r"^a=rtpmap:(\d+) ([^/\s]+)/(\d+)", re.MULTILINE)
_ATTRIBUTE = re.compile(r"^a=(?:rtpmap|fmtp):(\d+) .*\r?\n", re.MULTILINE)

_STATIC_HZ = {"0": 8000, "3": 8000, "8": 8000, "9": 16000, "18": 8000}
"""Payload types that need no rtpmap (RFC 3551 section 6)."""

_OWN_HZ = {"g722": 16000, "opus": 16000}
"""Codecs whose sampling rate here is not their RTP clock rate: RFC 3551 section 4.5.2; RFC 7587 section 4.1."""

_ANY_RATE = "telephone-event"


def obstacle(sdp: str) -> str:
    """Why an offer cannot be answered with any codec, and the fix; empty if no reason is known.

    The reasons: each audio line in use demands SRTP (RFC 4568, RFC 5764), or has an IPv6 address.
    """
    head, *lines = _LINES.split(sdp)
    used = [(line, profile[1]) for line in lines if (profile := _PROFILE.search(line))]
    reasons = [_line_obstacle(line, head, profile) for line, profile in used]
    return "; ".join(dict.fromkeys(reasons)) if all(reasons) else ""


def _line_obstacle(line: str, head: str, profile: str) -> str:
    if "SAVP" in profile.upper():
        return "the offer wants SRTP, which is not supported; let the caller offer RTP/AVP"
    if (_network(line) or _network(head)) == "IP6":
        return "the offer's address is IPv6, which is not supported yet; let the caller use IPv4"
    return ""


def _network(part: str) -> str:
    """The type of the address in a part's `c=` line; empty if it has none."""
    found = _NETWORK.search(part)
    return found[1].upper() if found else ""


def at_rate(sdp: str, rate_hz: int) -> str:
    """The description without audio formats of other sampling rates; a line is left unchanged if none would remain.

    The audio of a running call keeps its rate, because the agent was told the rate when it began.
    """
    head, *lines = _LINES.split(sdp)
    return head + "".join(_line_at_rate(line, rate_hz) for line in lines)


def _line_at_rate(sdp: str, rate_hz: int) -> str:
    rates = dict(_STATIC_HZ)
    events = set()
    for payload_type, name, clock_hz in _RTPMAP.findall(sdp):
        if name.lower() == _ANY_RATE:
            events.add(payload_type)
        rates[payload_type] = _OWN_HZ.get(name.lower(), int(clock_hz))
    audio = _AUDIO.search(sdp)
    if audio is None:
        return sdp
    offered = audio[2].split()
    others = {payload_type for payload_type in offered if payload_type not in events} - {
        payload_type for payload_type in offered if rates.get(payload_type) == rate_hz
    }
    kept = [payload_type for payload_type in offered if payload_type not in others]
    if not set(kept) - events:
        return sdp
    shortened = _AUDIO.sub(f"{audio[1]} {' '.join(kept)}", sdp, count=1)
    return _ATTRIBUTE.sub(lambda line: "" if line[1] in others else line[0], shortened)
