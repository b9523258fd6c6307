"""A server that was written for Asterisk's AudioSocket takes the call as it is."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from gateway.agents.kinds.settings import BargeInOptions, Maker, SpeakingSettings
from gateway.settings.validation import fault
from gateway.settings.values import HostPort, Peer, PositiveSeconds
from media.conversation.floor import BargeIn

PATIENCE_S = 1.0
"""How much longer preparing may take than connecting, whose error says more."""


def _rate(value: object) -> object:
    if not isinstance(value, str):
        return value
    if value not in ("8000", "16000", "24000", "48000"):
        raise fault("not a rate that is spoken", "write 8000, 16000, 24000 or 48000")
    return int(value)


class AudioSocketSettings(SpeakingSettings):
    """A server for Asterisk's AudioSocket, over TCP; the gateway plays Asterisk.

    The protocol has no message by which the server could take back what it has sent: it sends at the pace of speech.
    """

    kind: Literal["audiosocket"] = "audiosocket"
    server: Peer
    """Where it is, as `bot.example.com:9092`."""
    rate_hz: Annotated[int, BeforeValidator(_rate)] = Field(default=8_000, alias="rate")
    """Of what it hears: 8000, 16000, 24000 or 48000. What it says may have any of them."""
    connect_timeout_s: PositiveSeconds = Field(default=5.0, alias="connect_timeout")
    """It must be connected within this; a call that is not answered rings meanwhile."""
    barge_in: BargeInOptions = BargeInOptions(mode=BargeIn.OFF)
    """Without it, the server decides (mode `off`); with it, `mode` is `pause` unless it says otherwise."""

    def maker(self, name: str) -> Maker:  # noqa: ARG002 - it needs nothing of the machine
        """Makes the agent of one call."""
        # Only here: it shares code with kinds whose libraries are an extra.
        from gateway.agents.network.audiosocket_agent import AudioSocketAgent, AudioSocketOptions  # noqa: PLC0415

        at: HostPort = self.server
        options = AudioSocketOptions(at.host, at.port or DEFAULT_PORT, self.rate_hz, self.connect_timeout_s)
        return Maker(lambda: AudioSocketAgent(options), self.connect_timeout_s + PATIENCE_S)


DEFAULT_PORT = 9092
"""Where such servers listen as a rule."""
