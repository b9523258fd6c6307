"""Opens a WebSocket whose URL must first be requested over HTTPS, with a key that the WebSocket does not accept."""

from __future__ import annotations

import asyncio
import http.client
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from email.message import Message
from typing import IO
from urllib.parse import urlsplit, urlunsplit

import msgspec

from gateway.agents.network.errors import NOT_JSON, BackendError
from gateway.agents.network.websocket import Endpoint, Receiver, WebSocket, connect, refusal, without_secrets

_MAX_ANSWER_BYTES = 64 * 1024


class _Answer(msgspec.Struct):
    signed_url: str


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirects: the headers contain a secret that only this host may see."""

    def redirect_request(  # noqa: PLR0913, PLR0917 - the signature of the library
        self,
        req: urllib.request.Request,  # noqa: ARG002
        fp: IO[bytes],  # noqa: ARG002
        code: int,  # noqa: ARG002
        msg: str,  # noqa: ARG002
        headers: Message,  # noqa: ARG002
        newurl: str,  # noqa: ARG002
    ) -> None:
        """Return None: the redirect becomes an error."""
        return


@dataclass(frozen=True, slots=True)
class SignedUrl:
    """Requests `{"signed_url": ...}` from `path` below the URL of the endpoint, and connects to the signed URL."""

    path: str
    headers: Mapping[str, str] = field(repr=False)

    async def connect(self, endpoint: Endpoint, receiver: Receiver, deadline_s: float) -> WebSocket:
        """Like `gateway.agents.network.websocket.connect`; the deadline applies to both requests together.

        Raises:
            BackendError: no URL was received, or the connection could not be opened.
        """
        loop = asyncio.get_running_loop()
        until_s = loop.time() + deadline_s
        asking = _HttpEndpoint.of(endpoint, self)
        try:
            async with asyncio.timeout(deadline_s):
                url = await asyncio.to_thread(asking.ask, deadline_s)
        except TimeoutError:
            raise BackendError(f"{asking.shown} did not answer within {deadline_s:g} s") from None
        return await connect(replace(endpoint, url=url), receiver, max(until_s - loop.time(), 0.001))


@dataclass(frozen=True, slots=True)
class _HttpEndpoint:
    url: str
    headers: Mapping[str, str]
    tls: ssl.SSLContext | None

    @classmethod
    def of(cls, endpoint: Endpoint, signed: SignedUrl) -> _HttpEndpoint:
        parts = urlsplit(endpoint.url)
        scheme = "https" if parts.scheme == "wss" else "http"
        url = urlunsplit((scheme, parts.netloc, parts.path.rstrip("/") + signed.path, parts.query, ""))
        return cls(url, {**endpoint.headers, **signed.headers}, endpoint.tls)

    @property
    def shown(self) -> str:
        return without_secrets(self.url)

    def ask(self, timeout_s: float) -> str:
        """Return the signed URL. Blocks; each read from the socket takes at most `timeout_s`."""
        tls = urllib.request.HTTPSHandler(context=self.tls or ssl.create_default_context())
        opener = urllib.request.build_opener(_NoRedirects, tls)
        request = urllib.request.Request(self.url, headers=dict(self.headers))  # noqa: S310 - http or https, as made
        try:
            with opener.open(request, timeout=timeout_s) as answer:
                data = answer.read(_MAX_ANSWER_BYTES)
        except urllib.error.HTTPError as error:
            with error:
                raise refusal(self.shown, error.code, error.headers) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._unreachable(error) from error
        try:
            url = msgspec.json.decode(data, type=_Answer).signed_url
        except NOT_JSON as error:
            raise BackendError(f"{self.shown} gave no signed URL: {error}", retryable=False) from error
        if urlsplit(url).scheme not in ("ws", "wss"):
            raise BackendError(f"{self.shown} gave a signed URL that is not the URL of a WebSocket", retryable=False)
        return url

    def _unreachable(self, error: Exception) -> BackendError:
        why = error.reason if isinstance(error, urllib.error.URLError) else error
        match why:
            case TimeoutError():
                return BackendError(f"{self.shown} did not answer in time")
            case ssl.SSLCertVerificationError():
                said = f"the certificate of {self.shown} is not trusted: {why.verify_message}; give its CA as ca:"
                return BackendError(said, retryable=False)
            case socket.gaierror() | OSError():
                return BackendError(f"cannot connect to {self.shown}: {why.strerror or why}")
            case _:
                return BackendError(f"{self.shown} did not answer as a web server: {why}", retryable=False)
