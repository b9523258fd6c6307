"""A WebSocket to a backend: reached within a deadline, bounded both ways, each fault said in one sentence."""

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
"""A minute of speech in one message, several times over."""
PING_AFTER_S = 10.0
"""A backend from which nothing comes for this long is asked whether it is still there, and has as long to answer."""
UNREAD_S = 10.0
"""A backend that reads nothing for this long has failed."""
CLOSE_S = 0.5
"""How long a backend has to answer the end of a connection: less than an agent has after its caller hung up."""
WINDOW_S = 0.1
WINDOW_MESSAGES = 200
WINDOW_BYTES = 1024 * 1024
"""What is taken of one backend within `WINDOW_S`; then it must wait, so that a flood costs other calls nothing."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a backend is, and the headers of the request."""

    url: str = field(repr=False)
    """With `ws:` or `wss:`; it may contain a secret, so it is shown without user and query."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    tls: ssl.SSLContext | None = None
    """None: the system's certificates."""
    ping_after_s: float | None = None
    """Instead of `PING_AFTER_S`, for a backend that answers slowly."""

    @property
    def shown(self) -> str:
        """The URL as it may be logged."""
        return without_secrets(self.url)


def without_secrets(url: str) -> str:
    """A URL as it may be logged: without user, password, query and fragment."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


class Receiver(Protocol):
    """Gets the messages of one connection. Called on the loop, must return at once.

    What it raises ends the connection: a `BackendError` is the connection's error as it is, anything else is logged as
    a fault of ours.
    """

    def on_text(self, text: bytes) -> None:
        """A text message; that it is UTF-8 was not checked."""

    def on_binary(self, data: bytes) -> None:
        """A binary message."""


class _Nobody:
    """The receiver of a connection that has ended."""

    def on_text(self, text: bytes) -> None:
        """Nothing comes any more."""

    def on_binary(self, data: bytes) -> None:
        """Nothing comes any more."""


async def connect(endpoint: Endpoint, receiver: Receiver, deadline_s: float) -> WebSocket:
    """Open a connection; by a proxy if the environment names one (`https_proxy`, `http_proxy`, `no_proxy`).

    Raises:
        BackendError: it could not be opened, and whether trying again can help.
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
                max_redirects=0,  # the headers may hold a secret that is for this host
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
        raise BackendError(f"{endpoint.shown} names no host that can be looked up: {error}", retryable=False) from error
    except ProxyError as error:
        raise BackendError(f"the proxy does not let {endpoint.shown} through: {error}", retryable=False) from error
    except ValueError as error:
        raise BackendError(f"the environment names no proxy that can be used: {error}", retryable=False) from error
    if not isinstance(socket, WebSocket):  # picows has none to give
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
    """What an answer of this status means, and whether trying again can help."""
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
        """Done when the connection has ended: None if the backend closed it as it should, or we did."""
        self.dropped = 0
        """Messages not sent, because the backend did not read."""
        self._shown = shown
        self._loop = asyncio.get_running_loop()
        self._transport: WSTransport | None = None
        self._closing = False
        """Whether we have ended the connection."""
        self._ended = False
        """Whether anybody has: nothing more is read."""
        self._clogged: asyncio.TimerHandle | None = None
        self._error: BackendError | None = None
        self._fragments = bytearray()
        self._fragments_type = WSMsgType.TEXT
        self._window_end_s = 0.0
        self._window_messages = 0
        self._window_bytes = 0
        self._braking = False

    # -- what we do ---------------------------------------------------------------------------------------------------

    def send_text(self, text: bytes) -> bool:
        """Send a message; False, counted, if it is dropped: the backend does not read, or the connection has ended."""
        return self._send(WSMsgType.TEXT, text)

    def send_binary(self, data: bytes) -> bool:
        """As `send_text`."""
        return self._send(WSMsgType.BINARY, data)

    def _send(self, kind: WSMsgType, data: bytes) -> bool:
        if self._clogged is not None or self._closing or self._transport is None or self.over.done():
            self.dropped += 1
            return False
        self._transport.send(kind, data)
        return True

    async def close(self) -> None:
        """End the connection, and wait for the backend's answer for `CLOSE_S` at most."""
        if self._transport is not None and not self.over.done() and not self._closing:
            self._closing = True
            self._transport.send_close(WSCloseCode.OK)
            await asyncio.wait({self.over}, timeout=CLOSE_S)
        self.abort()

    def abort(self) -> None:
        """End the connection without a word. Idempotent."""
        self._closing = self._ended = True
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    # -- what comes ---------------------------------------------------------------------------------------------------

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The handshake is done."""
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Hand on a whole message; answer the end."""
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
        except Exception as error:  # noqa: BLE001 - the edge of the library: whatever it is, it stays in this call
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
        """The backend does not read: what is sent from now on is dropped, and after `UNREAD_S` it has failed."""
        if self._clogged is None:
            error = BackendError(f"{self._shown} has read nothing for {UNREAD_S:g} s")
            self._clogged = self._loop.call_later(UNREAD_S, self._fail, error)

    def resume_writing(self) -> None:
        """It reads again."""
        if self._clogged is not None:
            self._clogged.cancel()
            self._clogged = None

    def _fail(self, error: BackendError) -> None:
        self._error = self._error or error
        self.abort()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """The connection has ended, however that came."""
        self.resume_writing()
        if not self.over.done():
            self.over.set_result(self._ending(transport))
        self._ended = True
        self._transport = None
        self.receiver = _Nobody()  # it knows us: a cycle that only a rare full collection would find

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
        # What we sent is wrong, or not allowed: it would be again.
        ours = received.code in (WSCloseCode.INVALID_TEXT, WSCloseCode.POLICY_VIOLATION)
        return BackendError(f"{self._shown} closed the connection with {code}{said}", retryable=not ours)
