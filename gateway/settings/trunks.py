"""A SIP trunk: its registrar, its account, and which calls belong to it."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator

from gateway.settings.context import AnyPath, FileContext, context_of
from gateway.settings.secret import from_credential, from_environment, from_file
from gateway.settings.validation import fault
from gateway.settings.values import Domain, Model, Peer, PositiveSeconds, Source, Text, Transport, User


class Retry(Model):
    """How long to wait before a failed registration is tried again; doubled each time."""

    first_s: PositiveSeconds = Field(default=2.0, alias="first")
    max_s: PositiveSeconds = Field(default=300.0, alias="max")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.first_s > self.max_s:
            raise fault("first is longer than max", "make max at least as long as first")
        return self


class Trunk(Model):
    """One trunk. After validation, `password` has the secret, also if another key named its place."""

    registrar: Peer | None = None
    """The host to register with, which is also the peer of the trunk's calls."""
    proxy: Peer | None = None
    """Where requests go, instead of directly to the registrar."""
    transport: Transport = "udp"
    domain: Domain | None = None
    """The domain of the account's address; the registrar's host when None (see `account_domain`)."""
    user: User | None = None
    auth_user: Text | None = None
    """The user name for digest authentication, if it is not `user`."""
    realm: Text = "*"
    """The only realm that gets the password; `*`: those that the first successful registration used."""
    password: SecretStr | None = None
    password_file: AnyPath | None = None
    password_env: Text | None = None
    password_credential: Text | None = None
    register_: bool = Field(default=True, alias="register")
    expires_s: PositiveSeconds = Field(default=300.0, alias="expires")
    retry: Retry = Retry()
    sources: tuple[Source, ...] = ()
    """Hosts whose INVITEs belong to this trunk, in addition to the registrar and the proxy."""
    called_number: Literal["auto", "request-uri", "to"] = "auto"
    """Where the dialled number is; `auto`: in To if the Request-URI names only our own account."""
    trust_identity: bool = True
    """True: P-Asserted-Identity (RFC 3325) names the caller, before From."""

    @property
    def account_domain(self) -> str | None:
        """The domain of the account's address of record."""
        return self.domain or (self.registrar.host if self.registrar else None)

    @property
    def digest_user(self) -> str | None:
        """The user name of digest authentication."""
        return self.auth_user or self.user

    @field_validator("password", mode="before")
    @classmethod
    def _one_word(cls, value: object) -> object:
        if isinstance(value, str):
            if not value:
                raise fault("it is empty", "write the password, or remove the key")
            return str(value)
        return value

    @model_validator(mode="after")
    def _whole(self, info: ValidationInfo) -> Self:
        if self.register_:
            if self.registrar is None:
                raise fault("a trunk that registers needs a registrar", "add registrar: host, or register: false")
            if self.user is None:
                raise fault("a trunk that registers needs a user", "add user: the account's name")
        elif not (self.sources or self.registrar or self.proxy):
            raise fault("nothing says which calls belong to this trunk", "add sources: with the carrier's addresses")
        return self.model_copy(update={"password": _secret(self, context_of(info))})


def _secret(trunk: Trunk, context: FileContext) -> SecretStr | None:
    """The trunk's password, from the one place that the file names."""
    places = ("password", "password_file", "password_env", "password_credential")
    named = [place for place in places if getattr(trunk, place) is not None]
    if len(named) > 1:
        raise fault(f"{' and '.join(named)} are given", "keep one of them")
    if trunk.password is not None:
        return trunk.password
    if trunk.password_file is not None:
        return from_file(trunk.password_file, "password_file")
    if trunk.password_env is not None:
        return from_environment(trunk.password_env, "password_env", context)
    if trunk.password_credential is not None:
        return from_credential(trunk.password_credential, "password_credential", context)
    return None
