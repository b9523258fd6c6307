"""The kinds of value that settings and dialplans share: durations, addresses, hosts, port ranges."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator

from gateway.settings.validation import fault

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Transport: TypeAlias = Literal["udp", "tcp"]

SIP_PORT = 5060
MAX_PORT = 65535
MAX_DURATION_S = 7 * 24 * 3600
MAX_TEXT = 1024
MAX_HOSTNAME = 253

_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|s|m|h)")
_UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
_USER = re.compile(r"(?:[A-Za-z0-9._!~*'()&=+$,;?/-]|%[0-9A-Fa-f]{2})+")
_HOSTNAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*\.?")


class Model(BaseModel):
    """The base of all settings: frozen, unknown keys are errors, errors do not show values (they may be secret)."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, hide_input_in_errors=True, validate_default=True
    )

    @model_validator(mode="before")
    @classmethod
    def _nothing_is_default(cls, value: object) -> object:
        """Treat a key without a value as absent, for example when everything below it is commented out."""
        if not isinstance(value, dict):
            return value
        known = {field.alias or name for name, field in cls.model_fields.items()}
        return {key: item for key, item in value.items() if item is not None or key not in known}


def duration_ms(text: str) -> float:
    """Milliseconds of `120ms`, `5s`, `1.5s`, `30m` or `4h`.

    Raises:
        PydanticCustomError: it is none of these, or longer than a week.
    """
    written = _DURATION.fullmatch(text.strip())
    if written is None:
        raise fault("not a duration", "write a number and a unit: 120ms, 5s, 30m or 4h")
    milliseconds = float(written[1]) * _UNIT_MS[written[2]]
    if milliseconds > MAX_DURATION_S * 1000:
        raise fault("longer than a week", "write at most 168h")
    return milliseconds


def _seconds(value: object) -> object:
    # A number comes from a default in the code or from a test; a value from a file is always text.
    return value if isinstance(value, float) else duration_ms(_text(value)) / 1000


def _milliseconds(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    milliseconds = duration_ms(_text(value))
    if milliseconds != int(milliseconds):
        raise fault("more precise than a millisecond", "write whole milliseconds, such as 120ms")
    return int(milliseconds)


def _positive(value: object) -> object:
    if value == 0:
        raise fault("must be longer than zero", "write a longer duration, such as 5s")
    return value


Seconds: TypeAlias = Annotated[float, BeforeValidator(_seconds)]
"""A duration in the file, a float of seconds in the program; zero is allowed."""
Milliseconds: TypeAlias = Annotated[int, BeforeValidator(_milliseconds)]
"""A duration in the file, whole milliseconds in the program; zero is allowed."""
PositiveSeconds: TypeAlias = Annotated[float, BeforeValidator(lambda value: _positive(_seconds(value)))]
"""Like `Seconds`, but zero is not allowed."""


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise fault("not a single value", "write one value on one line")
    return value


def _word(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = str(value).strip()
    if not text:
        raise fault("it is empty", "write something, or remove the key")
    if len(text) > MAX_TEXT:
        raise fault(f"longer than {MAX_TEXT} characters", "shorten it")
    if not text.isprintable():
        raise fault("it contains a control character or a line break", "write printable characters on one line")
    return text


Text: TypeAlias = Annotated[str, BeforeValidator(_word)]
"""Printable text on one line, not empty. It cannot add lines to a SIP header."""


def is_name(text: str) -> bool:
    """Whether the text can be the name of a trunk, an agent or a route."""
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text) is not None


def name(text: str) -> str:
    """The name of a trunk, an agent or a route.

    Raises:
        PydanticCustomError: the text cannot be a name.
    """
    if not is_name(text):
        raise fault("not a name", "use letters, digits, dot, dash and underscore, at most 64, a letter or digit first")
    return str(text)


def _name(value: object) -> object:
    return name(value) if isinstance(value, str) else value


Name: TypeAlias = Annotated[str, BeforeValidator(_name)]
"""The name of a trunk, an agent or a route, in files and logs."""


def address(text: str) -> Address:
    """An IP address.

    Raises:
        PydanticCustomError: it is not one.
    """
    try:
        return ipaddress.ip_address(text.strip().removeprefix("[").removesuffix("]"))
    except ValueError:
        raise fault("not an IP address", "write an IPv4 address, such as 192.0.2.10") from None


def _own_address(value: object) -> object:
    own = address(value) if isinstance(value, str) else value
    if isinstance(own, ipaddress.IPv6Address):
        raise fault("IPv6 is not supported yet", "use an IPv4 address of this machine, or 0.0.0.0")
    return own


OwnAddress: TypeAlias = Annotated[ipaddress.IPv4Address, BeforeValidator(_own_address)]
"""An IPv4 address of this machine: PJSIP is built without IPv6."""


@dataclass(frozen=True, slots=True)
class HostPort:
    """Host and port of a SIP peer; without a port, DNS or the default port decides."""

    host: str
    """A name, or an IP address without brackets."""
    port: int | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"


def host_port(text: str) -> HostPort:
    """`sip.example.com`, `192.0.2.1:5070` or `[2001:db8::1]:5060`; a leading `sip:` is ignored.

    Raises:
        PydanticCustomError: it is none of these.
    """
    rest = text.strip().removeprefix("sip:")
    if "/" in rest or ";" in rest:
        raise fault(
            "it contains more than a host and a port", "write only these, such as sip.example.com or 192.0.2.1:5060"
        )
    if rest.count(":") > 1 and not rest.startswith("["):
        return HostPort(str(address(rest)))
    written = re.fullmatch(r"(\[[^\]]*\]|[^:\[\]]+)(?::([^:]*))?", rest)
    if written is None:
        raise fault("not a host", "write a name or address, such as sip.example.com or 192.0.2.1:5060")
    host = written[1]
    return HostPort(
        str(address(host)) if host.startswith("[") else hostname(host),
        None if written[2] is None else port(written[2]),
    )


def hostname(text: str) -> str:
    """A host's name or IPv4 address. Only its form is checked: nothing is looked up.

    Raises:
        PydanticCustomError: it is neither of them.
    """
    if re.fullmatch(r"[0-9.]+", text):
        return str(address(text))
    if len(text) > MAX_HOSTNAME or not _HOSTNAME.fullmatch(text):
        raise fault("not a host name", "write a name or address, such as sip.example.com or 192.0.2.1")
    return text.lower()


def port(text: str) -> int:
    """A port number.

    Raises:
        PydanticCustomError: it is not in 1..65535.
    """
    if not re.fullmatch(r"[0-9]{1,5}", text.strip()) or not 1 <= int(text) <= MAX_PORT:
        raise fault(f"not a port between 1 and {MAX_PORT}", f"write a port such as {SIP_PORT}")
    return int(text)


def _peer(value: object) -> object:
    peer = host_port(value) if isinstance(value, str) else value
    if isinstance(peer, HostPort) and ":" in peer.host:
        raise fault("IPv6 is not supported yet", "use the peer's name, or its IPv4 address")
    return peer


def _domain(value: object) -> object:
    return str(_peer(value)) if isinstance(value, str) else value


def _user(value: object) -> object:
    text = _word(value)
    if not isinstance(text, str):
        return text
    user, at, domain = text.partition("@")
    if at and _USER.fullmatch(user):
        fix = f"write user: {user} and domain: {domain}, and the whole text as auth_user"
        raise fault("it contains a domain", fix)
    if not _USER.fullmatch(text):
        raise fault(
            "not the user of a SIP address",
            "write only letters, digits and +-_.!~*'()&=$,;?/, and escape others, such as %20 for a space",
        )
    return text


def _name_server(value: object) -> object:
    if not isinstance(value, str):
        return value
    server = host_port(value)
    try:
        ipaddress.IPv4Address(server.host)
    except ValueError:
        raise fault("not an IPv4 address", "write one such as 192.0.2.53 or 127.0.0.1:5353") from None
    return server


def _port(value: object) -> object:
    return port(value) if isinstance(value, str) else value


Peer: TypeAlias = Annotated[HostPort, BeforeValidator(_peer)]
"""Where a SIP peer is, in a form that PJSIP can reach."""
NameServer: TypeAlias = Annotated[HostPort, BeforeValidator(_name_server)]
"""An IPv4 address, and a port if it is not 53."""
Domain: TypeAlias = Annotated[str, BeforeValidator(_domain)]
"""The part after the @ of an account's address."""
User: TypeAlias = Annotated[str, BeforeValidator(_user)]
"""The part before the @ of an account's address (RFC 3261 section 25.1)."""
Port: TypeAlias = Annotated[int, BeforeValidator(_port)]


@dataclass(frozen=True, slots=True)
class PortRange:
    """UDP ports from `first` to `last`, both included."""

    first: int
    last: int

    @property
    def calls(self) -> int:
        """How many calls fit: each takes a pair, RTP and RTCP."""
        return (self.last - self.first + 1) // 2

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"


def _port_range(value: object) -> object:
    if not isinstance(value, str):
        return value
    written = re.fullmatch(r"\s*([0-9]+)\s*-\s*([0-9]+)\s*", value)
    if written is None:
        raise fault("not a range of ports", "write first and last port, such as 20000-39999")
    ports = PortRange(port(written[1]), port(written[2]))
    if ports.first >= ports.last:
        raise fault("the range is empty", "write the lower port first, such as 20000-39999")
    return ports


Ports: TypeAlias = Annotated[PortRange, BeforeValidator(_port_range)]


def _source(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = value.strip()
    if "/" in text:
        try:
            return ipaddress.ip_network(text)
        except ValueError as error:
            fix = "write the network's own address, such as 192.0.2.0/24"
            raise fault(f"not a network: {error}", fix) from None
    if ":" in text or re.fullmatch(r"[0-9.]+", text):
        return ipaddress.ip_network(address(text))
    return hostname(text)


Source: TypeAlias = Annotated[ipaddress.IPv4Network | ipaddress.IPv6Network | str, BeforeValidator(_source)]
"""Where INVITEs of a trunk come from: a network (a single address is a network of one), or a name to look up."""
