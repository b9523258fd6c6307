"""An application that was written for Asterisk's WebSocket channel takes the call as it is."""

from __future__ import annotations

import enum
from typing import Annotated, Literal

from pydantic import Field

from gateway.agents.kinds.network import NetworkSettings
from gateway.agents.kinds.settings import BargeInOptions, Maker
from gateway.agents.network.parameters import Template
from media.conversation.floor import BargeIn

VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]


class MediaFormat(enum.Enum):
    """Asterisk's names of what is spoken here."""

    ULAW = "ulaw"
    ALAW = "alaw"
    SLIN = "slin"
    SLIN12 = "slin12"
    SLIN16 = "slin16"
    SLIN24 = "slin24"
    SLIN32 = "slin32"
    SLIN44 = "slin44"
    SLIN48 = "slin48"


class ControlFormat(enum.Enum):
    """Of Asterisk's option `control_message_format`."""

    PLAIN_TEXT = "plain-text"
    JSON = "json"


class ChanWebSocketSettings(NetworkSettings):
    """An application for Asterisk's WebSocket channel (`chan_websocket`), as it is; the gateway plays Asterisk.

    HANGUP silences it and ends its part at once; a connection that it closes ends its part when all was heard. The
    dialplan goes on then. PAUSE_MEDIA and CONTINUE_MEDIA are answered with ERROR.
    """

    kind: Literal["chan-websocket"] = "chan-websocket"
    format: MediaFormat = MediaFormat.ULAW
    """Of the audio, both ways: `ulaw`, `alaw`, `slin` (16-bit samples at 8 kHz), `slin12`, `slin16`, `slin24`,
    `slin32`, `slin44` or `slin48`."""
    control: ControlFormat = ControlFormat.PLAIN_TEXT
    """Of control messages: `plain-text` or `json`."""
    variables: dict[VariableName, Template] = Field(default={"FROM": "{from}", "TO": "{to}"}, max_length=32)
    """Variables of the channel, which MEDIA_START has with `control: json`; a text may hold facts of the call as
    `{from}`, see `media-streams`."""
    barge_in: BargeInOptions = BargeInOptions(mode=BargeIn.OFF)
    """Without it, the application decides (mode `off`); with it, `mode` is `pause` unless it says otherwise."""

    def maker(self, name: str) -> Maker:
        """Makes the agent of one call."""
        self.check_extra(name)
        # Only here: their libraries are an extra.
        from gateway.agents.network.chan_websocket import SUBPROTOCOL  # noqa: PLC0415
        from gateway.agents.network.chan_websocket_agent import (  # noqa: PLC0415
            ChanWebSocketAgent,
            ChanWebSocketOptions,
        )

        options = ChanWebSocketOptions(
            endpoint=self.endpoint(name, {"Sec-WebSocket-Protocol": SUBPROTOCOL}),
            format=self.format.value,
            as_json=self.control is ControlFormat.JSON,
            variables=self.variables,
            connect_timeout_s=self.connect_timeout_s,
        )
        return self.made(lambda: ChanWebSocketAgent(options))
