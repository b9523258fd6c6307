"""An agent of ElevenLabs, by configuration only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal
from urllib.parse import quote

from pydantic import Field

from gateway.agents.kinds.model import ToolOptions
from gateway.agents.kinds.network import NetworkSettings, WebSocketUrl
from gateway.agents.kinds.settings import BargeInOptions, Maker
from gateway.agents.network.parameters import Prose, Template
from gateway.settings.secret import Secret
from gateway.settings.values import Text
from media.conversation.floor import BargeIn

VariableName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,64}$")]


class ElevenLabsSettings(NetworkSettings):
    """An agent that was created at ElevenLabs; options written here override its settings there.

    The agent must allow that (Security, Overrides). It ends the call by its own tool `end_call`, or by the tools below,
    which it must have as client tools with these names. For telephony, choose `ulaw_8000` as its audio format, in both
    directions.

    The server detects when the caller interrupts. With `barge_in` the gateway silences the agent as well, as soon as
    the caller speaks. If a session is lost during the call, the gateway opens another one and sends it what was said.
    """

    kind: Literal["elevenlabs"] = "elevenlabs"
    url: WebSocketUrl = "wss://api.elevenlabs.io/v1/convai/conversation"
    """The URL of the server, without the agent."""
    agent_id: Text
    """The id of the agent."""
    api_key: Secret | None = None
    """For an agent that requires authentication: with it, the gateway requests a signed URL, and connects there."""
    instructions: Prose | None = None
    """Overrides the agent's system prompt; it may contain facts of the call such as `{from}`, see `media-streams`."""
    greeting: Prose | None = None
    """Overrides the agent's first message. Without it, a session that follows another one greets again."""
    language: Text | None = None
    """Overrides the agent's language, such as `en` or `de`."""
    voice: Text | None = None
    """The id of a voice; overrides the agent's voice."""
    variables: dict[VariableName, Template] = Field(default={"caller": "{from}", "called": "{to}"}, max_length=32)
    """Dynamic variables; the agent's texts use them as `{{caller}}`."""
    tools: ToolOptions = ToolOptions()
    """What the agent may do besides talking: `hang_up`, `go_to`, `note`; its client tools must have these names."""
    barge_in: BargeInOptions = BargeInOptions(mode=BargeIn.OFF)
    """Without `barge_in`, the server decides (mode `off`); with it, the default of `mode` is `pause`."""

    def maker(self, name: str) -> Maker:
        """Return what makes the agent of one call."""
        self.check_extra(name)
        # Imported only here: their libraries are an extra.
        from gateway.agents.network.elevenlabs_session import ElevenLabsOptions, ElevenLabsSession  # noqa: PLC0415
        from gateway.agents.network.model_agent import ModelAgent, ModelOptions  # noqa: PLC0415
        from gateway.agents.network.signed_url import SignedUrl  # noqa: PLC0415
        from gateway.agents.network.websocket import connect  # noqa: PLC0415

        of_sessions = ElevenLabsOptions(self.instructions is not None, self.language, self.voice)
        url = f"{self.url}{'&' if '?' in self.url else '?'}agent_id={quote(self.agent_id)}"
        key = None if self.api_key is None else {"xi-api-key": self.api_key.get_secret_value()}
        options = ModelOptions(
            endpoint=self.endpoint(name, {}, url),
            make_session=lambda facts: ElevenLabsSession(of_sessions, facts),
            instructions=self.instructions or "",
            greeting=self.greeting,
            tools=self.tools.tool_set(),
            connect_timeout_s=self.connect_timeout_s,
            parameters=self.variables,
            connect=connect if key is None else SignedUrl("/get-signed-url", key).connect,
            closing_ends=True,
        )
        return self.made(lambda: ModelAgent(options))

    def named_routes(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """The routes that the model may send the caller to."""
        yield from self.tools.named_routes()
