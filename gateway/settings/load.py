"""Loads gateway.yaml into `Settings`, or reports every fault in it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from gateway.settings.context import FileContext
from gateway.settings.document import Document, parse, read_text
from gateway.settings.model import ANY_ADDRESS, Control, Listen, Settings
from gateway.settings.partial import SettingsError, partial_settings
from gateway.settings.problem import Problem
from gateway.settings.service import SYSTEM_DIRECTORY, exposed, is_system, unseen_by_service
from gateway.settings.validation import problems

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gateway.settings.document import PathStep
    from gateway.settings.trunks import Trunk

SYSTEM_FILE = SYSTEM_DIRECTORY / "gateway.yaml"
PATH_VARIABLE = "OFFHOOK_CONFIG"
_VARIABLE = re.compile(r"\$[A-Za-z_][A-Za-z0-9_]*|\$\{[A-Za-z_][A-Za-z0-9_]*\}")
_SERVICE_SOCKET = Path("/run/offhook/control.sock")


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings that can be used, and warnings."""

    settings: Settings
    warnings: tuple[Problem, ...]
    source: Path | None
    """The file, absolute; None for the embedded default."""
    document: Document
    context: FileContext
    """The context in which it was validated."""

    def problem(self, path: Sequence[PathStep], message: str, fix: str | None = None) -> Problem:
        """A problem with the value at a path of the file, found after loading."""
        return self.document.problem(path, message, fix)


def settings_path(
    chosen: Path | None, environment: Mapping[str, str] = os.environ, system: Path = SYSTEM_FILE
) -> Path | None:
    """The file to use: the chosen one, else $OFFHOOK_CONFIG, else the system's file if it exists, else none.

    If we may not search the system's directory, the file is assumed to exist: reading it then fails with the reason.
    """
    if chosen is not None:
        return chosen
    if environment.get(PATH_VARIABLE):
        return Path(environment[PATH_VARIABLE])
    try:
        return system if system.exists() else None
    except PermissionError:
        return system


def load_settings(path: Path | None, *, environment: Mapping[str, str] = os.environ, offline: bool = False) -> Loaded:
    """Read and check a settings file; None is the embedded default.

    Args:
        path: the file; relative paths in it start at its directory.
        environment: where password_env and systemd's credentials are looked up.
        offline: accept missing secrets if only the service can see them.

    Raises:
        SettingsError: with every fault that was found.
    """
    if path is None:
        return load_text("", "embedded default", FileContext(environment=environment, offline=offline))
    path = path.absolute()
    loaded = load_text(_read(path), str(path), FileContext(path.parent, environment, offline))
    found = [*loaded.warnings, *exposed(loaded.settings, loaded.document, path)]
    if offline and is_system(path):
        found += unseen_by_service(loaded.settings, loaded.document, path)
    return replace(loaded, source=path, warnings=tuple(found))


def _read(path: Path) -> str:
    try:
        return read_text(path)
    except OSError as error:
        fix = "create it, or name another file with --config"
        if isinstance(error, IsADirectoryError):
            fix = "name a file with --config, such as gateway.yaml"
        if isinstance(error, PermissionError):
            fix = "run this with sudo, or name another file with --config"
        message = f"cannot read the file: {error.strerror}"
        raise SettingsError([Problem(str(path), None, "", message, None, fix)]) from None
    except ValueError as error:
        message, _, fix = str(error).partition("; ")
        raise SettingsError([Problem(str(path), None, "", message, None, fix)]) from None


def load_text(text: str, name: str, context: FileContext) -> Loaded:
    """Like `load_settings`, for text that has already been read; messages show `name` as the file.

    Raises:
        SettingsError: with every fault that was found.
    """
    document = parse(text, name)
    if not document.usable:
        raise SettingsError(document.problems)
    data = {} if document.root.content is None else document.data()
    found = list(document.problems)
    try:
        settings = Settings.model_validate(data, context=context)
    except ValidationError as error:
        found += problems(error, Settings, document)
        partial = partial_settings(document, context)
        found += _contradictions(Loaded(partial.settings, (), None, document, context))
        raise SettingsError(found, partial) from None
    loaded = Loaded(settings, (), None, document, context)
    found += _contradictions(loaded)
    if found:
        raise SettingsError(found, partial_settings(document, context))
    return replace(loaded, warnings=tuple(_warnings(loaded)))


def load_control(path: Path | None) -> Control:
    """Read the section `control` of a settings file, even if other sections are faulty.

    Raises:
        SettingsError: the file cannot be read, or the section is faulty.
    """
    if path is None:
        return Control()
    path = path.absolute()
    document = parse(_read(path), str(path))
    data = document.data()
    section = data.get("control") if isinstance(data, dict) else None
    if section is None and not document.usable:
        raise SettingsError(document.problems)
    try:
        return Control.model_validate({} if section is None else section, context=FileContext(path.parent))
    except ValidationError as error:
        raise SettingsError(problems(error, Control, document, ("control",))) from None


def service_socket(path: Path | None, control: Control) -> Path:
    """The control socket of the gateway that uses a settings file. The system's file belongs to the service."""
    if control.socket is None and path is not None and is_system(path.absolute()):
        return _SERVICE_SOCKET
    return control_socket(control)


def control_socket(control: Control, environment: Mapping[str, str] = os.environ) -> Path:
    """Where the control socket is: as configured, else in the service's, root's or the user's runtime directory."""
    if control.socket is not None:
        return control.socket
    if environment.get("RUNTIME_DIRECTORY"):
        return Path(environment["RUNTIME_DIRECTORY"].split(":")[0]) / "control.sock"
    if os.geteuid() == 0:
        return _SERVICE_SOCKET
    if environment.get("XDG_RUNTIME_DIR"):
        return Path(environment["XDG_RUNTIME_DIR"]) / "offhook" / "control.sock"
    return Path(f"/tmp/offhook-{os.geteuid()}/control.sock")  # noqa: S108 - the server checks the directory's owner


def _contradictions(loaded: Loaded) -> Iterator[Problem]:
    """Settings that are valid one by one, but cannot work together."""
    settings = loaded.settings
    yield from _overlapping(loaded)
    available = {one.transport for one in settings.sip.listen}
    for name, trunk in settings.trunks.items():
        if trunk.transport not in available and (trunk.register_ or trunk.proxy):
            yield loaded.problem(
                ("trunks", name, "transport"),
                f"{trunk.transport} is not available, sip.listen has no address for it",
                f"add {trunk.transport}:0.0.0.0:5060 to sip.listen, or change the trunk's transport",
            )


def _overlapping(loaded: Loaded) -> Iterator[Problem]:
    """Listen addresses that 0.0.0.0 with the same port already includes."""
    listen = loaded.settings.sip.listen
    for index, one in enumerate(listen):
        wide = Listen(transport=one.transport, address=ANY_ADDRESS, port=one.port)
        if one != wide and wide in listen:
            yield loaded.problem(
                ("sip", "listen", index), f"{wide} already includes this address", "remove one of them"
            )


def _warnings(loaded: Loaded) -> Iterator[Problem]:
    """Settings that work, but probably not as intended."""
    settings = loaded.settings
    yield from _rtp_over_sip(loaded)
    ports, calls = settings.media.rtp_ports, settings.limits.calls
    if ports.calls < calls:
        yield loaded.problem(
            ("media", "rtp_ports"),
            f"warning: {ports} is enough for {ports.calls} calls, limits.calls is {calls}",
            "widen the range, or lower limits.calls",
        )
    unreached = [problem for name, trunk in settings.trunks.items() for problem in _out_of_reach(loaded, name, trunk)]
    yield from unreached or _without_audio(loaded)
    yield from _variables(loaded)
    yield from _same_account(loaded)
    for name, trunk in settings.trunks.items():
        if trunk.password is None:
            yield from _no_password(loaded, name, trunk)


def _rtp_over_sip(loaded: Loaded) -> Iterator[Problem]:
    """A range of RTP ports that includes a SIP port."""
    sip, media = loaded.settings.sip, loaded.settings.media
    rtp = loaded.settings.rtp_address
    for one in sip.listen:
        same = ANY_ADDRESS in {rtp, one.address} or rtp == one.address
        if one.transport == "udp" and same and media.rtp_ports.first <= one.port <= media.rtp_ports.last:
            message = f"warning: {media.rtp_ports} includes {one.port}, which SIP uses"
            yield loaded.problem(("media", "rtp_ports"), message, "choose a range without it, such as 20000-39999")


def _variables(loaded: Loaded) -> Iterator[Problem]:
    """Values such as $SECRET: nothing puts the variable's value in their place."""
    for path, text in loaded.document.scalars():
        if _VARIABLE.fullmatch(text):
            # Not shown: it may be a secret that only looks like one.
            message = "warning: it looks like a shell's variable, but is taken as it is written"
            is_password = bool(path) and path[-1] == "password"
            fix = "write password_env: and the variable's name without $" if is_password else "write the value itself"
            yield loaded.problem(path, message, fix)


def _same_account(loaded: Loaded) -> Iterator[Problem]:
    """Trunks that register one account twice: a call to it may come over either of them, or over both."""
    first: dict[tuple[object, ...], str] = {}
    for name, trunk in loaded.settings.trunks.items():
        if trunk.register_:
            other = first.setdefault((trunk.registrar, trunk.account_domain, trunk.user), name)
            if other != name:
                message = f"warning: {other} registers the same account, and a call to it may come over either of them"
                yield loaded.problem(("trunks", name, "user"), message, "remove one of the trunks, or correct its user")


def _remote_hosts(trunk: Trunk) -> Iterator[tuple[str, str]]:
    """Each key that names a host other than this machine, and the host."""
    hosts = [("registrar", trunk.registrar), ("proxy", trunk.proxy)]
    yield from ((key, str(peer)) for key, peer in hosts if peer is not None and not _is_local(peer.host))
    for source in trunk.sources:
        if not (_is_local(source) if isinstance(source, str) else source.is_loopback):
            yield "sources", str(source)


def _out_of_reach(loaded: Loaded, name: str, trunk: Trunk) -> Iterator[Problem]:
    """A trunk on another machine that cannot reach the addresses we listen on, or gets a loopback address from us."""
    key, host = next(_remote_hosts(trunk), (None, None))
    if key is None:
        return
    listen = loaded.settings.sip.listen
    at = ("trunks", name, key)
    first = next((one for one in listen if one.transport == trunk.transport), listen[0])
    if all(one.address.is_loopback for one in listen):
        message = f"warning: {host} cannot reach us, sip.listen has loopback addresses only"
        yield loaded.problem(at, message, "add listen: [udp:0.0.0.0:5060] to sip")
    elif key == "registrar" and first.address.is_loopback:
        message = f"warning: {host} cannot reach us, the first {first.transport} address of sip.listen is {first}"
        yield loaded.problem(at, message, "put an address first that the registrar can reach")


def _without_audio(loaded: Loaded) -> Iterator[Problem]:
    """Trunks whose calls arrive, but whose audio does not."""
    address = loaded.settings.media.rtp_address
    remote = [name for name, trunk in loaded.settings.trunks.items() if next(_remote_hosts(trunk), None)]
    if address is not None and address.is_loopback and remote:
        message = f"warning: callers over {', '.join(remote)} cannot be heard, RTP is received on {address}"
        yield loaded.problem(("media", "rtp_address"), message, "write 0.0.0.0")


def _no_password(loaded: Loaded, name: str, trunk: Trunk) -> Iterator[Problem]:
    at = ("trunks", name)
    if trunk.password_env is not None:
        message, fix = f"warning: {trunk.password_env} is not set here", "make sure the service has it"
        yield loaded.problem((*at, "password_env"), message, fix)
    elif trunk.password_credential is not None:
        yield loaded.problem(
            (*at, "password_credential"),
            f"warning: only the service can see {trunk.password_credential}",
            f"make sure the unit has LoadCredential={trunk.password_credential}:/path/of/the/secret",
        )
    elif trunk.register_:
        yield loaded.problem(
            at, "warning: it has no password", "add password_file:, unless the registrar asks for none"
        )


def _is_local(host: str) -> bool:
    return host in {"localhost", "::1"} or host.startswith("127.")
