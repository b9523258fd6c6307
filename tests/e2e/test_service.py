"""The gateway as a service: started, reloaded, drained, killed, and told to start on what cannot work."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.gateway_process import OFFHOOK, ROUTES, GatewayProcess, Object, Setup, to_agent
from tests.e2e.listening import assert_heard
from tests.e2e.peers.caller import Caller
from tests.e2e.peers.kamailio import Kamailio
from tests.e2e.peers.process import wait_until
from tests.e2e.peers.sound import tone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BACK_S = 5.0
MISCONFIGURED = 78
"""EX_CONFIG of sysexits(3)."""
NUMBER = "+15550100"


@pytest.fixture
def unstarted() -> Iterator[GatewayProcess]:
    gateway = GatewayProcess()
    yield gateway
    gateway.close()


def reject(code: int, name: str = "refusal") -> Object:
    return {"name": name, "match": {"any": True}, "steps": [{"reject": code}]}


def test_reload_takes_a_good_dialplan_and_keeps_the_old_one_for_a_bad() -> None:
    with GatewayProcess(Setup(routes=(reject(480),))) as gateway, Caller(gateway.address) as caller:

        def answer() -> int | None:
            return caller.dial("600").wait_rejected().status

        assert answer() == 480
        gateway.write_dialplan((reject(486),))
        gateway.reload()
        gateway.wait_event("dialplan.reloaded", routes=1)
        assert answer() == 486
        gateway.write_dialplan(({**reject(403), "stepps": []},))
        gateway.reload()
        problem = str(gateway.wait_event("dialplan.refused")["problem"])
        assert re.search(r"dialplan\.yaml:\d+:\d+: .*stepps", problem), problem
        assert answer() == 486
        gateway.dialplan_path.unlink()
        gateway.reload()
        wait_until(lambda: len(gateway.events("dialplan.refused")) >= 2, "the missing file is refused", 5)
        assert answer() == 486
        gateway.write_dialplan((reject(404, "another"), reject(480, "never")))
        gateway.reload()
        wait_until(lambda: len(gateway.events("dialplan.reloaded")) == 2, "the fixed dialplan is read", 5)
        assert answer() == 404
        assert "no call reaches it" in str(gateway.wait_event("configuration.doubtful")["problem"])


def test_whoever_asks_for_a_reload_is_told_what_came_of_it(unstarted: GatewayProcess) -> None:
    nobody = unstarted.command("reload")
    assert nobody.returncode == 1
    assert "no gateway answers" in nobody.stderr
    unstarted.start()
    unstarted.write_dialplan((reject(486), reject(480, "never")))
    taken = unstarted.command("reload")
    assert (taken.returncode, taken.stdout) == (0, f"{unstarted.config_path}: reloaded, 2 routes\n")
    assert "no call reaches it" in taken.stderr
    unstarted.write_dialplan(({**reject(403), "stepps": []},))
    refused = unstarted.command("reload")
    assert refused.returncode == 1
    assert re.search(r"dialplan\.yaml:\d+:\d+: .*stepps", refused.stderr)
    assert "the old ones stay in force" in refused.stderr
    with Caller(unstarted.address) as caller:
        assert caller.dial("600").wait_rejected().status == 486
    unstarted.finish()


def test_a_live_call_outlasts_a_reload() -> None:
    with GatewayProcess() as gateway, Caller(gateway.address) as caller:
        call = caller.dial("601")
        call.wait_answered()
        gateway.write_dialplan((reject(480),))
        gateway.reload()
        gateway.wait_event("dialplan.reloaded")
        since_s = time.monotonic()
        assert_heard(call.wait_heard(400, since_s), [440])
        assert call.hangup() == 200


def test_drains_at_sigterm() -> None:
    with GatewayProcess(Setup(limits={"drain_timeout": "20s", "retry_after": "9s"})) as gateway:
        with Caller(gateway.address) as caller:
            call = caller.dial("600")
            call.wait_answered()
            gateway.terminate()
            wait_until(lambda: gateway.status()["state"] == "draining", "it drains", 5)
            late = caller.dial("600")
            refusal = late.wait_rejected()
            assert (refusal.status, refusal.header("Retry-After")) == (503, "9")
            assert gateway.wait_event("call.refused", call_id=late.call_id)["why"] == "draining"
            assert caller.request("OPTIONS").status == 200
            since_s = time.monotonic()
            call.send(tone(440, 500))
            assert_heard(call.wait_heard(700, since_s), [440])
            assert gateway.process.running
            assert call.hangup() == 200
            assert gateway.process.wait(5) == 0
        assert gateway.record(call.call_id)["cause"] == "caller-hung-up"


def test_ends_the_calls_that_outlast_the_drain() -> None:
    with GatewayProcess(Setup(limits={"drain_timeout": "500ms"})) as gateway, Caller(gateway.address) as caller:
        calls = [caller.dial(number) for number in ("600", "601")]
        for call in calls:
            call.wait_answered()
        gateway.terminate()
        assert [call.wait_ended(5) for call in calls] == ["them", "them"]
        assert gateway.process.wait(5) == 0
        for call in calls:
            record = gateway.record(call.call_id)
            assert (record["cause"], record["ended_by"]) == ("shutdown", "gateway")


def test_a_terminal_that_is_closed_ends_what_runs_on_it(unstarted: GatewayProcess) -> None:
    terminal, its_end = os.openpty()
    command = [OFFHOOK, "run", "--config", str(unstarted.config_path)]

    def begin() -> None:
        os.login_tty(its_end)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # these tests may run under nohup

    with subprocess.Popen(command, preexec_fn=begin) as process:  # noqa: PLW1509 - one thread
        try:
            os.close(its_end)
            wait_until(lambda: answers(unstarted), "the gateway is ready", 20)
            process.send_signal(signal.SIGHUP)  # a reload, as long as the terminal is there
            assert unstarted.command("reload").returncode == 0
            assert answers(unstarted)
            os.close(terminal)
            assert process.wait(15) == 0
        finally:
            process.kill()


def answers(gateway: GatewayProcess) -> bool:
    try:
        return gateway.status()["state"] == "ready"
    except OSError:
        return False


def test_a_second_signal_ends_the_drain() -> None:
    with GatewayProcess(Setup(limits={"drain_timeout": "50s"})) as gateway, Caller(gateway.address) as caller:
        call = caller.dial("601")
        call.wait_answered()
        gateway.terminate()
        gateway.wait_event("gateway.draining")
        gateway.terminate()
        assert call.wait_ended(3) == "them"
        assert gateway.process.wait(5) == 0
        assert gateway.events("gateway.hurried", calls=1)
        assert gateway.record(call.call_id)["cause"] == "shutdown"


def test_maximum_duration() -> None:
    with GatewayProcess(Setup(limits={"max_duration": "1s"})) as gateway, Caller(gateway.address) as caller:
        call = caller.dial("601")
        call.wait_answered()
        assert call.wait_ended(5) == "them"
        record = gateway.record(call.call_id)
        assert (record["cause"], record["ended_by"]) == ("max-duration", "gateway")
        assert record["duration_s"] == pytest.approx(1, abs=0.3)


def test_setup_timeout() -> None:
    route: Object = {"name": "rings", "match": {"any": True}, "steps": ["ring", {"pause": "1m"}]}
    with GatewayProcess(Setup((route,), limits={"setup_timeout": "700ms"})) as gateway:
        with Caller(gateway.address) as caller:
            call = caller.dial("600")
            call.wait_status(180)
            assert call.wait_rejected().status == 480
        record = gateway.record(call.call_id)
        assert (record["cause"], record["ended_by"], record["code"]) == ("setup-timeout", "gateway", 480)


def test_killed_and_started_again(tmp_path: Path) -> None:
    """As a service, which keeps what its Contact carries: the registrar rings no Contact of the killed one."""
    trunk = {"registrar": "", "user": "gateway", "password": "secret", "expires": "60s"}
    with Kamailio({"gateway": "secret"}, {NUMBER: "gateway"}) as carrier:
        setup = Setup(
            (to_agent(NUMBER, "echo"),),
            trunks={"carrier": {**trunk, "registrar": carrier.address}},
            environment={"STATE_DIRECTORY": str(tmp_path)},
        )
        with GatewayProcess(setup) as gateway, Caller((carrier.host, carrier.port)) as caller:
            gateway.wait_trunk("registered")
            lost = caller.dial(NUMBER)
            lost.wait_answered()
            gateway.kill()
            lost.stream.halt()
            lost.ended_by = "them"  # nobody is left to answer a BYE
            began = len(carrier.registrations())
            began_s = time.monotonic()
            gateway.process.log_path.rename(gateway.directory / "log-of-the-killed")
            gateway.start()
            gateway.wait_trunk("registered", deadline_s=BACK_S)
            call = caller.dial(NUMBER)
            call.wait_answered()
            assert time.monotonic() - began_s < BACK_S
            assert 200 in [answered.status for answered in carrier.registrations()[began:]]
            call.send(tone(440, 400))
            assert_heard(call.wait_heard(600), [440])
            assert len(carrier.contacts("gateway")) == 1
            assert call.hangup() == 200
            assert gateway.record(call.call_id)["trunk"] == "carrier"


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM], ids=["udp", "tcp"])
def test_port_taken(unstarted: GatewayProcess, kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(unstarted.address)
        if kind == socket.SOCK_STREAM:
            taken.listen()
        unstarted.launch()
        assert unstarted.process.wait(10) == 1
    log = unstarted.process.log()
    options = "-lnup" if kind == socket.SOCK_DGRAM else "-lntp"
    assert (
        f"sip.listen: cannot receive SIP on {'tcp' if options == '-lntp' else 'udp'}:127.0.0.1:{unstarted.port}: "
        in log
    )
    assert (
        f"sudo ss {options} 'sport = :{unstarted.port}' shows which program uses it; stop it, or choose another" in log
    )
    assert "Traceback" not in log
    assert not (unstarted.directory / "control").exists()


def test_an_rtp_address_of_another_machine() -> None:
    gateway = GatewayProcess(Setup(media={"rtp_address": "192.0.2.1"}))
    try:
        gateway.launch()
        assert gateway.process.wait(10) == 1
        assert "media.rtp_address: cannot receive RTP on 192.0.2.1" in gateway.process.log()
        assert "Traceback" not in gateway.process.log()
    finally:
        gateway.close()


def test_two_gateways_on_one_control_socket(unstarted: GatewayProcess) -> None:
    unstarted.start()
    second = GatewayProcess()
    try:
        config = json.loads(second.config_path.read_text())
        config["control"]["socket"] = str(unstarted.directory / "control")
        second.config_path.write_text(json.dumps(config))
        second.launch()
        assert second.process.wait(10) == 1
        assert "another gateway answers on it" in second.process.log()
        assert unstarted.status()["state"] == "ready"
    finally:
        second.close()
    unstarted.finish()


def test_bad_settings(unstarted: GatewayProcess) -> None:
    unstarted.config_path.write_text("sip:\n  listen: [udp:127.0.0.1:99999]\n  codexs: [PCMU]\nlimits: {calls: many}\n")
    unstarted.launch()
    assert unstarted.process.wait(10) == MISCONFIGURED
    log = unstarted.process.log()
    for where in (":2:", ":3:", ":4:"):
        assert f"gateway.yaml{where}" in log, log
    assert "codecs" in log, "it suggests the right key"
    assert "Traceback" not in log


def test_bad_yaml(unstarted: GatewayProcess) -> None:
    unstarted.config_path.write_text("sip: [unclosed\n")
    unstarted.launch()
    assert unstarted.process.wait(10) == MISCONFIGURED
    log = unstarted.process.log()
    assert re.search(r"gateway\.yaml:\d+:\d+: ", log), log
    assert "Traceback" not in log


def test_a_route_to_an_agent_that_is_not_there(unstarted: GatewayProcess) -> None:
    unstarted.write_dialplan((*ROUTES, to_agent("602", "ecoh")))
    unstarted.launch()
    assert unstarted.process.wait(10) == MISCONFIGURED
    assert re.search(r"dialplan\.yaml:\d+:\d+: .*ecoh.*echo", unstarted.process.log()), unstarted.process.log()


def test_status_as_an_administrator_sees_it(unstarted: GatewayProcess) -> None:
    nobody = unstarted.command("status")
    assert nobody.returncode == 1
    assert "no gateway answers" in nobody.stderr
    unstarted.start()
    with Caller(unstarted.address) as caller:
        call = caller.dial("600")
        call.wait_answered()
        said = json.loads(unstarted.command("status", "--json").stdout)
        assert (said["state"], said["calls"]["live"], said["agents"]["echo"]["calls"]) == ("ready", 1, 1)
        assert said["process"]["pid"] == unstarted.pid
        assert said["settings"] == str(unstarted.config_path)
        text = unstarted.command("status").stdout
        assert f"settings {unstarted.config_path}\n" in text
        assert re.search(r"calls +1 of 500", text)
        assert re.search(r"agent +echo: 1 calls", text)
        assert call.hangup() == 200
    unstarted.finish()
