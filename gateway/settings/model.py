"""gateway.yaml as frozen models. The sample, systemd/gateway.yaml, describes each option."""

from __future__ import annotations

import os
import re
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, field_validator

from gateway.settings.context import AnyPath, ExistingFile
from gateway.settings.shipped import BUILT_IN_AGENTS, DEFAULT_DIALPLAN
from gateway.settings.trunks import Trunk
from gateway.settings.validation import fault
from gateway.settings.values import (
    SIP_PORT,
    Milliseconds,
    Model,
    Name,
    NameServer,
    OwnAddress,
    Port,
    PortRange,
    Ports,
    PositiveSeconds,
    Seconds,
    Text,
    Transport,
)

MAX_CALLS = 4000
"""PJSIP is compiled for more, since calls that are refused, or that have just ended, need a place too."""
MAX_TRUNKS = 63
"""The number of accounts that PJSIP is compiled for, minus one for calls that do not come over a trunk."""

LOOPBACK = IPv4Address("127.0.0.1")
ANY_ADDRESS = IPv4Address("0.0.0.0")  # noqa: S104 - only compared, not listened on
CODECS = ("opus", "G722", "PCMU", "PCMA", "speex")
Codec: TypeAlias = Literal["opus", "G722", "PCMU", "PCMA", "speex"]


MAX_SOCKET_PATH = 107
"""unix(7): `sun_path` has 108 bytes, the last one is 0."""


class Listen(Model):
    """One address and transport on which SIP is received."""

    transport: Transport = "udp"
    address: OwnAddress
    port: Port = SIP_PORT

    def __str__(self) -> str:
        return f"{self.transport}:{self.address}:{self.port}"


def _listen(value: object) -> object:
    """Read the short form: `udp:127.0.0.1:5060`, `tcp:0.0.0.0`."""
    if not isinstance(value, str):
        return value
    transport, _, rest = value.partition(":")
    if re.fullmatch(r"[0-9.*\[]*", transport):
        raise fault("the transport is missing", f"write it as udp:{value} and, for TCP, tcp:{value}")
    host, _, port = rest.rpartition(":") if not rest.endswith("]") and rest.count(":") else (rest, "", "")
    if not host or (":" in host and not host.startswith("[")):
        raise fault("not transport:address:port", "write it as udp:0.0.0.0:5060 or tcp:0.0.0.0")
    written = {"transport": transport.strip().lower(), "address": host}
    return {**written, "port": port} if port else written


def _codec(value: object) -> object:
    if isinstance(value, str):
        folded = {codec.casefold(): codec for codec in CODECS}
        return folded.get(value.strip().casefold(), str(value))
    return value


class Sip(Model):
    """Signalling."""

    listen: tuple[Annotated[Listen, BeforeValidator(_listen)], ...] = Field(
        default=(Listen(address=LOOPBACK), Listen(transport="tcp", address=LOOPBACK)), min_length=1
    )
    public_address: OwnAddress | None = None
    nameservers: Annotated[tuple[NameServer, ...], Field(max_length=8)] | None = None
    """Name servers for SIP peers; None: the system's, an empty list: none."""
    behind_nat: Literal["auto", "always", "never"] = "auto"
    """Whether requests within a call go to the source address of its INVITE, and not to its Contact."""
    user_agent: Text | None = None
    # Wideband first, if the trunk offers it: it helps speech recognition most, and costs a few microseconds per frame.
    # Then what every trunk supports. Opus last: it costs about ten times the CPU of G.722 and no PSTN trunk needs it.
    codecs: tuple[Annotated[Codec, BeforeValidator(_codec)], ...] = Field(
        default=("G722", "PCMU", "PCMA", "opus"), min_length=1
    )

    @field_validator("codecs")
    @classmethod
    def _codecs_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _once(value)

    @field_validator("listen")
    @classmethod
    def _listen_once(cls, value: tuple[Listen, ...]) -> tuple[Listen, ...]:
        _once(tuple(str(one) for one in value))
        return value


def _once(values: tuple[str, ...]) -> tuple[str, ...]:
    twice = next((value for value in values if values.count(value) > 1), None)
    if twice is not None:
        raise fault(f"{twice} is listed twice", "remove one of them")
    return values


def _within_a_second(milliseconds: int) -> int:
    if milliseconds > 1000:
        raise fault("longer than a second", "write at most 1s; 40ms suits most networks")
    return milliseconds


class Media(Model):
    """RTP."""

    rtp_address: OwnAddress | None = None
    """Where RTP is received; None: see `Settings.rtp_address`."""
    rtp_ports: Ports = PortRange(20000, 39999)
    no_media_timeout_s: Seconds = Field(default=60.0, alias="no_media_timeout")
    """A call without RTP for this long is ended; on hold, its peer is asked with OPTIONS first. 0: never."""
    reorder_ms: Annotated[Milliseconds, AfterValidator(_within_a_second)] = Field(default=40, alias="reorder")
    """How long a packet waits for an earlier one that is late."""
    first_packet_wait_s: Seconds = Field(default=0.3, alias="first_packet_wait")
    """How long playout waits for RTP from a caller that may be behind a NAT; 0: it does not wait."""
    clock_threads: Annotated[int, Field(ge=1, le=16)] = 1


class Limits(Model):
    """How much the gateway accepts."""

    calls: Annotated[int, Field(ge=1, le=MAX_CALLS)] = 500
    strangers: Annotated[int, Field(ge=0, le=MAX_CALLS)] | None = None
    """How many of these calls may come without a trunk; None: see `Settings.strangers`."""
    max_duration_s: PositiveSeconds = Field(default=4 * 3600.0, alias="max_duration")
    setup_timeout_s: PositiveSeconds = Field(default=60.0, alias="setup_timeout")
    """From INVITE to answer."""
    drain_timeout_s: Seconds = Field(default=60.0, alias="drain_timeout")
    retry_after_s: PositiveSeconds = Field(default=10.0, alias="retry_after")


def _socket(path: Path) -> Path:
    if len(os.fsencode(path)) > MAX_SOCKET_PATH:
        raise fault(
            f"the path is longer than {MAX_SOCKET_PATH} bytes",
            "choose a shorter one, such as /run/offhook/control.sock",
        )
    return path


class Control(Model):
    """The local socket that `offhook status` connects to."""

    socket: Annotated[AnyPath, AfterValidator(_socket)] | None = None
    """None: `control_socket` chooses the path."""


class Log(Model):
    """What is logged, and in which format."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "console", "json"] = "auto"


def _built_in(value: object) -> object:
    """Add the built-in agents. A file can replace one of them with an agent of the same name."""
    return {**BUILT_IN_AGENTS, **value} if isinstance(value, dict) else value


def _few_enough(trunks: dict[str, Trunk]) -> dict[str, Trunk]:
    if len(trunks) > MAX_TRUNKS:
        raise fault(f"{len(trunks)} trunks are more than {MAX_TRUNKS}", "move some of them to another gateway")
    return trunks


class Settings(Model):
    """All of gateway.yaml. `Settings.model_validate({})` is the embedded default."""

    sip: Sip = Sip()
    media: Media = Media()
    limits: Limits = Limits()
    trunks: Annotated[dict[Name, Trunk], AfterValidator(_few_enough)] = Field(default_factory=dict)
    agents: Annotated[dict[Name, dict[str, Any]], BeforeValidator(_built_in)] = Field(default_factory=dict)
    """As written; each kind of agent validates its own options (`gateway.agents.kinds`)."""
    dialplans: tuple[ExistingFile, ...] = Field(default=(DEFAULT_DIALPLAN,), min_length=1)
    control: Control = Control()
    log: Log = Log()

    @property
    def strangers(self) -> int:
        """How many calls without a trunk are accepted at once: by default half of all calls if there are trunks."""
        limits = self.limits
        if limits.strangers is not None:
            return limits.strangers
        return (limits.calls + 1) // 2 if self.trunks else limits.calls

    @property
    def rtp_address(self) -> IPv4Address:
        """Where RTP is received: by default on the address of SIP, or on 0.0.0.0 if SIP has several."""
        if self.media.rtp_address is not None:
            return self.media.rtp_address
        addresses = {one.address for one in self.sip.listen}
        return addresses.pop() if len(addresses) == 1 else IPv4Address(0)
