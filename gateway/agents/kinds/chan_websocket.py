"""Connects calls to an application for Asterisk's WebSocket channel, without changes to the application."""

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
    """The supported audio formats, by Asterisk's names."""

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
    """The values of Asterisk's option `control_message_format`."""

    PLAIN_TEXT = "plain-text"
    JSON = "json"


class ChanWebSocketSettings(NetworkSettings):
    """An unchanged application for Asterisk's WebSocket channel (`chan_websocket`); the gateway takes Asterisk's role.

    With HANGUP, the application becomes silent and its part ends at once; if it closes the connection, its part ends
    when all its audio was heard. Then the dialplan continues. PAUSE_MEDIA and CONTINUE_MEDIA are answered with ERROR.
    """

    kind: Literal["chan-websocket"] = "chan-websocket"
    format: MediaFormat = MediaFormat.ULAW
    """The audio format in both directions: `ulaw`, `alaw`, `slin` (16-bit samples at 8 kHz), `slin12`, `slin16`,
    `slin24`, `slin32`, `slin44` or `slin48`."""
    control: ControlFormat = ControlFormat.PLAIN_TEXT
    """The format of control messages: `plain-text` or `json`."""
    variables: dict[VariableName, Template] = Field(default={"FROM": "{from}", "TO": "{to}"}, max_length=32)
    """Channel variables, sent in MEDIA_START with `control: json`; a text may contain facts of the call such as
    `{from}`, see `media-streams`."""
    barge_in: BargeInOptions = BargeInOptions(mode=BargeIn.OFF)
    """Without `barge_in`, the application decides (mode `off`); with it, the default of `mode` is `pause`."""

    def maker(self, name: str) -> Maker:
        """Return what makes the agent of one call."""
        self.check_extra(name)
        # Imported only here: their libraries are an extra.
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
