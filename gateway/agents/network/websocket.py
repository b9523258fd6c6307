"""A WebSocket connection to a backend, with a deadline, limits in both directions, and one clear error message."""

from __future__ import annotations

import asyncio
import ssl
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit

import structlog
from picows import (
    WSCloseCode,
    WSFrame,
    WSHandshakeError,
    WSListener,
    WSMsgType,
    WSTransport,
    ws_connect,
)
from python_socks import ProxyError

from gateway.agents.network.errors import BackendError

_log = structlog.get_logger("agents")

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""Enough for several minutes of speech in one message."""
PING_AFTER_S = 10.0
"""A backend that sends nothing for this long gets a ping, and must answer it within the same time."""
UNREAD_S = 10.0
"""A backend that does not read for this long has failed."""
CLOSE_S = 0.5
"""How long a backend may take to answer a close; less than the time an agent has after the caller hangs up."""
WINDOW_S = 0.1
WINDOW_MESSAGES = 200
WINDOW_BYTES = 1024 * 1024
"""How much is read from one backend within `WINDOW_S`; then reading pauses, so that a flood does not harm other
calls."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The address of a backend, and the headers of the request."""

    url: str = field(repr=False)
    """A `ws:` or `wss:` URL. It may contain a secret, so `shown` leaves out user, password and query."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    tls: ssl.SSLContext | None = None
    """With None, the system's certificates are trusted."""
    ping_after_s: float | None = None
    """Replaces `PING_AFTER_S`, for a backend that answers pings slowly."""

    @property
    def shown(self) -> str:
        """The URL without secrets, for logs and messages."""
        return without_secrets(self.url)


def without_secrets(url: str) -> str:
    """Return a URL without user, password, query and fragment, for logs and messages."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


class Receiver(Protocol):
    """Receives the messages of one connection. Called on the loop; must return at once.

    An exception ends the connection. A `BackendError` becomes the connection's error; any other exception is logged as
    a fault of the gateway.
    """

    def on_text(self, text: bytes) -> None:
        """Handle a text message; it may be invalid UTF-8."""

    def on_binary(self, data: bytes) -> None:
        """Handle a binary message."""


class _Nobody:
    """The receiver of a connection that has ended; it ignores everything."""

    def on_text(self, text: bytes) -> None:
        """Ignore it."""

    def on_binary(self, data: bytes) -> None:
        """Ignore it."""


async def connect(endpoint: Endpoint, receiver: Receiver, deadline_s: float) -> WebSocket:
    """Open a connection, through a proxy if the environment sets one (`https_proxy`, `http_proxy`, `no_proxy`).

    Raises:
        BackendError: it could not be opened; the error says if trying again can help.
    """
    ping_after_s = endpoint.ping_after_s or PING_AFTER_S
    headers = [(name, value) for name, value in endpoint.headers.items()]
    try:
        async with asyncio.timeout(deadline_s):
            _, socket = await ws_connect(
                lambda: WebSocket(receiver, endpoint.shown),
                endpoint.url,
                ssl_context=endpoint.tls,
                websocket_handshake_timeout=deadline_s,
                enable_auto_ping=True,
                auto_ping_idle_timeout=ping_after_s,
                auto_ping_reply_timeout=ping_after_s,
                max_frame_size=MAX_MESSAGE_BYTES,
                extra_headers=headers,
                max_redirects=0,  # the headers may contain a secret that only this host may see
                proxy=_proxy(endpoint.url),
            )
    except TimeoutError:
        raise BackendError(f"{endpoint.shown} did not answer within {deadline_s:g} s") from None
    except WSHandshakeError as error:
        raise _refused(endpoint, error) from error
    except ssl.SSLCertVerificationError as error:
        why = f"the certificate of {endpoint.shown} is not trusted: {error.verify_message}; give its CA as ca:"
        raise BackendError(why, retryable=False) from error
    except OSError as error:
        raise BackendError(f"cannot connect to {endpoint.shown}: {error.strerror or error}") from error
    except UnicodeError as error:
        raise BackendError(f"the host name in {endpoint.shown} is invalid: {error}", retryable=False) from error
    except ProxyError as error:
        raise BackendError(f"the proxy refuses to connect to {endpoint.shown}: {error}", retryable=False) from error
    except ValueError as error:
        raise BackendError(f"the proxy in the environment cannot be used: {error}", retryable=False) from error
    if not isinstance(socket, WebSocket):  # picows returns None in this case
        raise BackendError(f"{endpoint.shown} closed the connection without an answer")
    return socket


def _proxy(url: str) -> str | None:
    parts = urlsplit(url)
    if urllib.request.proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    return urllib.request.getproxies().get("https" if parts.scheme == "wss" else "http")


def _refused(endpoint: Endpoint, error: WSHandshakeError) -> BackendError:
    if error.response is None:
        return BackendError(f"{endpoint.shown} did not answer as a WebSocket server: {error}", retryable=False)
    return refusal(endpoint.shown, int(error.response.status), error.response.headers)


def refusal(shown: str, status: int, headers: Mapping[str, str] | Message) -> BackendError:
    """Return the error for an HTTP status; it says if trying again can help."""
    said = f"{shown} answered {status}"
    match status:
        case 401 | 403:
            return BackendError(f"{said}: check the key or token of this agent", retryable=False)
        case 404:
            return BackendError(f"{said}: check the path of the url", retryable=False)
        case 429 | 503:
            after = headers.get("Retry-After")
            return BackendError(f"{said}, Retry-After {after}" if after else said)
        case _ if 300 <= status < 400:
            return BackendError(f"{said}, a redirect to {_target(headers)}: write that as url", retryable=False)
        case _:
            return BackendError(said, retryable=status >= 500)


def _target(headers: Mapping[str, str] | Message) -> str:
    try:
        return without_secrets(headers.get("Location") or "")[:200] or "elsewhere"
    except ValueError:
        return "elsewhere"


class WebSocket(WSListener):
    """One open connection. For the loop's thread only."""

    def __init__(self, receiver: Receiver, shown: str) -> None:
        self.receiver = receiver
        self.over: asyncio.Future[BackendError | None] = asyncio.get_running_loop().create_future()
        """Done when the connection has ended; the result is None if the backend closed it normally, or we did."""
        self.dropped = 0
        """How many messages were not sent, because the backend did not read or the connection had ended."""
        self._shown = shown
        self._loop = asyncio.get_running_loop()
        self._transport: WSTransport | None = None
        self._closing = False
        """Whether we have ended the connection."""
        self._ended = False
        """Whether either side has ended the connection: nothing more is read."""
        self._clogged: asyncio.TimerHandle | None = None
        self._error: BackendError | None = None
        self._fragments = bytearray()
        self._fragments_type = WSMsgType.TEXT
        self._window_end_s = 0.0
        self._window_messages = 0
        self._window_bytes = 0
        self._braking = False

    # -- sending and closing ------------------------------------------------------------------------------------------

    def send_text(self, text: bytes) -> bool:
        """Send a text message; False if it was dropped (and counted): the backend does not read, or has gone."""
        return self._send(WSMsgType.TEXT, text)

    def send_binary(self, data: bytes) -> bool:
        """Send a binary message, like `send_text`."""
        return self._send(WSMsgType.BINARY, data)

    def _send(self, kind: WSMsgType, data: bytes) -> bool:
        if self._clogged is not None or self._closing or self._transport is None or self.over.done():
            self.dropped += 1
            return False
        self._transport.send(kind, data)
        return True

    async def close(self) -> None:
        """Close the connection, and wait at most `CLOSE_S` for the backend's answer."""
        if self._transport is not None and not self.over.done() and not self._closing:
            self._closing = True
            self._transport.send_close(WSCloseCode.OK)
            await asyncio.wait({self.over}, timeout=CLOSE_S)
        self.abort()

    def abort(self) -> None:
        """End the connection at once, without a close message. Idempotent."""
        self._closing = self._ended = True
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    # -- receiving ----------------------------------------------------------------------------------------------------

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The handshake has succeeded."""
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Pass complete messages to the receiver; answer a close."""
        kind = frame.msg_type
        if kind == WSMsgType.CLOSE:
            self._ended = True
            transport.send_close(frame.get_close_code())
            transport.disconnect()
            return
        if self._ended or kind in (WSMsgType.PING, WSMsgType.PONG):
            return
        data = frame.get_payload_as_bytes()
        self._brake(transport, len(data))
        if not frame.fin or kind == WSMsgType.CONTINUATION:
            whole = self._assembled(kind, data, last=frame.fin)
            if whole is None:
                return
            kind, data = self._fragments_type, whole
        try:
            if kind == WSMsgType.TEXT:
                self.receiver.on_text(data)
            else:
                self.receiver.on_binary(data)
        except BackendError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - the library's edge: an error must affect only this call
            _log.exception("agent.message_fault", backend=self._shown)
            self._fail(BackendError(f"a message of {self._shown} could not be handled: {type(error).__name__}"))

    def _assembled(self, kind: WSMsgType, data: bytes, *, last: bool) -> bytes | None:
        if kind != WSMsgType.CONTINUATION:
            self._fragments, self._fragments_type = bytearray(), kind
        self._fragments += data
        if len(self._fragments) > MAX_MESSAGE_BYTES:
            self._fragments = bytearray()
            self._fail(BackendError(f"{self._shown} sent a message of more than {MAX_MESSAGE_BYTES} bytes"))
            return None
        if not last:
            return None
        whole, self._fragments = bytes(self._fragments), bytearray()
        return whole

    def _brake(self, transport: WSTransport, size: int) -> None:
        now = self._loop.time()
        if now >= self._window_end_s:
            self._window_end_s = now + WINDOW_S
            self._window_messages = self._window_bytes = 0
        self._window_messages += 1
        self._window_bytes += size
        if not self._braking and (self._window_messages >= WINDOW_MESSAGES or self._window_bytes >= WINDOW_BYTES):
            self._braking = True
            transport.underlying_transport.pause_reading()
            self._loop.call_at(self._window_end_s, self._release)

    def _release(self) -> None:
        self._braking = False
        if self._transport is not None and not self._ended:
            self._transport.underlying_transport.resume_reading()

    def pause_writing(self) -> None:
        """The backend does not read: from now on messages are dropped, and after `UNREAD_S` the backend has failed."""
        if self._clogged is None:
            error = BackendError(f"{self._shown} has read nothing for {UNREAD_S:g} s")
            self._clogged = self._loop.call_later(UNREAD_S, self._fail, error)

    def resume_writing(self) -> None:
        """The backend reads again."""
        if self._clogged is not None:
            self._clogged.cancel()
            self._clogged = None

    def _fail(self, error: BackendError) -> None:
        self._error = self._error or error
        self.abort()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """The connection has ended, for whatever reason."""
        self.resume_writing()
        if not self.over.done():
            self.over.set_result(self._ending(transport))
        self._ended = True
        self._transport = None
        self.receiver = _Nobody()  # it refers to us: only a rare full garbage collection would free this cycle

    def _ending(self, transport: WSTransport) -> BackendError | None:
        if self._error is not None or self._closing:
            return self._error
        handshake = transport.close_handshake
        received = handshake.recv if handshake is not None else None
        if received is None:
            return BackendError(f"the connection to {self._shown} was lost")
        if received.code in (WSCloseCode.OK, WSCloseCode.GOING_AWAY, WSCloseCode.NO_INFO):
            return None
        code = getattr(received.code, "value", received.code)
        said = f": {received.reason[:200]}" if received.reason else ""
        # The backend rejects what we sent; it would do so again.
        ours = received.code in (WSCloseCode.INVALID_TEXT, WSCloseCode.POLICY_VIOLATION)
        return BackendError(f"{self._shown} closed the connection with {code}{said}", retryable=not ours)
