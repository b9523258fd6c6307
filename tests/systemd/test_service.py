"""Offhook as a systemd service: installed, started, called, reloaded, killed, stopped, upgraded, removed."""

from __future__ import annotations

import resource
import signal
import threading
import time
from typing import TYPE_CHECKING

import numpy as np

from tests.e2e.peers.caller import Caller
from tests.e2e.peers.process import wait_until
from tests.e2e.peers.sound import assert_tones, dominant_hz, level_dbfs, tone
from tests.systemd.service import NUMBER, SETTINGS, SOURCE, WHEELS

if TYPE_CHECKING:
    from tests.e2e.peers.kamailio import Kamailio
    from tests.systemd.service import Service

MAX_EXPOSURE = 20
"""Tenths of systemd-analyze's exposure level: 2.0 and less is "OK"."""
PLAN = "/etc/offhook/dialplans/default.yaml"
LIBRARY = "/tmp/library-1-py3-none-any.whl"
MAKE_LIBRARY = f"""
import zipfile
with zipfile.ZipFile("{LIBRARY}", "w") as wheel:
    wheel.writestr("library.py", "")
    wheel.writestr("library-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: library\\nVersion: 1\\n")
    wheel.writestr("library-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    wheel.writestr("library-1.dist-info/RECORD", "")
"""
AGENT = "import library\n\nclass Agent:\n    async def run(self, call):\n        pass\n"


def test_files_are_in_place(installed: Service) -> None:
    run = installed.container.run
    assert run("stat", "-c", "%U:%G %a", SETTINGS).stdout.strip() == "root:offhook 640"
    assert run("stat", "-c", "%U:%G %a", "/etc/offhook").stdout.strip() == "root:offhook 750"
    assert run("offhook", "version").stdout.startswith("offhook ")
    assert installed.show("UnitFileState") == "enabled"
    assert installed.show("ActiveState") == "inactive"
    run("systemd-analyze", "verify", "offhook.service")
    run("systemd-analyze", "security", "--no-pager", f"--threshold={MAX_EXPOSURE}", "offhook.service")


def test_sample_settings_and_dialplans_pass_the_check(installed: Service) -> None:
    installed.container.run("offhook", "check", "--config", f"{SOURCE}/systemd/gateway.yaml")


def test_start_returns_when_ready(service: Service) -> None:
    service.systemctl("restart")
    assert service.show("ActiveState") == "active"
    assert service.show("SubState") == "running"
    assert service.status()["state"] == "ready"
    assert service.show("WatchdogUSec") == "10s"
    assert service.container.run("ps", "-o", "user=", "-p", str(service.main_pid)).stdout.strip() == "offhook"


def test_status_is_for_root_and_the_group(service: Service) -> None:
    def status(group: str) -> tuple[int, str]:
        ask = ("setpriv", "--reuid=nobody", f"--regid={group}", "--clear-groups", "offhook", "status")
        done = service.container.run(*ask, check=False)
        return done.returncode, done.stdout + done.stderr

    code, said = status("nogroup")
    assert code == 1
    assert "run this with sudo" in said
    code, said = status("offhook")
    assert code == 0, said
    assert "carrier: registered" in said


def test_open_files_suffice(service: Service) -> None:
    assert service.show("LimitNOFILE") == "65536"
    # A machine may not let even root raise the limit.
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    limits = service.container.run("cat", f"/proc/{service.main_pid}/limits").stdout
    (line,) = [line for line in limits.splitlines() if line.startswith("Max open files")]
    assert int(line.split()[3]) == min(65536, allowed)


def test_registers_and_shows_it(service: Service, trunk: Kamailio) -> None:
    (contact,) = trunk.contacts("gateway")
    assert service.container.address in contact.uri
    trunks = service.status()["trunks"]
    assert isinstance(trunks, dict)
    assert trunks["carrier"]["state"] == "registered"


def test_caller_over_the_trunk_hears_the_agent(service: Service, trunk: Kamailio) -> None:
    with Caller((trunk.host, trunk.port), host=trunk.host) as caller:
        call = caller.dial(NUMBER)
        call.wait_answered(10)
        assert level_dbfs(call.wait_heard(2000)[8000:]) > -50
        call.hangup()
        ended = service.wait_log("call.ended", lambda line: line.get("to") == NUMBER)
    assert ended["trunk"] == "carrier"
    first = [line["event"] for line in service.log()[:2]]  # a container may refuse real time, which is said beside it
    assert "gateway.ready" in first


def test_echo_over_the_network(service: Service) -> None:
    with Caller((service.container.address, 5060), host=service.container.host_address) as caller:
        call = caller.dial("600")
        call.wait_answered()
        call.send(np.concatenate((tone(440, 600), tone(1000, 600))))
        assert_tones(call.wait_heard(1700), 8000, [440, 1000])
        call.hangup()


def test_reload_takes_a_new_dialplan_and_refuses_a_bad_one(service: Service) -> None:
    pid, plan = service.main_pid, service.container.read(PLAN)
    try:
        service.container.write(PLAN, plan.replace('"600"', '"699"'))
        service.systemctl("reload")
        service.wait_log("dialplan.reloaded")
        with Caller((service.container.address, 5060), host=service.container.host_address) as caller:
            caller.dial("699").wait_answered()
            assert caller.dial("600").wait_rejected().status == 404
            service.container.write(PLAN, plan.replace("steps:", "stps:"))
            refused = service.systemctl("reload", check=False)
            assert refused.returncode != 0
            service.wait_log("dialplan.refused")
            assert 'did you mean "steps"?' in service.journal()
            assert service.show("ActiveState") == "active"
            caller.dial("699").wait_answered()
    finally:
        service.container.write(PLAN, plan)
        service.systemctl("reload")
    assert service.main_pid == pid


def test_the_journal_knows_each_lines_priority(service: Service) -> None:
    def found(priority: str, unit: str = "_SYSTEMD_UNIT=offhook.service") -> str:
        return service.container.run("journalctl", "--no-pager", "-o", "cat", "-p", priority, unit).stdout

    assert "gateway.ready" in found("info..info")
    assert "gateway.ready" not in found("warning")
    assert "dialplan.refused" in found("err")


def test_killed_gateway_is_back_within_5_s(service: Service, trunk: Kamailio) -> None:
    pid, before = service.main_pid, len(trunk.registrations())
    service.container.kill(pid, signal.SIGKILL)
    wait_until(lambda: service.main_pid not in {0, pid}, "a new gateway", 5)
    wait_until(lambda: 200 in {one.status for one in trunk.registrations()[before:]}, "it registers", 5)
    with Caller((trunk.host, trunk.port), host=trunk.host) as caller:
        caller.dial(NUMBER).wait_answered(5)


def test_hanging_gateway_is_replaced_by_the_watchdog(service: Service, trunk: Kamailio) -> None:
    pid, before = service.main_pid, len(trunk.registrations())
    service.container.kill(pid, signal.SIGSTOP)
    wait_until(lambda: service.main_pid not in {0, pid}, "a new gateway", 30, every_s=0.5)
    wait_until(lambda: 200 in {one.status for one in trunk.registrations()[before:]}, "it registers", 5)


def test_stop_drains_and_unregisters(service: Service, trunk: Kamailio) -> None:
    with Caller((service.container.address, 5060), host=service.container.host_address) as caller:
        call = caller.dial("601")
        call.wait_answered()
        stopping = threading.Thread(target=service.systemctl, args=("stop",))
        stopping.start()
        wait_until(lambda: service.status()["state"] == "draining", "it drains", 5)
        refused = caller.dial("601").wait_rejected()
        assert (refused.status, refused.header("Retry-After")) == (503, "10")
        since_s = time.monotonic()
        assert abs(dominant_hz(call.wait_heard(1000, since_s), 8000) - 440) < 5
        assert call.hangup() == 200
        stopping.join(20)
    assert service.show("Result") == "success"
    assert service.show("ExecMainStatus") == "0"
    trunk.wait_unregistered("gateway")
    assert service.log()[-1]["event"] == "gateway.stopped"


def test_faulty_settings_are_reported_and_not_tried_again(service: Service) -> None:
    service.systemctl("stop")
    settings = service.container.read(SETTINGS)
    try:
        service.container.write(SETTINGS, settings.replace("drain_timeout", "drain_timout"))
        assert service.systemctl("start", check=False).returncode != 0
        wait_until(lambda: service.show("ActiveState") == "failed", "the unit has failed", 5)
        assert "drain_timeout" in service.journal()
        assert service.show("NRestarts") == "0"
    finally:
        service.container.write(SETTINGS, settings)


def test_upgrade_keeps_the_configuration_and_restarts(service: Service, trunk: Kamailio) -> None:
    pid, settings = service.main_pid, service.container.read(SETTINGS)
    said = service.install()
    assert "restarting" in said
    assert service.container.read(SETTINGS) == settings
    assert service.container.exists(f"{SETTINGS}.new")
    assert service.main_pid not in {0, pid}
    trunk.wait_registered("gateway")


def test_failed_upgrade_leaves_the_old_program(service: Service) -> None:
    pid = service.main_pid
    done = service.container.run("/usr/src/offhook/systemd/install.sh", "/usr/src/offhook/dialplans", check=False)
    assert done.returncode == 1
    assert "make wheels" in done.stderr
    assert service.main_pid == pid
    assert service.container.run("offhook", "version").returncode == 0


def test_upgrade_that_does_not_take_the_configuration_leaves_the_old_program(service: Service) -> None:
    pid, settings = service.main_pid, service.container.read(SETTINGS)
    pip = ("/opt/offhook/bin/python", "-m", "pip", "install", "-q", "--no-index")
    run = service.container.run
    run("python3", "-c", MAKE_LIBRARY)
    run("install", "-m", "0640", "-g", "offhook", "/dev/null", "/etc/offhook/agents/own.py")
    service.container.write("/etc/offhook/agents/own.py", AGENT)
    with_agent = f"{settings}agents: {{own: {{kind: python, class: 'own:Agent', directory: agents}}}}\n"
    try:
        service.container.write(SETTINGS, with_agent)
        run(*pip, LIBRARY)
        run("offhook", "check")
        said = refused_upgrade(service)
        install = "sudo /opt/offhook/bin/python -m pip install --target /etc/offhook/agents library"
        assert f"'own' imports 'library', which is not installed: {install}" in said
        service.container.write(SETTINGS, settings.replace("drain_timeout", "drain_timout"))
        assert 'did you mean "drain_timeout"?' in refused_upgrade(service)
        assert service.main_pid == pid
        service.container.write(SETTINGS, with_agent)
        run("offhook", "check")  # the old program still has it
        run(*pip, "--target", "/etc/offhook/agents", LIBRARY)
        service.install()
        assert service.main_pid not in {0, pid}
        run("offhook", "check")
        service.container.write(SETTINGS, settings.replace("drain_timeout", "drain_timout"))
        run(f"{SOURCE}/systemd/install.sh", WHEELS, "--unchecked", check=False, deadline_s=120)
        assert service.main_pid == 0
    finally:
        service.container.write(SETTINGS, settings)


def refused_upgrade(service: Service) -> str:
    done = service.container.run(f"{SOURCE}/systemd/install.sh", WHEELS, check=False, deadline_s=120)
    assert done.returncode == 1
    assert "the old one stays" in done.stderr
    assert not service.container.exists("/opt/offhook.new")
    return done.stderr


def test_uninstall(service: Service) -> None:
    service.install("uninstall")
    assert service.systemctl("status", check=False).returncode == 4
    assert not service.container.exists("/opt/offhook")
    assert service.container.exists(SETTINGS)
    service.install("uninstall", "--purge")
    assert not service.container.exists("/etc/offhook")
    assert service.container.run("id", "offhook", check=False).returncode == 1
