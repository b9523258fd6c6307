"""A bot that was written for Twilio's media streams, or another provider's, takes the call as it is."""

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
    """Whose protocol the bot speaks."""

    TWILIO = "twilio"
    SIGNALWIRE = "signalwire"
    TELNYX = "telnyx"
    PLIVO = "plivo"
    EXOTEL = "exotel"


class MediaStreamsSettings(NetworkSettings):
    """A bot that takes calls by a provider's media streams over WebSocket, as it is; the gateway plays the provider.

    The bot itself decides when it is interrupted, as with the provider. With `barge_in` the gateway silences it as soon
    as the caller speaks; what the bot still sends is dropped until its own `clear`, or until the caller has finished.
    """

    kind: Literal["media-streams"] = "media-streams"
    dialect: DialectName = DialectName.TWILIO
    """The provider: `twilio`, `signalwire`, `telnyx`, `plivo` or `exotel`."""
    parameters: dict[Annotated[Text, Field(max_length=64)], Template] = Field(
        default={"from": "{from}", "to": "{to}"}, max_length=32
    )
    """What the bot finds in `customParameters`; a text may hold `{from}`, `{to}`, `{route}`, `{trunk}`, `{id}`,
    `{call_id}`, `{codec}`, `{header:Name}` and `{result:name}`."""
    account: Text = "AC" + 32 * "0"
    """The account that the bot sees in `start`."""
    auth_token: Secret | None = None
    """Of Twilio and SignalWire: the secret that signs the request (`X-Twilio-Signature`)."""
    buffer_ms: Milliseconds = Field(default=60_000, alias="buffer")
    """The bot may send so much ahead of what is heard; the rest is dropped."""
    barge_in: BargeInOptions = BargeInOptions(mode=BargeIn.OFF)
    """Without it, the bot decides (mode `off`); with it, `mode` is `pause` unless it says otherwise."""

    def maker(self, name: str) -> Maker:
        """Makes the agent of one call."""
        self.check_extra(name)
        # Only here: their libraries are an extra.
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
        """Twilio's: HMAC-SHA1 of the URL by the account's token."""
        if self.auth_token is None:
            return {}
        digest = hmac.new(self.auth_token.get_secret_value().encode(), self.url.encode(), hashlib.sha1).digest()
        return {"X-Twilio-Signature": base64.b64encode(digest).decode()}
