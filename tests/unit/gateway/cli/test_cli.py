"""The command line, as it is typed."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from gateway.cli import main
from gateway.control.server import ControlServer
from gateway.settings import settings_path

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from gateway.control.status import Json

ROOT = Path(__file__).resolve().parents[4]
Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OFFHOOK_CONFIG", raising=False)
    monkeypatch.setattr("gateway.cli.SYSTEM_FILE", Path("/nonexistent"))
    monkeypatch.setattr("gateway.settings.load.SYSTEM_FILE", Path("/nonexistent"))


@pytest.fixture(autouse=True)
def _no_agents_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "users_agents", raising=False)


def usage_error(*arguments: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


@pytest.mark.parametrize(
    ("command", "told"),
    [(["check", "--config", "jörg.yaml"], "j\\xf6rg.yaml"), (["route", "--to", "müller"], "m\\xfcller")],
)
def test_a_terminal_without_umlauts_gets_them_otherwise(command: list[str], told: str, tmp_path: Path) -> None:
    (tmp_path / "jörg.yaml").touch()
    done = subprocess.run(
        [Path(sys.executable).with_name("offhook"), *command],
        env={"PATH": os.environ["PATH"], "PYTHONIOENCODING": "ascii"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert told in done.stdout


class TestCheck:
    def test_the_embedded_default_has_no_faults(self, capsys: Output) -> None:
        assert main(["check"]) == 0
        assert capsys.readouterr().out == "embedded default: no faults (0 trunks, 3 agents, 4 routes)\n"

    @pytest.mark.parametrize("transport", ["udp", "tcp"])
    def test_a_port_that_another_program_has_is_a_warning(self, transport: str, tmp_path: Path, capsys: Output) -> None:
        path, control = tmp_path / "g.yaml", tmp_path / "control.sock"
        kind = {"udp": socket.SOCK_DGRAM, "tcp": socket.SOCK_STREAM}[transport]
        with socket.socket(socket.AF_INET, kind) as other, socket.socket(socket.AF_UNIX) as running:
            other.bind(("127.0.0.1", 0))
            if transport == "tcp":
                other.listen()
            port = other.getsockname()[1]
            path.write_text(
                f"sip: {{listen: [{transport}:127.0.0.1:{port}]}}\n"
                "media: {rtp_address: 127.0.0.2}\n"  # the port may be one of those for RTP
                f"control: {{socket: {control}}}"
            )
            assert main(["check", "--config", str(path)]) == 0
            assert capsys.readouterr().err == (
                f"{path}:1:16: sip.listen[0]: warning: another program uses {transport}:127.0.0.1:{port}; "
                f"sudo ss -ln{transport[0]}p 'sport = :{port}' shows which program uses it; "
                "stop it, or choose another port\n"
            )
            # The gateway of these settings is no other program.
            running.bind(str(control))
            running.listen()
            assert main(["check", "--config", str(path)]) == 0
            assert capsys.readouterr().err == ""
        control.unlink()
        assert main(["check", "--config", str(path)]) == 0
        assert capsys.readouterr().err == ""

    def test_a_gateway_with_other_settings_is_a_warning(self, tmp_path: Path, capsys: Output) -> None:
        """It answers where these settings would, as with a copy of its file: `run` would not start."""
        path, control = tmp_path / "g.yaml", tmp_path / "control.sock"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("127.0.0.1", 0))
            port = other.getsockname()[1]
            path.write_text(
                f"sip: {{listen: [udp:127.0.0.1:{port}]}}\n"
                "media: {rtp_address: 127.0.0.2}\n"
                f"control: {{socket: {control}}}"
            )

            async def check(answer: Json) -> str:
                async def status() -> dict[str, Json]:
                    return {"settings": answer}

                server = ControlServer(control, {"status": status})
                await server.start()
                assert await asyncio.to_thread(main, ["check", "--config", str(path)]) == 0
                await server.stop()
                return capsys.readouterr().err

            assert asyncio.run(check(str(path))) == ""
            warned = asyncio.run(check("/other.yaml"))
        assert warned == (
            f"{path}:3:19: control.socket: warning: a gateway with other settings (/other.yaml) answers on {control}; "
            "stop that one, or give this one a control.socket, sip.listen and media.rtp_ports of its own\n"
        )

    def test_an_address_that_is_not_this_machines_is_a_warning(self, tmp_path: Path, capsys: Output) -> None:
        path = tmp_path / "g.yaml"
        path.write_text(f"sip: {{listen: [udp:192.0.2.1]}}\ncontrol: {{socket: {tmp_path}/control.sock}}")
        assert main(["check", "--config", str(path)]) == 0
        assert (
            "sip.listen[0]: warning: this machine has no address 192.0.2.1; run ip address" in capsys.readouterr().err
        )

    def test_a_good_file(self, tmp_path: Path, capsys: Output) -> None:
        path = tmp_path / "g.yaml"
        path.write_text("trunks: {a: {registrar: localhost, user: u, password_env: NOT_SET_HERE}}")
        assert main(["check", "--config", str(path)]) == 0
        out, err = capsys.readouterr()
        assert out == f"{path}: no faults (1 trunk, 3 agents, 4 routes)\n"
        assert "warning: NOT_SET_HERE is not set here" in err

    def test_a_file_from_the_environment(self, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "g.yaml").write_text("sip: 5")
        monkeypatch.setenv("OFFHOOK_CONFIG", str(tmp_path / "g.yaml"))
        assert main(["check"]) == 1
        assert capsys.readouterr() == (
            "",
            f'{tmp_path}/g.yaml:1:6: sip: not a mapping, got "5"; write keys with values, such as key: value\n',
        )

    def test_faults_of_agents_and_dialplans_are_told_together(self, tmp_path: Path, capsys: Output) -> None:
        (tmp_path / "users_agents.py").write_text("class NoRun: ...\nclass Fine:\n    async def run(self, call): ...\n")
        (tmp_path / "d.yaml").write_text("routes: [{name: a, match: {trunk: x}, steps: [agent: nobody]}]")
        (tmp_path / "g.yaml").write_text(
            "dialplans: [d.yaml]\n"
            "agents:\n"
            "  a: {kind: python, class: users_agents:NoRun, directory: .}\n"
            "  b: {kind: python, class: users_agents:Gone, directory: .}\n"
            "  c: {kind: python, class: no_such_module:Any, directory: .}\n"
            "  d: {kind: python, class: users_agents:Fine, directory: ., options: {x: 1}}\n"
            "  e: {kind: python, class: users_agents:Fine, directory: .}\n"
        )
        assert main(["check", "--config", str(tmp_path / "g.yaml")]) == 1
        err = capsys.readouterr().err
        assert re.findall(r"^\S+/(\S+: \S+): ", err, re.MULTILINE) == [
            "g.yaml:3:28: agents.a.class",
            "g.yaml:4:28: agents.b.class",
            "g.yaml:5:28: agents.c.class",
            "g.yaml:6:70: agents.d.options",
            "d.yaml:1:35: routes[0].match.trunk",
            "d.yaml:1:54: routes[0].steps[0].agent.name",
        ]

    def test_a_route_that_a_model_may_go_to_must_be_there(self, tmp_path: Path, capsys: Output) -> None:
        (tmp_path / "d.yaml").write_text("routes: [{name: sales, match: {any: true}, steps: [agent: a]}]")
        (tmp_path / "g.yaml").write_text(
            "dialplans: [d.yaml]\n"
            "agents:\n"
            "  a: {kind: openai-realtime, tools: {go_to: {sales: wants to buy, support: has trouble}}}\n"
        )
        assert main(["check", "--config", str(tmp_path / "g.yaml")]) == 1
        err = capsys.readouterr().err
        assert "g.yaml:3:76: agents.a.tools.go_to.support: there is no route support; use one of sales" in err

    @pytest.fixture
    def told(self, tmp_path: Path, capsys: Output) -> Callable[[str, str], list[str]]:
        """Checks settings and a dialplan `d.yaml`; returns file, place and field of every fault."""
        (tmp_path / "users_agents.py").write_text("")

        def check(settings: str, dialplan: str) -> list[str]:
            (tmp_path / "d.yaml").write_text(dialplan)
            (tmp_path / "g.yaml").write_text(settings)
            assert main(["check", "--config", str(tmp_path / "g.yaml")]) == 1
            return re.findall(r"^\S+/(\S+: \S+): ", capsys.readouterr().err, re.MULTILINE)

        return check

    def test_faults_of_settings_agents_and_dialplans_are_told_together(
        self, told: Callable[[str, str], list[str]]
    ) -> None:
        assert told(
            "dialplans: [d.yaml, gone.yaml]\n"
            "sip: {codecs: [x], listen: [udp:0.0.0.0]}\n"
            "limits: {calls: many}\n"
            "trunks:\n"
            "  faulty: {registrar: a b, user: u}\n"
            "  right: {register: false, sources: [192.0.2.1]}\n"
            "agents:\n"
            "  faulty: {kind: toone}\n"
            "  gone: {kind: python, class: users_agents:Gone, directory: .}\n",
            "routes:\n"
            "  - {name: a, match: {trunk: [faulty, right, x]}, steps: [agent: nobody]}\n"
            "  - {name: b, match: {to: b}, steps: [agent: {name: faulty, on_busy: {goto: elsewhere}}]}\n"
            "  - {name: c, match: {to: c}, steps: [agent: gone, goto: d]}\n"
            "  - {name: d, steps: [agent: echo]}\n",
        ) == [
            "g.yaml:1:21: dialplans[1]",
            "g.yaml:2:16: sip.codecs[0]",
            "g.yaml:3:17: limits.calls",
            "g.yaml:5:23: trunks.faulty.registrar",
            "g.yaml:8:18: agents.faulty.kind",
            "g.yaml:9:31: agents.gone.class",
            "d.yaml:2:46: routes[0].match.trunk[2]",
            "d.yaml:2:66: routes[0].steps[0].agent.name",
        ]

    def test_settings_that_contradict_each_other_hide_no_other_faults(
        self, told: Callable[[str, str], list[str]]
    ) -> None:
        assert told(
            "dialplans: [d.yaml]\n"
            "sip: {listen: [udp:127.0.0.1]}\n"
            "log: {level: loud}\n"
            "trunks: {a: {registrar: localhost, user: u, transport: tcp}}\n",
            "routes: [{name: a, match: {any: true}, steps: [goto: b]}]",
        ) == ["g.yaml:3:14: log.level", "g.yaml:4:56: trunks.a.transport", "d.yaml:1:54: routes[0].steps[0].goto.route"]

    @pytest.mark.parametrize(
        ("settings", "field"),
        [
            ("agent: {bot: {kind: echo}}\ntrunks: {t: {register: false, sources: [h]}}", "agent"),
            ("trunk: {t: {}}\nagents: {bot: {kind: echo}}", "trunk"),
            ("agents: {x: {kind: echo}}\nagents: {bot: {kind: echo}}\ntrunks: {t: {sources: [h]}}", "agents"),
            ("agents: {b+ot: {kind: echo}}\ntrunks: {t+t: {register: false, sources: [h]}}", "agents.b+ot"),
            ("agents: []\ntrunks: []", "agents"),
        ],
    )
    def test_what_settings_name_elsewhere_or_otherwise_is_not_called_unknown(
        self, settings: str, field: str, told: Callable[[str, str], list[str]]
    ) -> None:
        found = told(f"dialplans: [d.yaml]\n{settings}", "routes: [{name: a, match: {trunk: t}, steps: [agent: bot]}]")
        assert found
        assert [fault for fault in found if not fault.startswith("g.yaml")] == []
        assert field in {fault.partition(" ")[2] for fault in found}

    @pytest.mark.parametrize("dialplans", ["5", "[]", "[gone.yaml]"])
    def test_dialplans_that_cannot_be_found_are_not_those_that_are_shipped(
        self, dialplans: str, told: Callable[[str, str], list[str]]
    ) -> None:
        assert {fault.partition(":")[0] for fault in told(f"dialplans: {dialplans}\nsip: 5", "routes: 5")} == {"g.yaml"}

    def test_a_missing_file(self, capsys: Output) -> None:
        assert main(["check", "--config", "/nonexistent/g.yaml"]) == 1
        assert capsys.readouterr().err.startswith("/nonexistent/g.yaml: cannot read the file: ")


class TestRoute:
    def test_text(self, capsys: Output) -> None:
        assert main(["route", "--to", "602", "--from", "+49", "--header", "X-Tier: gold"]) == 0
        out = capsys.readouterr().out
        assert out.startswith("call to 602 from +49, over no trunk\n  no    echo (default.yaml:")
        assert "TAKES welcome (default.yaml:" in out

    def test_json(self, capsys: Output) -> None:
        assert main(["route", "--to", "x", "--header", "X-A: 1", "--header", "x-a:2", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["route"] == "unknown-number"
        assert found["call"]["headers"] == {"x-a": ["1", "2"]}

    def test_an_unknown_trunk(self, tmp_path: Path, capsys: Output) -> None:
        path = tmp_path / "g.yaml"
        path.write_text("trunks: {carrier: {register: false, sources: [192.0.2.1]}}")
        assert main(["route", "--to", "x", "--trunk", "carier", "--config", str(path)]) == 1
        assert capsys.readouterr().err == '--trunk: there is no such trunk, got "carier"; did you mean "carrier"?\n'
        assert main(["route", "--to", "600", "--trunk", "carrier", "--config", str(path)]) == 0

    @pytest.mark.parametrize("header", ["X-Tier", ": gold", "X Tier: gold"])
    def test_a_header_needs_name_and_colon(self, header: str, capsys: Output) -> None:
        usage_error("route", "--to", "x", "--header", header)
        assert "write 'X-Tier: gold'" in capsys.readouterr().err

    @pytest.mark.parametrize("to", ["sip:600@192.0.2.1", "SIPS:600@h;x=1", '"A" <sip:600@h>', "tel:600", "600@h"])
    def test_a_number_may_be_written_as_a_uri(self, to: str, capsys: Output) -> None:
        assert main(["route", "--to", to, "--from", "sip:+49@h"]) == 0
        assert capsys.readouterr().out.startswith("call to 600 from +49, ")

    @pytest.mark.parametrize("option", ["--to", "--from"])
    def test_a_uri_without_a_user_is_no_number(self, option: str, capsys: Output) -> None:
        assert main(["route", "--to", "600", option, "sip:192.0.2.1"]) == 1
        assert capsys.readouterr() == (
            "",
            f'{option}: it has no user part, got "sip:192.0.2.1"; write 600 or sip:600@host\n',
        )

    def test_to_is_needed(self) -> None:
        usage_error("route")


class TestOthers:
    def test_a_reader_that_has_had_enough(self) -> None:
        program = "import sys; from gateway.cli import main; sys.exit(main(['route', '--to', '600']))"
        found = subprocess.run(
            ["/bin/sh", "-c", '"$0" -c "$1" | true', sys.executable, program],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert found.stderr == ""

    @pytest.mark.parametrize("both", [False, True])
    def test_a_full_disk_is_said_without_a_traceback(self, both: bool) -> None:
        program = "import sys; from gateway.cli import main; sys.exit(main(['route', '--to', '600']))"
        with Path("/dev/full").open("wb") as full:
            command = [sys.executable, "-c", program]
            stderr = full if both else subprocess.PIPE
            found = subprocess.run(command, cwd=ROOT, stdout=full, stderr=stderr, check=False, timeout=60)
        assert found.returncode == 1
        if not both:
            assert found.stderr == b"cannot write standard output: No space left on device\n"

    def test_version(self, capsys: Output) -> None:
        assert main(["version"]) == 0
        assert re.fullmatch(r"offhook \S+\n", capsys.readouterr().out)

    def test_version_names_the_commit_that_was_installed(
        self, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "prefix", str(tmp_path))
        (tmp_path / "share" / "offhook").mkdir(parents=True)
        (tmp_path / "share" / "offhook" / "commit").write_text("45d756c-dirty\n")
        assert main(["version"]) == 0
        assert re.fullmatch(r"offhook \d[\d.]*\+45d756c-dirty\n", capsys.readouterr().out)

    def test_version_looks_at_no_settings(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def denied(_path: Path) -> bool:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "exists", denied)
        assert main(["version"]) == 0

    @pytest.mark.parametrize("command", [["check"], ["status"], ["route", "--to", "600"]])
    def test_settings_that_may_not_be_read(
        self, command: list[str], capsys: Output, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def denied(_path: Path, _mode: str = "") -> bool:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "exists", denied)
        monkeypatch.setattr("gateway.settings.load.read_text", denied)
        monkeypatch.setattr("gateway.cli.settings_path", lambda chosen: settings_path(chosen, {}, Path("/etc/x.yaml")))
        assert main(command) == 1
        assert capsys.readouterr().err == (
            "/etc/x.yaml: cannot read the file: Permission denied; "
            "run this with sudo, or name another file with --config\n"
        )

    def test_status_needs_to_know_no_more_than_where_to_ask(self, tmp_path: Path, capsys: Output) -> None:
        path = tmp_path / "g.yaml"
        path.write_text(f"trunks: {{a: {{password_file: gone}}}}\ncontrol: {{socket: {tmp_path}/c}}\nlimits: 5\n")
        assert main(["status", "--config", str(path)]) == 1
        assert f"no gateway answers on {tmp_path}/c" in capsys.readouterr().err
        path.write_text(f"control: {{socket: {tmp_path}/c}}\nlimits: {{calls: [}}\n")
        assert main(["status", "--config", str(path)]) == 1
        assert f"no gateway answers on {tmp_path}/c" in capsys.readouterr().err
        path.write_text(f"limits: {{calls: [}}\ncontrol: {{socket: {tmp_path}/c}}\n")
        assert main(["status", "--config", str(path)]) == 1
        assert "not YAML" in capsys.readouterr().err
        path.write_text("control: {sockt: c}\n")
        assert main(["status", "--config", str(path)]) == 1
        assert capsys.readouterr().err == f'{path}:1:11: control.sockt: there is no such key; did you mean "socket"?\n'

    def test_usage(self) -> None:
        usage_error()
        usage_error("dance")

    @pytest.mark.parametrize("command", ["run", "status"])
    def test_run_and_status_get_the_path_and_the_arguments(
        self, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        module = ModuleType(f"gateway.cli.{command}")
        seen: list[object] = []

        def command_function(path: Path | None, args: argparse.Namespace) -> int:
            seen.append((path, args.command))
            return 7

        setattr(module, command, command_function)
        monkeypatch.setitem(sys.modules, f"gateway.cli.{command}", module)
        assert main([command, "--config", str(tmp_path)]) == 7
        assert main([command]) == 7
        assert seen == [(tmp_path, command), (None, command)]


def test_check_takes_the_file_as_it_is(tmp_path: Path, capsys: Output) -> None:
    file = tmp_path / "my.yaml"
    file.write_text("media: {rtp_prots: 1-2}")
    assert main(["check", str(file)]) == 1
    assert f"{file}:1:9: media.rtp_prots: there is no such key" in capsys.readouterr().err
    usage_error("check", str(file), "--config", str(file))
    assert "not allowed with argument --config" in capsys.readouterr().err
    usage_error("check", str(file), "other.yaml")
    assert "unrecognized arguments: other.yaml\n" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["run"], ["reload"], ["status"], ["version"], ["route", "--to", "600"]])
def test_other_commands_tell_how_to_name_the_file(command: list[str], capsys: Output) -> None:
    usage_error(*command, "my.yaml")
    assert "unrecognized arguments: my.yaml; name the settings file with --config my.yaml\n" in capsys.readouterr().err
    usage_error(*command, "--jsno")
    assert "unrecognized arguments: --jsno\n" in capsys.readouterr().err
