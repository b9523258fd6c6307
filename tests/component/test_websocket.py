"""The connection to a backend: TLS, proxies, peers that vanish."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog

from gateway.agents.network import websocket
from gateway.agents.network.errors import BackendError
from gateway.agents.network.websocket import Endpoint, connect
from tests.backend_call import until
from tests.bot import DEADLINE_S, Bot


class Inbox:
    """Keeps what comes."""

    def __init__(self) -> None:
        self.texts: list[bytes] = []

    def on_text(self, text: bytes) -> None:
        self.texts.append(text)

    def on_binary(self, data: bytes) -> None:
        self.texts.append(data)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that nobody has signed, and its key."""
    place = tmp_path_factory.mktemp("tls")
    certificate, key = place / "cert.pem", place / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=bot"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-out", str(certificate), "-keyout", str(key)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


def tls_bot(certificate: tuple[Path, Path]) -> Bot:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return Bot(tls=context)


def test_a_certificate_is_verified_by_the_ca_that_is_named(certificate: tuple[Path, Path]) -> None:
    async def connected(bot: Bot) -> None:
        trusted = ssl.create_default_context(cafile=certificate[0])
        socket = await connect(Endpoint(bot.url, tls=trusted), Inbox(), 2.0)
        assert socket.send_text(b'{"event": "hello"}')
        await bot.until(lambda stream: stream.of("hello"))
        await socket.close()
        assert socket.over.result() is None

    with tls_bot(certificate) as bot:
        asyncio.run(connected(bot))


def test_a_certificate_that_nobody_has_signed_is_refused(certificate: tuple[Path, Path]) -> None:
    async def refused(bot: Bot) -> None:
        with pytest.raises(
            BackendError, match=r"certificate of wss://127\.0\.0\.1:\d+/stream is not trusted.*ca:"
        ) as why:
            await connect(Endpoint(bot.url), Inbox(), 2.0)
        assert not why.value.retryable

    with tls_bot(certificate) as bot:
        asyncio.run(refused(bot))


@asynccontextmanager
async def relay(port: int) -> AsyncIterator[tuple[int, asyncio.Event, list[bytes]]]:
    """An HTTP proxy that knows CONNECT, and nothing else; once the event is set, it passes nothing on."""
    frozen, asked = asyncio.Event(), list[bytes]()

    async def carry(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(4096):
            if not frozen.is_set():
                target.write(data)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        there, back = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.suppress(ConnectionError):
            await asyncio.gather(carry(reader, back), carry(there, writer))
        back.close()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], frozen, asked
    finally:
        server.close()


def use_proxy(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("no_proxy", "internal.example")


def test_the_environment_names_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async def connected(bot: Bot) -> None:
        async with relay(bot.port) as (port, _, asked):
            use_proxy(monkeypatch, port)
            socket = await connect(Endpoint(f"ws://bot.example:{bot.port}/stream"), Inbox(), 2.0)
            assert asked[0].startswith(f"CONNECT bot.example:{bot.port} ".encode())
            socket.send_text(b'{"event": "hello"}')
            await bot.until(lambda stream: stream.of("hello"))
            await socket.close()
            monkeypatch.setenv("no_proxy", "127.0.0.1")
            socket = await connect(Endpoint(bot.url), Inbox(), 2.0)
            await socket.close()
            assert len(asked) == 1

    with Bot() as bot:
        asyncio.run(connected(bot))


@pytest.mark.parametrize(
    ("answer", "said", "retryable"),
    [
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", r"the proxy refuses to connect to ws://bot\.example/: .*403", False),
        (None, r"cannot connect to ws://bot\.example/", True),
    ],
)
def test_a_proxy_that_refuses_or_is_not_there(
    answer: bytes | None, said: str, retryable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer or b"")
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        use_proxy(monkeypatch, server.sockets[0].getsockname()[1] if answer else 9)
        with pytest.raises(BackendError, match=said) as why:
            await connect(Endpoint("ws://bot.example/"), Inbox(), 2.0)
        assert why.value.retryable is retryable
        server.close()

    asyncio.run(refused())


def test_a_proxy_of_a_kind_that_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "socks9://127.0.0.1:9")
    with pytest.raises(BackendError, match="proxy in the environment cannot be used: Invalid scheme component: socks9"):
        asyncio.run(connect(Endpoint("ws://bot.example/"), Inbox(), 2.0))


def test_a_peer_that_has_vanished_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half-open TCP: the connection stands, and nothing passes any more."""
    monkeypatch.setattr(websocket, "PING_AFTER_S", 0.2)

    async def vanished(bot: Bot) -> None:
        async with relay(bot.port) as (port, frozen, _):
            use_proxy(monkeypatch, port)
            socket = await connect(Endpoint(f"ws://bot.example:{bot.port}/stream"), Inbox(), 2.0)
            await asyncio.sleep(0.5)
            assert not socket.over.done(), "a peer that answers pings is there"
            frozen.set()
            error = await asyncio.wait_for(asyncio.shield(socket.over), DEADLINE_S)
            assert error is not None
            assert "was lost" in str(error)

    with Bot() as bot:
        asyncio.run(vanished(bot))


def test_a_name_that_no_host_can_have() -> None:
    with pytest.raises(BackendError, match=r"the host name in ws://a\.\.b/ is invalid") as why:
        asyncio.run(connect(Endpoint("ws://a..b/"), Inbox(), 2.0))
    assert not why.value.retryable


def test_an_endpoint_shows_no_secret() -> None:
    endpoint = Endpoint("wss://me:secret@bot.example:8443/a?token=secret", {"Authorization": "secret"})
    assert endpoint.shown == "wss://bot.example:8443/a"
    assert "secret" not in repr(endpoint)


def test_a_receiver_that_fails_ends_its_connection_only() -> None:
    class Fails(Inbox):
        def on_text(self, text: bytes) -> None:
            raise KeyError(text)

    async def sent(bot: Bot) -> None:
        socket = await connect(Endpoint(bot.url), Fails(), 2.0)
        await bot.until(lambda _: True)
        bot.do(lambda stream: stream.send("hello"))
        error = await asyncio.wait_for(asyncio.shield(socket.over), DEADLINE_S)
        assert "could not be handled: KeyError" in str(error)

    with structlog.testing.capture_logs() as lines, Bot() as bot:
        asyncio.run(sent(bot))
    assert [line["event"] for line in lines] == ["agent.message_fault"]


def test_empty_fragments_cost_no_memory() -> None:
    async def sent(bot: Bot) -> None:
        inbox = Inbox()
        socket = await connect(Endpoint(bot.url), inbox, 2.0)
        await bot.until(lambda _: True)
        bot.do(lambda stream: stream.connection.send(["a", *100 * [""], "b"]))
        await until(lambda: inbox.texts == [b"ab"])
        await socket.close()

    with Bot() as bot:
        asyncio.run(sent(bot))


def test_a_message_without_end_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "MAX_MESSAGE_BYTES", 1_000)

    async def sent(bot: Bot) -> None:
        socket = await connect(Endpoint(bot.url), Inbox(), 2.0)
        await bot.until(lambda _: True)
        with contextlib.suppress(Exception):  # the connection is closed while it is being sent
            bot.do(lambda stream: stream.connection.send(["x" * 300 for _ in range(10)]))
        error = await asyncio.wait_for(asyncio.shield(socket.over), DEADLINE_S)
        assert "a message of more than 1000 bytes" in str(error)

    with Bot() as bot:
        asyncio.run(sent(bot))
