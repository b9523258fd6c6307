"""A speech-to-speech model behind Google's Gemini Live API, without a line of code."""

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
"""Google's server has been seen to take 8 to 30 s to answer a ping (aicc2025/sip-to-ai, pull request 14)."""


class GeminiLiveSettings(NetworkSettings):
    """A speech-to-speech model behind Google's Gemini Live API.

    The server notices when the caller interrupts; as it also hears callers who do not speak, the model goes on unless
    the gateway hears the caller too. With `barge_in` the gateway silences the model as well, as soon as the caller
    speaks. The server ends a connection after about ten minutes: the gateway makes another one before that, in a pause,
    and the conversation goes on. A connection that is lost is followed by another one, too.
    """

    kind: Literal["gemini-live"] = "gemini-live"
    url: WebSocketUrl = (
        "wss://generativelanguage.googleapis.com/ws/"
        "google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
    )
    """Of the server."""
    api_key: Secret | None = None
    """Sent as `x-goog-api-key`; for servers that want another header there is `headers`."""
    model: Text = "gemini-3.8-live"
    """One that has the Live API."""
    instructions: Prose = "You are a friendly assistant on the telephone. Answer briefly, in the caller's language."
    """What the model is told; it may hold facts of the call as `{from}`, see `media-streams`."""
    greeting: Prose = "Greet the caller in one short sentence."
    """What it is told to say first; `none`: the caller speaks first."""
    voice: Text | None = None
    """Without it, the server's own."""
    language: Text | None = None
    """That the model speaks, as `de-DE`; without it, the model decides, and many models decide in any case."""
    tools: ToolOptions = ToolOptions()
    """What the model may do besides talking: `hang_up`, `go_to`, `note`."""
    barge_in: BargeInOptions = BargeInOptions(mode=BargeIn.OFF)
    """Without it, the server decides (mode `off`); with it, `mode` is `pause` unless it says otherwise."""

    @model_validator(mode="after")
    def _names_as_google_has_them(self) -> GeminiLiveSettings:
        for name in self.tools.note:
            if not name.isidentifier():
                raise fault(
                    f"tools.note: {name} is no name that the API takes",
                    "use letters, digits and underscores, with no digit first",
                )
        return self

    def maker(self, name: str) -> Maker:
        """Makes the agent of one call."""
        self.check_extra(name)
        # Only here: their libraries are an extra.
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
        """Those that the model may hand the caller to."""
        yield from self.tools.named_routes()

    def _authorization(self) -> dict[str, str]:
        return {} if self.api_key is None else {"x-goog-api-key": self.api_key.get_secret_value()}
