import asyncio
import os
import socket
import stat
from pathlib import Path

import pytest

from gateway.control.server import ControlError, ControlServer, ask_status


def test_a_status_is_asked_and_answered(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "run" / "control.sock"
        server = ControlServer(path, lambda: {"state": "ready"})
        await server.start()
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert await asyncio.to_thread(ask_status, path) == {"state": "ready"}
        await server.stop()
        assert not path.exists()

    asyncio.run(main())


@pytest.mark.parametrize("asked", [b"what?\n", b"{}\n", b"[]\n", b"\n", b'{"command": "stop"}\n'])
def test_other_questions_are_told_what_to_ask(tmp_path: Path, asked: bytes) -> None:
    async def main() -> None:
        path = tmp_path / "control.sock"
        server = ControlServer(path, lambda: {"state": "ready"})
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
        server = ControlServer(path, lambda: {"state": "ready"})
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
        first = ControlServer(path, dict)
        await first.start()
        with pytest.raises(ControlError, match="another gateway"):
            await ControlServer(path, dict).start()
        await first.stop()

    asyncio.run(main())


def test_a_file_in_the_way_is_left_alone(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "control.sock"
        path.write_text("precious")
        with pytest.raises(ControlError, match="no socket"):
            await ControlServer(path, dict).start()
        assert path.read_text() == "precious"

    asyncio.run(main())


def test_a_strangers_directory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() == 0:
        os.chown(tmp_path, 12345, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
    owner = tmp_path.stat().st_uid
    server = ControlServer(tmp_path / "control.sock", dict)
    with pytest.raises(ControlError) as caught:
        asyncio.run(server.start())
    assert str(caught.value) == (
        f"control.socket: {tmp_path} belongs to user {owner}, neither to root nor to the gateway's user; "
        "choose another path, or chown the directory"
    )
    assert not (tmp_path / "control.sock").exists()


def test_asking_nobody_says_so(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="no gateway answers"):
        ask_status(tmp_path / "control.sock")
