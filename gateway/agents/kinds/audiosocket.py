"""Connects calls to a server for Asterisk's AudioSocket, without changes to the server."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from gateway.agents.kinds.settings import BargeInOptions, Maker, SpeakingSettings
from gateway.settings.validation import fault
from gateway.settings.values import HostPort, Peer, PositiveSeconds
from media.conversation.floor import BargeIn

PATIENCE_S = 1.0
"""How much longer `prepare` may take than the connection: the error of a connection timeout says more."""


def _rate(value: object) -> object:
    if not isinstance(value, str):
        return value
    if value not in ("8000", "16000", "24000", "48000"):
        raise fault("not a supported rate", "write 8000, 16000, 24000 or 48000")
    return int(value)


class AudioSocketSettings(SpeakingSettings):
    """A server for Asterisk's AudioSocket, over TCP; the gateway takes the role of Asterisk.

    The protocol has no message to take back audio that was sent, so the server must send audio in real time.
    """

    kind: Literal["audiosocket"] = "audiosocket"
    server: Peer
    """The address of the server, such as `bot.example.com:9092`."""
    rate_hz: Annotated[int, BeforeValidator(_rate)] = Field(default=8_000, alias="rate")
    """The rate of the audio that the server receives: 8000, 16000, 24000 or 48000. It may send any of these rates."""
    connect_timeout_s: PositiveSeconds = Field(default=5.0, alias="connect_timeout")
    """The connection must be made within this time; a call that is not answered rings meanwhile."""
    barge_in: BargeInOptions = BargeInOptions(mode=BargeIn.OFF)
    """Without `barge_in`, the server decides (mode `off`); with it, the default of `mode` is `pause`."""

    def maker(self, name: str) -> Maker:  # noqa: ARG002 - it needs nothing on the machine
        """Return what makes the agent of one call."""
        # Imported only here: it shares code with kinds whose libraries are an extra.
        from gateway.agents.network.audiosocket_agent import AudioSocketAgent, AudioSocketOptions  # noqa: PLC0415

        at: HostPort = self.server
        options = AudioSocketOptions(at.host, at.port or DEFAULT_PORT, self.rate_hz, self.connect_timeout_s)
        return Maker(lambda: AudioSocketAgent(options), self.connect_timeout_s + PATIENCE_S)


DEFAULT_PORT = 9092
"""The usual port of such servers."""
