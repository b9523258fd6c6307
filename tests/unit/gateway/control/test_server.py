import asyncio
import contextlib
import os
import socket
import stat
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import structlog

from gateway.control.client import NoAnswerError, ask
from gateway.control.server import Command, ControlError, ControlServer
from gateway.control.status import Json


async def ready() -> dict[str, Json]:
    return {"state": "ready"}


def serve(path: Path, scene: Callable[[], Awaitable[None]], **commands: Command) -> None:
    """Run a scene while a server with these commands listens."""

    async def main() -> None:
        server = ControlServer(path, {"status": ready, **commands})
        await server.start()
        await asyncio.wait_for(scene(), 60)
        await server.stop()

    asyncio.run(main())


def test_a_status_is_asked_and_answered(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "run" / "control.sock"
        server = ControlServer(path, {"status": ready})
        await server.start()
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert await asyncio.to_thread(ask, path, "status") == {"state": "ready"}
        await server.stop()
        assert not path.exists()

    asyncio.run(main())


@pytest.mark.parametrize(
    "asked",
    [
        b"what?\n",
        b"[" * 3000 + b"\n",
        b'{"a":' * 800 + b"\n",
        b"\xff\n",
        b"{}\n",
        b'{"command": ["status"]}\n',
        b"[]\n",
        b"\n",
        b'{"command": "stop"}\n',
    ],
)
def test_other_questions_are_told_what_to_ask(tmp_path: Path, asked: bytes) -> None:
    async def main() -> None:
        path = tmp_path / "control.sock"
        server = ControlServer(path, {"status": ready})
        await server.start()
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(asked)
        assert b"status" in await asyncio.wait_for(reader.readline(), 5)
        writer.close()
        await server.stop()

    asyncio.run(main())


def test_a_line_without_end_is_cut_off(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "control.sock"
        server = ControlServer(path, {"status": ready})
        await server.start()
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"x" * 100_000)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        await server.stop()

    asyncio.run(main())


def test_a_dead_gateways_socket_is_replaced_and_a_live_ones_is_not(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "control.sock"
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
        first = ControlServer(path, {})
        await first.start()
        with pytest.raises(ControlError) as caught:
            await ControlServer(path, {}).start()
        assert str(caught.value) == (
            f"control.socket: {path}: another gateway answers on it, process {os.getpid()}; stop that one, "
            "or start this one with --config and a control.socket, sip.listen and media.rtp_ports of its own"
        )
        await first.stop()

    asyncio.run(main())


def test_a_file_in_the_way_is_left_alone(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "control.sock"
        path.write_text("precious")
        with pytest.raises(ControlError, match="not a socket"):
            await ControlServer(path, {}).start()
        assert path.read_text() == "precious"

    asyncio.run(main())


def test_a_strangers_directory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() == 0:
        os.chown(tmp_path, 12345, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
    owner = tmp_path.stat().st_uid
    server = ControlServer(tmp_path / "control.sock", {})
    with pytest.raises(ControlError) as caught:
        asyncio.run(server.start())
    assert str(caught.value) == (
        f"control.socket: {tmp_path} belongs to user {owner}, neither to root nor to the gateway's user; "
        "choose another path, or chown the directory"
    )
    assert not (tmp_path / "control.sock").exists()


def test_asking_nobody_says_so(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with pytest.raises(NoAnswerError) as caught:
        ask(path, "status")
    assert str(caught.value) == (
        f"no gateway answers on {path}: No such file or directory; start it, or name its settings with --config"
    )


def test_a_directory_that_everybody_may_write_in_is_refused(tmp_path: Path) -> None:
    open_to_all = tmp_path / "open"
    below = open_to_all / "below"
    below.mkdir(parents=True)
    open_to_all.chmod(0o777)
    for directory in (open_to_all, below):
        with pytest.raises(ControlError) as caught:
            asyncio.run(ControlServer(directory / "control.sock", {}).start())
        assert str(caught.value) == (
            f"control.socket: every user may write in {open_to_all}; choose another path, or chmod o-w {open_to_all}"
        )
        assert not (directory / "control.sock").exists()
    open_to_all.chmod(0o1777)  # as /tmp
    serve(below / "control.sock", _nothing)


async def _nothing() -> None:
    pass


def test_a_link_in_the_way_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "control.sock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ControlError, match="not a socket"):
        asyncio.run(ControlServer(tmp_path / "control.sock", {}).start())


def test_who_does_not_read_is_let_go_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.control.server._PEER_S", 0.2)
    path = tmp_path / "control.sock"

    async def long() -> dict[str, Json]:
        return {"text": "x" * 10_000_000}

    async def scene() -> None:
        reader, writer = await asyncio.open_unix_connection(path)
        assert isinstance(writer.transport, asyncio.ReadTransport)
        writer.transport.pause_reading()
        writer.write(b'{"command": "long"}\n')
        with structlog.testing.capture_logs() as logs:
            while not logs:  # noqa: ASYNC110 - nothing else tells that it gave up
                await asyncio.sleep(0.01)
        assert [line["event"] for line in logs] == ["control.peer_lost"]
        writer.transport.resume_reading()
        with contextlib.suppress(ConnectionResetError):
            assert len(await reader.read()) < 10_000_000
        writer.close()
        assert await asyncio.to_thread(ask, path, "status") == {"state": "ready"}

    serve(path, scene, long=long)


def test_too_many_at_once_are_told_so(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"

    async def scene() -> None:
        idle = [await asyncio.open_unix_connection(path) for _ in range(8)]
        with pytest.raises(NoAnswerError, match="8 other clients are connected; try again"):
            await asyncio.to_thread(ask, path, "status")
        for _, writer in idle:
            writer.close()

    serve(path, scene)


def test_a_command_that_fails_is_one_peers_matter(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"

    async def failing() -> dict[str, Json]:
        raise RuntimeError("no")

    async def scene() -> None:
        with structlog.testing.capture_logs() as logs, pytest.raises(NoAnswerError):
            await asyncio.to_thread(ask, path, "failing")
        assert [line["event"] for line in logs] == ["control.failed"]
        assert await asyncio.to_thread(ask, path, "status") == {"state": "ready"}

    serve(path, scene, failing=failing)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"[" * 100_000 + b"\n", "maximum recursion depth"),
        (b"x" * 20_000_000, "the answer is too long"),
        (b"[]\n", "is not a gateway"),
        (b'{"error": "no"}\n', "refuses: no"),
        (b"", "is it running"),
        (b"{", "is it running"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else value,
)
def test_what_is_no_gateway_does_not_hold_up_who_asks(tmp_path: Path, answer: bytes, why: str) -> None:
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.bind(str(tmp_path / "s"))
        stranger.listen()

        def serve_once() -> None:
            peer, _ = stranger.accept()
            with peer, contextlib.suppress(OSError):
                peer.recv(100)
                peer.sendall(answer)

        thread = threading.Thread(target=serve_once)
        thread.start()
        with pytest.raises(NoAnswerError, match=why):
            ask(tmp_path / "s", "status", deadline_s=30)
        thread.join(30)


def test_who_is_refused_before_it_has_asked_reads_why(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as busy:
        busy.bind(str(tmp_path / "s"))
        busy.listen()

        def refuse() -> None:
            peer, _ = busy.accept()
            with peer:
                peer.sendall(b'{"error": "8 other clients are connected"}\n')

        thread = threading.Thread(target=refuse)
        thread.start()
        with pytest.raises(NoAnswerError, match="8 other clients are connected"):
            ask(tmp_path / "s", "x" * 10_000_000, deadline_s=30)  # more than fits before the other side has closed
        thread.join(30)


def test_an_answer_that_drips_is_not_waited_for(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.bind(str(tmp_path / "s"))
        stranger.listen()
        done = threading.Event()

        def drip() -> None:
            peer, _ = stranger.accept()
            with peer, contextlib.suppress(OSError):
                while not done.wait(0.02):
                    peer.sendall(b"x")

        thread = threading.Thread(target=drip)
        thread.start()
        with pytest.raises(NoAnswerError, match="timed out"):
            ask(tmp_path / "s", "status", deadline_s=0.3)
        done.set()
        thread.join(30)
