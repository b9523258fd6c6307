"""Secrets: from a file, the environment or a systemd credential, and never shown."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, SecretStr, ValidationInfo

from gateway.settings.context import FileContext, context_of
from gateway.settings.validation import fault
from media.files import open_regular

MAX_SECRET_BYTES = 4096
CREDENTIALS = "CREDENTIALS_DIRECTORY"
"""The variable with the directory of what `LoadCredential=` loads (systemd.exec(5))."""

PLACES = ("file", "env", "credential")

_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def secret_of(value: object, info: ValidationInfo) -> object:
    """The secret at the place that a mapping names, as a `SecretStr`.

    Raises:
        PydanticCustomError: the mapping does not name one place, or there is no secret at that place.
    """
    if isinstance(value, SecretStr):
        return value
    fix = f"write where it is, such as {{file: name}}; use one of {', '.join(PLACES)}"
    if not isinstance(value, dict):
        raise fault("a secret must not be written here", fix, hides_value=True)
    if len(value) != 1 or next(iter(value)) not in PLACES:
        raise fault("it must name exactly one place of the secret", fix)
    ((place, written),) = value.items()
    if not isinstance(written, str) or not written.strip():
        raise fault(f"{place} is empty", fix)
    context = context_of(info)
    match place:
        case "file":
            found: SecretStr | None = from_file(context.path(written), "file")
        case "env":
            found = from_environment(written.strip(), "env", context)
        case _:
            found = from_credential(written.strip(), "credential", context)
    return found if found is not None else SecretStr("")


Secret: TypeAlias = Annotated[SecretStr, BeforeValidator(secret_of)]
"""`{file: path}`, `{env: NAME}` or `{credential: name}`; empty if a check outside the service cannot see it."""


def from_file(path: Path, field: str) -> SecretStr:
    """The secret in a file, which must be one line of text.

    Raises:
        PydanticCustomError: the file cannot be read, or its content is something else; `field` names the option.
    """
    try:
        with open(open_regular(path), "rb") as file:  # noqa: PTH123 - a descriptor
            raw = file.read(MAX_SECRET_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        fix = "create it with the secret in it, readable only by the gateway's user"
        raise fault(f"{field}: cannot read {path}: {reason}", fix) from None
    try:
        text = raw.decode().strip("\r\n")
    except UnicodeDecodeError:
        raise fault(f"{field}: {path} is not text", "write the secret as UTF-8 text") from None
    if not text or len(raw) > MAX_SECRET_BYTES or not text.isprintable():
        raise fault(f"{field}: {path} does not hold one line of text", "write the secret on one line")
    return SecretStr(text)


def from_environment(name: str, field: str, context: FileContext) -> SecretStr | None:
    """The secret in an environment variable; None if it is not set and this is a check outside the service.

    Raises:
        PydanticCustomError: it is not set, or no variable can have this name.
    """
    if _VARIABLE_NAME.fullmatch(name) is None:
        fix = "write its name as in TRUNK_PASSWORD: without $, of letters, digits and underscores"
        raise fault(f"{field}: not the name of an environment variable", fix, hides_value=True)
    value = context.environment.get(name)
    if value:
        return SecretStr(value)
    if context.offline:
        return None
    fix = f"set {name} for the gateway, for example with EnvironmentFile= in its unit"
    raise fault(f"{field}: {name} is not set", fix)


def from_credential(name: str, field: str, context: FileContext) -> SecretStr | None:
    """The secret that systemd gives to the service with `LoadCredential=`; None in a check outside the service.

    Raises:
        PydanticCustomError: there is no credential of this name.
    """
    directory = context.environment.get(CREDENTIALS)
    if directory:
        return from_file(Path(directory) / Path(name).name, field)
    if context.offline:
        return None
    fix = f"add LoadCredential={name}:/path/of/the/secret to the unit"
    raise fault(f"{field}: systemd gave the gateway no credentials", fix)
