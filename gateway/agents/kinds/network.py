"""The common parts of kinds with a backend on the network."""

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
"""How much longer `prepare` may take than the connection: the error of a connection timeout says more."""


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
        fix = "remove it, and write headers: {Authorization: {file: name}}"
        raise fault("it contains a password", fix, hides_value=True)
    if parts.fragment:
        raise fault("it contains a fragment (#)", "remove it")
    return text


WebSocketUrl: TypeAlias = Annotated[Text, AfterValidator(_websocket_url)]
"""`ws:` or `wss:`, a host, optionally a port, a path and a query."""


def _header_value(value: object, info: ValidationInfo) -> object:
    if isinstance(value, str):
        if not value.isascii() or not value.isprintable() or not value.strip():
            fix = "write printable ASCII characters on one line"
            raise fault("not the value of an HTTP header", fix, hides_value=True)
        return SecretStr(value.strip())
    return secret_of(value, info)


HeaderValue: TypeAlias = Annotated[SecretStr, BeforeValidator(_header_value)]
"""Text, or a secret from `file`, `env` or `credential`."""
HeaderName: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$")]


class NetworkSettings(SpeakingSettings, ABC):
    """An agent with a backend behind a WebSocket, which is connected while the call rings."""

    url: WebSocketUrl
    """The URL of the backend, such as `wss://bot.example.com/stream`."""
    headers: dict[HeaderName, HeaderValue] = Field(default={}, max_length=32)
    """Additional headers of the request; a value is text, or a secret from `{file: name}`, `{env: NAME}` or
    `{credential: name}`."""
    ca: ExistingFile | None = None
    """A file of certificates (PEM) to trust instead of the system's."""
    connect_timeout_s: PositiveSeconds = Field(default=5.0, alias="connect_timeout")
    """The connection must be made within this time; a call that is not answered rings meanwhile."""

    def check_extra(self, name: str) -> None:
        """Check that the libraries are installed.

        Raises:
            AgentSetupError: with the command that installs them.
        """
        missing = [one for one in _LIBRARIES if importlib.util.find_spec(one) is None]
        if missing:
            fix = "sudo make install EXTRAS=network (in a checkout: make run EXTRAS=network)"
            raise AgentSetupError(name, "kind", f"needs {' and '.join(missing)}: {fix}")

    def endpoint(self, name: str, headers: Mapping[str, str], url: str | None = None) -> Endpoint:
        """Where to connect: `url`, or the `url` option, with the given headers and those of the options.

        Raises:
            AgentSetupError: `ca` contains no certificates.
        """
        from gateway.agents.network.websocket import Endpoint  # noqa: PLC0415 - its library is an extra

        written = {header: value.get_secret_value() for header, value in self.headers.items()}
        try:
            tls = None if self.ca is None else ssl.create_default_context(cafile=self.ca)
        except (ssl.SSLError, OSError) as error:
            raise AgentSetupError(name, "ca", f"{self.ca} contains no certificates: {error}") from error
        return Endpoint(url or self.url, {**headers, **written}, tls)

    def named_files(self) -> Iterator[tuple[tuple[str, ...], Path]]:
        """The file of certificates, if there is one."""
        if self.ca is not None:
            yield ("ca",), self.ca

    def made(self, make: Callable[[], Agent]) -> Maker:
        """Return a maker for an agent that connects in its `prepare`."""
        return Maker(make, self.connect_timeout_s + PATIENCE_S)
