"""Names of trunks: who looks them up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.settings import Settings
from gateway.sip import from_settings
from gateway.sip.from_settings import endpoint_config, own_addresses
from gateway.sip.trunks.resolving import SystemResolver
from gateway.sip.trunks.trunks import Trunks
from tests.virtual_time import virtual

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.sip.config import EndpointConfig

HOSTS = "127.0.0.1 localhost\n::1 here.example\n192.0.2.7\tpbx.example pbx  # ours\n"


@pytest.fixture
def resolv_conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(from_settings, "_RESOLV_CONF", tmp_path / "resolv.conf")
    monkeypatch.setattr(from_settings, "_HOSTS", tmp_path / "hosts")
    (tmp_path / "hosts").write_text(HOSTS)
    return tmp_path / "resolv.conf"


def config(registrar: str, *nameservers: str, **trunk: str) -> EndpointConfig:
    found: list[EndpointConfig] = []

    @virtual
    async def main() -> None:
        sip = {"nameservers": list(nameservers)} if nameservers else {}
        settings = Settings.model_validate(
            {"sip": sip, "trunks": {"a": {"registrar": registrar, "user": "u", **trunk}}}
        )
        accounts = Trunks(settings.trunks, bytes(32), SystemResolver()).accounts()
        found.append(endpoint_config(settings, accounts, "Offhook"))

    main()
    return found[0]


def test_the_engine_knows_where_this_process_receives() -> None:
    sip = {"listen": ["udp:0.0.0.0:5060", "tcp:192.0.2.1:5070"], "public_address": "203.0.113.7"}
    assert own_addresses(Settings.model_validate({"sip": sip, "media": {"rtp_ports": "4000-4999"}})) == (
        ("0.0.0.0", 4000, 4999),
        ("0.0.0.0", 5060, 5060),
        ("192.0.2.1", 5070, 5070),
        ("203.0.113.7", 4000, 4999),
        ("203.0.113.7", 5060, 5060),
        ("203.0.113.7", 5070, 5070),
    )


def test_only_servers_that_pjsip_can_ask_are_named(resolv_conf: Path) -> None:
    resolv_conf.write_text("nameserver 2001:db8::1\nnameserver fe80::1%eth0\nnameserver 192.0.2.53\nsearch example\n")
    assert config("sip.example.com").nameservers == (("192.0.2.53", 53),)
    resolv_conf.write_text("nameserver 2001:db8::1\n")
    assert config("sip.example.com").nameservers == ()


def test_servers_are_asked_for_callers_names_too(resolv_conf: Path) -> None:
    resolv_conf.write_text("nameserver 192.0.2.53\n")
    assert config("192.0.2.1:5070").nameservers == (("192.0.2.53", 53),)
    assert config("192.0.2.1:5070").trunk_hosts == config("localhost").trunk_hosts == ()


def test_the_settings_name_servers_before_the_system(resolv_conf: Path) -> None:
    resolv_conf.write_text("nameserver 192.0.2.53\n")
    assert config("sip.example.com", "127.0.0.1:5353", "192.0.2.1").nameservers == (
        ("127.0.0.1", 5353),
        ("192.0.2.1", 53),
    )


def test_names_that_only_this_machine_knows_become_addresses(resolv_conf: Path) -> None:
    resolv_conf.write_text("nameserver 192.0.2.53\n")
    found = config("PBX.example:5070", proxy="sbc.example.com")
    (trunk,) = found.trunks
    assert trunk.registrar_uri == "sip:192.0.2.7:5070;transport=udp"
    assert trunk.proxy_uri == "<sip:sbc.example.com;transport=udp;lr>"
    assert trunk.domain == "pbx.example"
    assert found.trunk_hosts == ("sbc.example.com",)


@pytest.mark.parametrize(
    ("limits", "trunks", "strangers"),
    [({}, 0, 500), ({}, 1, 250), ({"calls": 1}, 1, 1), ({"strangers": 0}, 1, 0), ({"strangers": 7}, 0, 7)],
)
def test_strangers_leave_half_of_the_places_to_trunks(limits: dict[str, int], trunks: int, strangers: int) -> None:
    names = {f"trunk-{number}": {"registrar": "192.0.2.1", "user": "u"} for number in range(trunks)}
    assert Settings.model_validate({"limits": limits, "trunks": names}).strangers == strangers
