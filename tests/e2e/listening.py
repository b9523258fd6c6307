"""What a caller makes of what it hears, on a machine that is busy: a late packet is no new tone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tests.e2e.peers.sound import Stretch, level_dbfs, levels_dbfs, tone_runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.e2e.peers.call import Call
    from tests.e2e.peers.sound import Pcm

RATE_HZ = 8000
LATE_MS = 150.0
"""A hole in a tone up to this long is a packet that came late, of the test's own making as a rule."""

LOUD_DBFS = -30.0
TOLERANCE_HZ = 20.0


def tones(pcm: Pcm, rate_hz: int = RATE_HZ) -> list[Stretch]:
    """The tones heard, in order, each one whole although a packet of it came late."""
    whole: list[Stretch] = []
    for run in tone_runs(pcm, rate_hz):
        last = whole[-1] if whole else None
        if last and abs(last.tone_hz - run.tone_hz) < TOLERANCE_HZ and run.start_ms - last.end_ms < LATE_MS:
            whole[-1] = Stretch(last.start_ms, run.end_ms, last.tone_hz, last.level_dbfs)
        else:
            whole.append(run)
    return whole


def assert_heard(pcm: Pcm, expected_hz: Sequence[float], rate_hz: int = RATE_HZ) -> list[Stretch]:
    """Demand exactly these tones in this order; returns them."""
    heard = tones(pcm, rate_hz)
    frequencies = [run.tone_hz for run in heard]
    right = len(heard) == len(expected_hz) and np.allclose(frequencies, expected_hz, atol=TOLERANCE_HZ, rtol=0)
    text = ", ".join(f"{run.tone_hz:.0f} Hz {run.start_ms:.0f}..{run.end_ms:.0f} ms" for run in heard)
    assert right, f"expected tones {list(expected_hz)} Hz; heard: {text or 'silence'}"
    return heard


def echo_delays_ms(call: Call) -> list[float]:
    """From each loud packet to the one in which it came back; right as long as none was lost."""
    sent = [packet.time_s for packet in call.stream.sent if level_dbfs(packet.pcm) > LOUD_DBFS]
    heard = [packet.time_s for packet in call.received if level_dbfs(packet.pcm) > LOUD_DBFS]
    return [1000 * (back - out) for out, back in zip(sent, heard, strict=False)]


def likeness(heard: Pcm, heard_rate_hz: int, source: Pcm, source_rate_hz: int) -> float:
    """How alike two sounds rise and fall, from 0 to 1, wherever the beginning of the first lies in the second."""
    ours = np.maximum(levels_dbfs(heard, heard_rate_hz), -60.0)
    theirs = np.maximum(levels_dbfs(source, source_rate_hz), -60.0)
    best = 0.0
    for shift in range(min(50, len(ours))):
        length = min(len(ours) - shift, len(theirs))
        a, b = ours[shift : shift + length], theirs[:length]
        if length >= 25 and a.std() > 0 and b.std() > 0:
            best = max(best, float(np.corrcoef(a, b)[0, 1]))
    return best
