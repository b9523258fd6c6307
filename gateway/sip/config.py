"""The endpoint's configuration, and its translation to PJSIP's own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pjsua2 as pj

if TYPE_CHECKING:
    from gateway.sip.nat import BehindNat


_OTHER_MEDIA_PORTS = 72
"""Ports of the conference bridge beyond one per call: its own, and those of calls that are being refused."""


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """One address to take SIP on."""

    protocol: str
    """ "udp" or "tcp"."""
    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Rtp:
    """Where calls receive RTP: all accounts take turns in one range, so that a port rests after its call."""

    address: str
    public_address: str | None
    first_port: int
    last_port: int


@dataclass(frozen=True, slots=True)
class TrunkAccount:
    """What PJSIP must know to register with a trunk. Built from the settings by the gateway."""

    name: str
    user: str
    domain: str
    registrar_uri: str | None
    """ "sip:host:port;transport=udp", or None when the trunk wants no registration."""
    proxy_uri: str | None
    digest_user: str
    password: str | None = field(repr=False)
    realm: str
    expires_s: int
    line: str
    """The `line` parameter of the trunk's Contact. It tells the INVITEs of trunks with the same hosts apart."""


@dataclass(frozen=True, slots=True)
class EndpointConfig:
    """What the endpoint is started with. Built from the settings by the gateway."""

    transports: tuple[ListenAddress, ...]
    public_address: str | None
    rtp_address: str
    rtp_first_port: int
    rtp_last_port: int
    user_agent: str
    codecs: tuple[str, ...]
    """Preferred first, by encoding name; no other is offered or accepted."""
    jitter_buffer_ms: int
    """Capacity in ms. The engine empties it as packets arrive; only what waits for an overtaken packet stays."""
    calls: int
    """The most calls at once; the next one is answered 503."""
    call_places: int
    """PJSIP's own limit. It is higher: an ended call keeps its place until the peer answers the BYE, for up to 32 s."""
    retry_after_s: int
    """Retry-After of that 503, in seconds."""
    trunks: tuple[TrunkAccount, ...]
    nameservers: tuple[tuple[str, int], ...]
    """IPv4 address and port of each; without any, no name is looked up."""
    behind_nat: BehindNat
    trunk_hosts: tuple[str, ...]
    """Names of registrars and proxies; all other names come from strangers."""
    log_level: int = 2
    """PJSIP's log level: 1 errors, 2 warnings, 3 each call, 4 and 5 traces."""


def pjsip_config(config: EndpointConfig) -> pj.EpConfig:
    """All of PJSIP's own settings that are not its defaults."""
    endpoint = pj.EpConfig()
    agent = endpoint.uaConfig
    agent.maxCalls = config.call_places
    agent.threadCnt = 0
    agent.mainThreadOnly = True
    agent.userAgent = config.user_agent
    endpoint.logConfig.level = config.log_level
    endpoint.logConfig.consoleLevel = 0
    endpoint.logConfig.msgLogging = config.log_level >= 5
    media = endpoint.medConfig
    media.clockRate = 8000
    media.sndClockRate = 8000
    media.sndAutoCloseTime = -1  # with no call, too, the null device's clock must run the bridge's queue
    media.maxMediaPorts = config.calls + _OTHER_MEDIA_PORTS
    media.threadCnt = 1
    media.hasIoqueue = True
    media.noVad = True  # silence is sent: a NAT's binding stays open, and the other side's clock steady
    media.ecTailLen = 0
    media.jbInit = media.jbMinPre = 0
    media.jbMaxPre = 1
    media.jbMax = config.jitter_buffer_ms
    media.jbDiscardAlgo = pj.PJMEDIA_JB_DISCARD_NONE
    return endpoint
