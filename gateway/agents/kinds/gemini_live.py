"""A speech-to-speech model behind Google's Gemini Live API, by configuration only."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Literal

from pydantic import model_validator

from gateway.agents.kinds.model import ToolOptions, unless_none
from gateway.agents.kinds.network import NetworkSettings, WebSocketUrl
from gateway.agents.kinds.settings import BargeInOptions, Maker
from gateway.agents.network.parameters import Prose
from gateway.settings.secret import Secret
from gateway.settings.validation import fault
from gateway.settings.values import Text
from media.conversation.floor import BargeIn

PING_AFTER_S = 40.0
"""Google's server was observed to need 8 to 30 s to answer a ping (aicc2025/sip-to-ai, pull request 14)."""


class GeminiLiveSettings(NetworkSettings):
    """A speech-to-speech model behind Google's Gemini Live API.

    The server detects when the caller interrupts. As it also reports interruptions when the caller does not speak, the
    model continues unless the gateway detects speech too. With `barge_in` the gateway silences the model as well, as
    soon as the caller speaks. The server ends a connection after about ten minutes: before that, in a pause, the
    gateway opens another one, and the conversation continues. It does the same if a connection is lost.
    """

    kind: Literal["gemini-live"] = "gemini-live"
    url: WebSocketUrl = (
        "wss://generativelanguage.googleapis.com/ws/"
        "google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
    )
    """The URL of the server."""
    api_key: Secret | None = None
    """Sent as `x-goog-api-key`; use `headers` for servers that want another header."""
    model: Text = "gemini-3.8-live"
    """A model that supports the Live API."""
    instructions: Prose = "You are a friendly assistant on the telephone. Answer briefly, in the caller's language."
    """Instructions for the model; they may contain facts of the call such as `{from}`, see `media-streams`."""
    greeting: Prose = "Greet the caller in one short sentence."
    """An instruction for what to say first; `none`: the caller speaks first."""
    voice: Text | None = None
    """The name of a voice; without it, the server decides."""
    language: Text | None = None
    """The language that the model speaks, such as `de-DE`. Without it, the model decides; many models always decide."""
    tools: ToolOptions = ToolOptions()
    """What the model may do besides talking: `hang_up`, `go_to`, `note`."""
    barge_in: BargeInOptions = BargeInOptions(mode=BargeIn.OFF)
    """Without `barge_in`, the server decides (mode `off`); with it, the default of `mode` is `pause`."""

    @model_validator(mode="after")
    def _names_as_google_has_them(self) -> GeminiLiveSettings:
        for name in self.tools.note:
            if not name.isidentifier():
                raise fault(
                    f"tools.note: {name} is not a name that the API accepts",
                    "use letters, digits and underscores, with no digit first",
                )
        return self

    def maker(self, name: str) -> Maker:
        """Return what makes the agent of one call."""
        self.check_extra(name)
        # Imported only here: their libraries are an extra.
        from gateway.agents.network.gemini_session import GeminiOptions, GeminiSession  # noqa: PLC0415
        from gateway.agents.network.model_agent import ModelAgent, ModelOptions  # noqa: PLC0415

        tools = self.tools.tool_set()
        of_sessions = GeminiOptions(self.model, self.voice, self.language, tools.declared())
        endpoint = self.endpoint(name, self._authorization())
        options = ModelOptions(
            endpoint=dataclasses.replace(endpoint, ping_after_s=PING_AFTER_S),
            make_session=lambda facts: GeminiSession(of_sessions, facts),
            instructions=self.instructions,
            greeting=unless_none(self.greeting),
            tools=tools,
            connect_timeout_s=self.connect_timeout_s,
        )
        return self.made(lambda: ModelAgent(options))

    def named_routes(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """The routes that the model may send the caller to."""
        yield from self.tools.named_routes()

    def _authorization(self) -> dict[str, str]:
        return {} if self.api_key is None else {"x-goog-api-key": self.api_key.get_secret_value()}
