"""Builds the configuration of the SIP endpoint and of the media engine from the settings."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from gateway.sip.config import EndpointConfig, ListenAddress, TrunkAccount
from gateway.sip.trunks.resolving import in_hosts
from media import _engine

if TYPE_CHECKING:
    from gateway.settings import Settings

_log = structlog.get_logger("sip")

_RESOLV_CONF = Path("/etc/resolv.conf")
_HOSTS = Path("/etc/hosts")
_HOST = re.compile(r"^(<?sip:)([^:;>]*)(.*)$")
_NO_SERVER = f"{_RESOLV_CONF} has no IPv4 name server; set sip.nameservers, or use IP addresses for the trunks' hosts"
_DNS_PORT = 53
_NEVER_MS = 2**40
_SPARE_CALLS = 64
"""Places in PJSIP in addition to 1.5 times `limits.calls`. They are for ended calls that wait for an answer to their
BYE: new calls find a place even when many calls end at once."""


def endpoint_config(settings: Settings, trunks: tuple[TrunkAccount, ...], user_agent: str) -> EndpointConfig:
    """The endpoint's configuration."""
    sip, media = settings.sip, settings.media
    own = tuple(_with_addresses(trunk) for trunk in trunks)
    names = _names(own)
    return EndpointConfig(
        transports=tuple(ListenAddress(one.transport, str(one.address), one.port) for one in sip.listen),
        public_address=str(sip.public_address) if sip.public_address is not None else None,
        rtp_address=str(settings.rtp_address),
        rtp_first_port=media.rtp_ports.first,
        rtp_last_port=media.rtp_ports.last,
        user_agent=sip.user_agent or user_agent,
        codecs=sip.codecs,
        jitter_buffer_ms=max(200, media.reorder_ms + 160),
        calls=settings.limits.calls,
        call_places=settings.limits.calls * 3 // 2 + _SPARE_CALLS,
        places_kept=max(settings.limits.calls - settings.strangers, 0) + _SPARE_CALLS // 2,
        retry_after_s=round(settings.limits.retry_after_s),
        trunks=own,
        nameservers=_nameservers(settings, names),
        trunk_hosts=names,
        behind_nat=sip.behind_nat,
    )


def tuning(settings: Settings) -> _engine.Tuning:
    """The media engine's waiting times, and our own addresses."""
    no_media_s = settings.media.no_media_timeout_s
    return _engine.Tuning(
        reorder_ms=settings.media.reorder_ms,
        fill_after_ms=settings.media.reorder_ms + 20,
        silent_after_ms=round(no_media_s * 1000) if no_media_s > 0 else _NEVER_MS,
        own=own_addresses(settings),
    )


def own_addresses(settings: Settings) -> tuple[tuple[str, int, int], ...]:
    """Where we receive packets, as local and as public addresses: address, first and last port."""
    sip, media = settings.sip, settings.media
    own = [(settings.rtp_address, media.rtp_ports.first, media.rtp_ports.last)]
    own += [(one.address, one.port, one.port) for one in sip.listen]
    if sip.public_address is not None:
        own += [(sip.public_address, first, last) for _, first, last in own]
    return tuple((str(address), first, last) for address, first, last in own)


def named_servers(settings: Settings) -> tuple[tuple[str, int], ...]:
    """Address and port of the name servers in the settings."""
    return tuple((server.host, server.port or _DNS_PORT) for server in settings.sip.nameservers or ())


def _names(trunks: tuple[TrunkAccount, ...]) -> tuple[str, ...]:
    """Host names (not addresses) of registrars and proxies."""
    uris = [uri for trunk in trunks for uri in (trunk.registrar_uri, trunk.proxy_uri) if uri is not None]
    return tuple(name for uri in uris if (name := _HOST.sub(r"\2", uri)) and not _is_ipv4(name))


def _nameservers(settings: Settings, names: tuple[str, ...]) -> tuple[tuple[str, int], ...]:
    """Name servers of the settings, or else the system's. PJSIP asks them itself: no call waits for the system."""
    if settings.sip.nameservers is not None:
        return named_servers(settings)
    servers = re.findall(r"^nameserver\s+(\S+)", _text(_RESOLV_CONF), re.MULTILINE)
    usable = tuple((server, _DNS_PORT) for server in servers if _is_ipv4(server))[:3]
    if names and not usable:
        _log.warning("sip.no_name_server", names=names, why=_NO_SERVER)
    return usable


def _with_addresses(trunk: TrunkAccount) -> TrunkAccount:
    """The trunk with addresses in place of host names from /etc/hosts: PJSIP asks only name servers."""
    return replace(trunk, registrar_uri=_with_address(trunk.registrar_uri), proxy_uri=_with_address(trunk.proxy_uri))


def _with_address(uri: str | None) -> str | None:
    if uri is None:
        return None
    return _HOST.sub(lambda found: f"{found[1]}{_in_hosts(found[2]) or found[2]}{found[3]}", uri)


def _in_hosts(name: str) -> str | None:
    """The first IPv4 address of a name in /etc/hosts."""
    found = (str(network.network_address) for network in in_hosts(_HOSTS, name) if network.version == 4)
    return next(found, "127.0.0.1" if name == "localhost" else None)


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _is_ipv4(host: str) -> bool:
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True
