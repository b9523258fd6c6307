"""A voice agent of Deepgram, by configuration only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from gateway.agents.kinds.model import ToolOptions, unless_none
from gateway.agents.kinds.network import NetworkSettings, WebSocketUrl
from gateway.agents.kinds.settings import BargeInOptions, Maker
from gateway.agents.network.parameters import Prose
from gateway.settings.secret import Secret
from gateway.settings.values import Text
from media.conversation.floor import BargeIn


class DeepgramSettings(NetworkSettings):
    """A voice agent behind Deepgram's Voice Agent API: it listens, thinks and speaks with the models named here.

    The server detects when the caller interrupts. With `barge_in` the gateway silences the agent as well, as soon as
    the caller speaks. If a session ends during the call, the gateway opens another one and sends it what was said.
    """

    kind: Literal["deepgram"] = "deepgram"
    url: WebSocketUrl = "wss://agent.deepgram.com/v1/agent/converse"
    """The URL of the server."""
    api_key: Secret | None = None
    """Sent as `Authorization: Token`; use `headers` for servers that want another header."""
    instructions: Prose = "You are a friendly assistant on the telephone. Answer briefly, in the caller's language."
    """Instructions for the model; they may contain facts of the call such as `{from}`, see `media-streams`."""
    greeting: Prose = "Hello! How can I help you?"
    """What the agent says first, word for word; `none`: the caller speaks first."""
    language: Text | None = None
    """The caller's language, such as `en` or `de`; without it, the server decides. `speak_model` must support it."""
    listen_model: Text = "nova-3"
    """The model that recognises the caller's speech."""
    think_provider: Text = "open_ai"
    """The provider of `think_model`: `open_ai`, `anthropic`, `google`, `groq` and others that Deepgram manages."""
    think_model: Text = "gpt-4o-mini"
    """The model that decides what to answer."""
    speak_model: Text = "aura-2-thalia-en"
    """The voice."""
    tools: ToolOptions = ToolOptions()
    """What the model may do besides talking: `hang_up`, `go_to`, `note`."""
    barge_in: BargeInOptions = BargeInOptions(mode=BargeIn.OFF)
    """Without `barge_in`, the server decides (mode `off`); with it, the default of `mode` is `pause`."""

    def maker(self, name: str) -> Maker:
        """Return what makes the agent of one call."""
        self.check_extra(name)
        # Imported only here: their libraries are an extra.
        from gateway.agents.network.deepgram_session import DeepgramOptions, DeepgramSession  # noqa: PLC0415
        from gateway.agents.network.model_agent import ModelAgent, ModelOptions  # noqa: PLC0415

        tools = self.tools.tool_set()
        of_sessions = DeepgramOptions(
            language=self.language,
            listen_model=self.listen_model,
            think_provider=self.think_provider,
            think_model=self.think_model,
            speak_model=self.speak_model,
            tools=tools.declared(),
        )
        options = ModelOptions(
            endpoint=self.endpoint(name, self._authorization()),
            make_session=lambda facts: DeepgramSession(of_sessions, facts),
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
        return {} if self.api_key is None else {"Authorization": f"Token {self.api_key.get_secret_value()}"}
