"""The endpoint's configuration, and its translation to PJSIP's configuration."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pjsua2 as pj

if TYPE_CHECKING:
    from gateway.sip.nat import BehindNat


_OTHER_MEDIA_PORTS = 72
"""Ports of the conference bridge in addition to one per call: its own, and those of calls that are being refused."""


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """One address on which SIP is received."""

    protocol: str
    """ "udp" or "tcp"."""
    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Rtp:
    """Where calls receive RTP. All accounts share one range, so that a port is not reused soon after its call."""

    address: str
    public_address: str | None
    first_port: int
    last_port: int


@dataclass(frozen=True, slots=True)
class TrunkAccount:
    """What PJSIP needs to register with a trunk. The gateway builds it from the settings."""

    name: str
    user: str
    domain: str
    registrar_uri: str | None
    """ "sip:host:port;transport=udp", or None when the trunk does not register."""
    proxy_uri: str | None
    digest_user: str
    password: str | None = field(repr=False)
    realm: str
    expires_s: int
    line: str
    """The `line` parameter of the trunk's Contact. It distinguishes the INVITEs of trunks with the same hosts."""


@dataclass(frozen=True, slots=True)
class EndpointConfig:
    """The configuration with which the endpoint starts. The gateway builds it from the settings."""

    transports: tuple[ListenAddress, ...]
    public_address: str | None
    rtp_address: str
    rtp_first_port: int
    rtp_last_port: int
    user_agent: str
    codecs: tuple[str, ...]
    """Encoding names in order of preference; no other codec is offered or accepted."""
    jitter_buffer_ms: int
    """Capacity in ms. The engine empties it as packets arrive; packets stay only to wait for an earlier, late one."""
    calls: int
    """The maximum number of calls at once; any further call is answered 503."""
    call_places: int
    """PJSIP's own limit. It is higher: an ended call keeps its place until the peer answers the BYE, for up to 32 s."""
    places_kept: int
    """How many of PJSIP's places are only for trunks, if there are any."""
    retry_after_s: int
    """Retry-After of that 503, in seconds."""
    trunks: tuple[TrunkAccount, ...]
    nameservers: tuple[tuple[str, int], ...]
    """IPv4 address and port of each; if there is none, no name is looked up."""
    behind_nat: BehindNat
    trunk_hosts: tuple[str, ...]
    """Names of registrars and proxies. Look-ups of all other names are limited: strangers can choose them."""
    log_level: int = 2
    """PJSIP's log level: 1 errors, 2 warnings, 3 each call, 4 and 5 traces."""


def pjsip_config(config: EndpointConfig) -> pj.EpConfig:
    """All settings of PJSIP that differ from its defaults."""
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
    media.sndAutoCloseTime = -1  # the null device's clock runs the bridge's queue, without calls too
    media.maxMediaPorts = config.calls + _OTHER_MEDIA_PORTS
    media.threadCnt = 1
    media.hasIoqueue = True
    media.noVad = True  # silence is sent: it keeps NAT bindings open, and the peer's clock steady
    media.ecTailLen = 0
    media.jbInit = media.jbMinPre = 0
    media.jbMaxPre = 1
    media.jbMax = config.jitter_buffer_ms
    media.jbDiscardAlgo = pj.PJMEDIA_JB_DISCARD_NONE
    return endpoint
