"""Connects calls to a bot for the media streams of Twilio or another provider, without changes to the bot."""

from __future__ import annotations

import base64
import enum
import hashlib
import hmac
from typing import Annotated, Literal

from pydantic import Field

from gateway.agents.kinds.network import NetworkSettings
from gateway.agents.kinds.settings import BargeInOptions, Maker
from gateway.agents.network.parameters import Template
from gateway.settings.secret import Secret
from gateway.settings.values import Milliseconds, Text
from media.conversation.floor import BargeIn


class DialectName(enum.Enum):
    """The provider whose protocol the bot uses."""

    TWILIO = "twilio"
    SIGNALWIRE = "signalwire"
    TELNYX = "telnyx"
    PLIVO = "plivo"
    EXOTEL = "exotel"


class MediaStreamsSettings(NetworkSettings):
    """An unchanged bot for a provider's media streams over WebSocket; the gateway takes the role of the provider.

    The bot itself decides when it is interrupted, as with the provider. With `barge_in` the gateway silences it as soon
    as the caller speaks; audio that the bot still sends is dropped until its `clear`, or until the caller has finished.
    """

    kind: Literal["media-streams"] = "media-streams"
    dialect: DialectName = DialectName.TWILIO
    """The provider: `twilio`, `signalwire`, `telnyx`, `plivo` or `exotel`."""
    parameters: dict[Annotated[Text, Field(max_length=64)], Template] = Field(
        default={"from": "{from}", "to": "{to}"}, max_length=32
    )
    """What the bot gets in `customParameters`; a text may contain `{from}`, `{to}`, `{route}`, `{trunk}`, `{id}`,
    `{call_id}`, `{codec}`, `{header:Name}` and `{result:name}`."""
    account: Text = "AC" + 32 * "0"
    """The account that the bot sees in `start`."""
    auth_token: Secret | None = None
    """For Twilio and SignalWire: the secret that signs the request (`X-Twilio-Signature`)."""
    buffer_ms: Milliseconds = Field(default=60_000, alias="buffer")
    """How far ahead of playout the bot may send; more audio is dropped."""
    barge_in: BargeInOptions = BargeInOptions(mode=BargeIn.OFF)
    """Without `barge_in`, the bot decides (mode `off`); with it, the default of `mode` is `pause`."""

    def maker(self, name: str) -> Maker:
        """Return what makes the agent of one call."""
        self.check_extra(name)
        # Imported only here: their libraries are an extra.
        from gateway.agents.network.dialects import DIALECTS  # noqa: PLC0415
        from gateway.agents.network.media_streams import MediaStreamsAgent, StreamOptions  # noqa: PLC0415

        options = StreamOptions(
            endpoint=self.endpoint(name, self._signature()),
            make_dialect=DIALECTS[self.dialect.value],
            account=self.account,
            parameters=self.parameters,
            connect_timeout_s=self.connect_timeout_s,
            buffer_ms=self.buffer_ms,
        )
        return self.made(lambda: MediaStreamsAgent(options))

    def _signature(self) -> dict[str, str]:
        """Twilio's signature: the HMAC-SHA1 of the URL, with the account's token as the key."""
        if self.auth_token is None:
            return {}
        digest = hmac.new(self.auth_token.get_secret_value().encode(), self.url.encode(), hashlib.sha1).digest()
        return {"X-Twilio-Signature": base64.b64encode(digest).decode()}
