"""What the endpoint needs before calls can arrive: its sockets, its codecs, its capacity. SIP thread only."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pjsua2 as pj

from gateway.sip.errors import SipStartError, listen_fix
from media import _engine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.sip.config import EndpointConfig, ListenAddress

_OS_ERRORS = 120000
"""What PJLIB adds to an errno (PJ_ERRNO_START_SYS)."""
_UNACKNOWLEDGED_MS = 30_000
"""A connection on which a keep-alive stays unacknowledged for so long is lost; the kernel would try for 15 minutes."""
_OPUS_RATE_HZ = 16000
"""The rate that recognisers use; at 48 kHz a call costs three times the memory and CPU, and no agent benefits."""


def check_capacity(config: EndpointConfig) -> None:
    """Check that PJSIP was built for enough calls: libInit reduces the number without an error.

    Raises:
        SipStartError: it was built for fewer calls.
    """
    granted = _engine.max_calls()
    if granted < config.call_places:
        msg = (
            f"limits.calls: {config.calls} calls need {config.call_places} places in PJSIP, "
            f"which was built for {granted}; lower limits.calls"
        )
        raise SipStartError(msg)


def check_rtp_address(config: EndpointConfig) -> None:
    """Check that RTP can be received.

    Raises:
        SipStartError: the address is not this machine's.
    """
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((config.rtp_address, 0))
    except OSError as error:
        msg = (
            f"media.rtp_address: cannot receive RTP on {config.rtp_address}: {error.strerror}; "
            "use an address of this machine, or 0.0.0.0, and set sip.public_address to the address that others see"
        )
        raise SipStartError(msg) from error


def bind(endpoint: pj.Endpoint, transport: ListenAddress, public_address: str | None) -> None:
    """Receive SIP on one address.

    Raises:
        SipStartError: the address or port cannot be used.
    """
    config = pj.TransportConfig()
    config.boundAddress = transport.address
    config.port = transport.port
    if public_address is not None:
        config.publicAddress = public_address
    kind = pj.PJSIP_TRANSPORT_TCP if transport.protocol == "tcp" else pj.PJSIP_TRANSPORT_UDP
    if ":" in transport.address:
        kind |= pj.PJSIP_TRANSPORT_IPV6
    if transport.protocol == "tcp":
        timeout = pj.SockOpt()
        timeout.level, timeout.optName = socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT
        timeout.setOptValInt(_UNACKNOWLEDGED_MS)
        config.sockOptParams.sockOpts.append(timeout)
    try:
        endpoint.transportCreate(kind, config)
    except pj.Error as error:
        fix = listen_fix(error.status - _OS_ERRORS, transport.protocol, transport.port)
        where = f"{transport.protocol}:{transport.address}:{transport.port}"
        msg = f"sip.listen: cannot receive SIP on {where}: {error.reason}{'; ' if fix else ''}{fix}"
        raise SipStartError(msg) from error


def set_codecs(endpoint: pj.Endpoint, names: Sequence[str]) -> None:
    """Offer and accept only these codecs, by encoding name, in this order of preference."""
    wanted = [name.lower() for name in names]
    for codec in endpoint.codecEnum2():
        name = codec.codecId.split("/", 1)[0].lower()
        priority = 255 - wanted.index(name) if name in wanted else 0
        endpoint.codecSetPriority(codec.codecId, priority)
        if name in wanted:
            _tune_codec(endpoint, codec.codecId, is_opus=name == "opus")


def _tune_codec(endpoint: pj.Endpoint, codec_id: str, *, is_opus: bool) -> None:
    if is_opus:
        opus = endpoint.getCodecOpusConfig()
        opus.sample_rate = _OPUS_RATE_HZ
        opus.channel_cnt = 1
        endpoint.setCodecOpusConfig(opus)
    parameters = endpoint.codecGetParam(codec_id)
    if is_opus:
        mono = pj.CodecFmtp()  # RFC 7587 section 6.1; without it PJSIP would answer a stereo offer with stereo
        mono.name, mono.val = "sprop-stereo", "0"
        parameters.setting.decFmtp.append(mono)
    else:
        parameters.setting.plc = False  # the engine conceals losses itself, without PJMEDIA's delay of 5 ms
    endpoint.codecSetParam(codec_id, parameters)
