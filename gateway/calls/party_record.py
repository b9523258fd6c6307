"""What is known of one party of a call: its line, and how well it was heard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from media.leg import Counters


@dataclass(slots=True)
class PartyRecord:
    """Filled while the party lives. Times in seconds since the call began."""

    source: str
    """Where its signalling comes from, "address:port"."""
    codec: str | None = None
    answered_s: float | None = None
    """None: it was never answered."""
    code: int = 0
    """The last SIP status; 0 when there was none."""
    reason: str = ""
    """The reason phrase."""
    packets_received: int = 0
    packets_foreign: int = 0
    """Somebody else's, sent to the party's port: nobody heard them."""
    packets_sent: int = 0
    packets_late: int = 0
    """Of those received: something stood in for them already."""
    loss_pct: float = 0.0
    """Of the party's voice, what never came or came too late."""
    peer_loss_pct: float = 0.0
    jitter_ms: float = 0.0
    frames_concealed: int = 0
    frames_overrun: int = 0
    mos: float | None = None
    """Estimated listening quality of what the gateway heard; None when nothing came."""

    def add_media(self, counters: Counters) -> None:
        """Take over what the leg counted."""
        self.packets_received = counters.packets_received
        self.packets_foreign = counters.packets_foreign
        self.packets_sent = counters.packets_sent
        self.packets_late = counters.packets_late
        # Neither knows all: what came too late is no lost packet, and in an outage nobody makes up a voice.
        lost = _share(counters.packets_lost, counters.packets_received + counters.packets_lost)
        spoken_frames = counters.frames_in + counters.frames_overrun - counters.frames_filled
        concealed = _share(counters.frames_concealed, spoken_frames)
        self.loss_pct = round(100.0 * max(lost, concealed), 3)
        self.peer_loss_pct = round(counters.peer_loss_pct, 3)
        self.jitter_ms = round(counters.jitter_ms, 2)
        self.frames_concealed = counters.frames_concealed
        self.frames_overrun = counters.frames_overrun
        if counters.packets_received:
            self.mos = round(mos(self.loss_pct, counters.round_trip_ms / 2 + 2 * counters.jitter_ms), 2)


def _share(part: int, whole: int) -> float:
    return part / whole if whole > 0 else 0.0


def mos(loss_pct: float, delay_ms: float) -> float:
    """Mean opinion score of random loss and one-way delay: the E-model (ITU-T G.107) for G.711 with concealment.

    R = 93.2 - Id - Ie,eff, with Ie = 0 and Bpl = 25.1 (G.113 appendix I), then R to MOS (G.107 annex B).
    """
    delay_impairment = 0.024 * delay_ms + (0.11 * (delay_ms - 177.3) if delay_ms > 177.3 else 0.0)
    loss_impairment = 95.0 * loss_pct / (loss_pct + 25.1)
    rating = max(0.0, min(93.2 - delay_impairment - loss_impairment, 100.0))
    return max(1.0, 1.0 + 0.035 * rating + rating * (rating - 60.0) * (100.0 - rating) * 7e-6)
