"""What every kind of agent has whose backend is reached over the network."""

from __future__ import annotations

import importlib.util
import ssl
from abc import ABC
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationInfo

from gateway.agents.agent import Agent
from gateway.agents.errors import AgentSetupError
from gateway.agents.kinds.settings import Maker, SpeakingSettings
from gateway.settings.context import ExistingFile
from gateway.settings.secret import secret_of
from gateway.settings.validation import fault
from gateway.settings.values import PositiveSeconds, Text

if TYPE_CHECKING:
    from gateway.agents.network.websocket import Endpoint

_LIBRARIES = ("msgspec", "picows")
PATIENCE_S = 1.0
"""How much longer preparing may take than connecting, whose error says more."""


def _websocket_url(text: str) -> str:
    fix = "write it as wss://bot.example.com/path"
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        raise fault(f"not a URL: {error}", fix) from None
    if parts.scheme not in ("ws", "wss"):
        raise fault("not the URL of a WebSocket", fix)
    if not parts.hostname or " " in text:
        raise fault("not a URL", fix)
    try:
        parts.hostname.encode("idna")
    except UnicodeError as error:
        raise fault(f"{parts.hostname} is not the name of a host: {error}", fix) from None
    if parts.username is not None or parts.password is not None:
        raise fault("it has a password in it", "take it out, and write headers: {Authorization: {file: name}}")
    if parts.fragment:
        raise fault("it has a fragment (#) in it", "take it out")
    return text


WebSocketUrl: TypeAlias = Annotated[Text, AfterValidator(_websocket_url)]
"""`ws:` or `wss:`, a host, perhaps a port, a path and a query."""


def _header_value(value: object, info: ValidationInfo) -> object:
    if isinstance(value, str):
        if not value.isascii() or not value.isprintable() or not value.strip():
            raise fault("not the value of an HTTP header", "write printable ASCII characters on one line")
        return SecretStr(value.strip())
    return secret_of(value, info)


HeaderValue: TypeAlias = Annotated[SecretStr, BeforeValidator(_header_value)]
"""Text, or a secret by `file`, `env` or `credential`."""
HeaderName: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$")]


class NetworkSettings(SpeakingSettings, ABC):
    """An agent whose backend is reached by a WebSocket, connected while it rings."""

    url: WebSocketUrl
    """Where it is, as `wss://bot.example.com/stream`."""
    headers: dict[HeaderName, HeaderValue] = Field(default={}, max_length=32)
    """More headers of the request; a value is text, or a secret by `{file: name}`, `{env: NAME}` or
    `{credential: name}`."""
    ca: ExistingFile | None = None
    """A file of certificates (PEM) to trust instead of the system's."""
    connect_timeout_s: PositiveSeconds = Field(default=5.0, alias="connect_timeout")
    """It must be connected within this; a call that is not answered rings meanwhile."""

    def check_extra(self, name: str) -> None:
        """See that the libraries are there.

        Raises:
            AgentSetupError: with the command that installs them.
        """
        missing = [one for one in _LIBRARIES if importlib.util.find_spec(one) is None]
        if missing:
            fix = "sudo make install EXTRAS=network (in a checkout: make run EXTRAS=network)"
            raise AgentSetupError(name, "kind", f"needs {' and '.join(missing)}: {fix}")

    def endpoint(self, name: str, headers: Mapping[str, str], url: str | None = None) -> Endpoint:
        """Where to connect, with these headers besides the written ones; the url may have been completed.

        Raises:
            AgentSetupError: `ca` holds no certificates.
        """
        from gateway.agents.network.websocket import Endpoint  # noqa: PLC0415 - its library is an extra

        written = {header: value.get_secret_value() for header, value in self.headers.items()}
        try:
            tls = None if self.ca is None else ssl.create_default_context(cafile=self.ca)
        except (ssl.SSLError, OSError) as error:
            raise AgentSetupError(name, "ca", f"{self.ca} holds no certificates: {error}") from error
        return Endpoint(url or self.url, {**headers, **written}, tls)

    def named_files(self) -> Iterator[tuple[tuple[str, ...], Path]]:
        """The certificates."""
        if self.ca is not None:
            yield ("ca",), self.ca

    def made(self, make: Callable[[], Agent]) -> Maker:
        """What makes an agent that connects in its `prepare`."""
        return Maker(make, self.connect_timeout_s + PATIENCE_S)
