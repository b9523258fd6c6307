"""From the settings to what the SIP endpoint and the media engine are started with."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.settings.model import MAX_CALLS
from gateway.sip.endpoint import EndpointConfig, Transport
from media import _engine

if TYPE_CHECKING:
    from gateway.settings import Settings
    from gateway.sip.account import TrunkAccount

_RESOLV_CONF = Path("/etc/resolv.conf")
_NEVER_MS = 2**40
_SPARE_CALLS = 64
"""Beyond the limit, so that PJSIP hands us the call that we refuse with 503 and Retry-After."""


def endpoint_config(settings: Settings, trunks: tuple[TrunkAccount, ...], user_agent: str) -> EndpointConfig:
    """What PJSIP needs, out of gateway.yaml."""
    sip, media = settings.sip, settings.media
    return EndpointConfig(
        transports=tuple(Transport(one.transport, str(one.address), one.port) for one in sip.listen),
        public_address=str(sip.public_address) if sip.public_address is not None else None,
        rtp_address=str(media.rtp_address if media.rtp_address is not None else sip.listen[0].address),
        rtp_first_port=media.rtp_ports.first,
        rtp_last_port=media.rtp_ports.last,
        user_agent=sip.user_agent or user_agent,
        codecs=sip.codecs,
        max_calls=min(settings.limits.calls + _SPARE_CALLS, MAX_CALLS),
        trunks=trunks,
        nameservers=_nameservers(trunks),
    )


def tuning(settings: Settings) -> _engine.Tuning:
    """How long the media engine waits for what."""
    no_media_s = settings.media.no_media_timeout_s
    return _engine.Tuning(
        reorder_ms=settings.media.reorder_ms,
        fill_after_ms=settings.media.reorder_ms + 40,
        silent_after_ms=round(no_media_s * 1000) if no_media_s > 0 else _NEVER_MS,
    )


def _nameservers(trunks: tuple[TrunkAccount, ...]) -> tuple[str, ...]:
    """The system's name servers, for PJSIP to ask without blocking, when a trunk is named and not numbered."""
    uris = [uri for trunk in trunks for uri in (trunk.registrar_uri, trunk.proxy_uri) if uri is not None]
    if all(_is_address(uri) for uri in uris):
        return ()
    try:
        text = _RESOLV_CONF.read_text()
    except OSError:
        return ()
    return tuple(re.findall(r"^nameserver\s+([0-9.]+)", text, re.MULTILINE))[:3]


def _is_address(uri: str) -> bool:
    host = re.sub(r"^<?sip:(\[[^]]*\]|[^:;>]*).*", r"\1", uri).strip("[]")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return True
