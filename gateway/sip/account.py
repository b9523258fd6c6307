"""PJSIP's accounts: one for each trunk, and one for calls that do not come over a trunk. SIP thread only."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

import pjsua2 as pj

from gateway.sip.challenge import REGISTER, Challenge, Hosts, Realms, may_answer, unanswerable
from gateway.sip.events import ChallengeIgnored, ConnectionLost, RegistrationAnswered
from gateway.sip.headers import as_text, host_of, parse_headers, retry_after_s
from media import _engine

if TYPE_CHECKING:
    from gateway.sip.config import Rtp, TrunkAccount
    from gateway.sip.events import SipEvent


_MAX_ANSWERS = 2
"""Answers to challenges per registration and realm. The second one is for a registrar that reports the nonce of the
first as stale; a third challenge counts as a refusal."""
_MAX_ANSWERS_IN_TOTAL = 4
"""Answers per registration for all realms: a proxy in front of the registrar may have its own realm. The limit is for a
registrar that names a new realm each time."""


class Recogniser(Hosts, Protocol):
    """Finds the trunk of an INVITE. Called on the SIP thread for each one."""

    def trunk_of(self, source_ip: str, request_uri: str, to: str) -> str | None:
        """The name of the trunk; None when no trunk has this source."""

    def networks(self) -> list[tuple[str, int]]:
        """All hosts of all trunks with IPv4: address, and length of the prefix."""


class AccountOwner(Protocol):
    """What an account needs from the SIP thread."""

    def on_incoming(self, account: Account, prm: pj.OnIncomingCallParam) -> None:
        """Take a new INVITE."""

    def on_not_taken(self, rx: pj.SipRxData, error: Exception) -> None:
        """Tell that a new INVITE could not be taken."""

    def on_new_contact(self, account: Account) -> None:
        """The account has registered over a new connection: its calls cannot be reached by their Contact any more."""

    def tell(self, event: SipEvent) -> None:
        """Hand an event to asyncio."""

    def report(self, where: str, error: Exception, sip_call_id: str = "") -> None:
        """Log what went wrong in a callback."""


class Account(pj.Account):  # type: ignore[misc]  # pjsua2 has no type stubs
    """One account of PJSIP. It receives the calls of one trunk, or those without a trunk."""

    def __init__(self, endpoint: AccountOwner, trunk: TrunkAccount | None) -> None:
        super().__init__()
        self._endpoint = endpoint
        self.trunk = trunk.name if trunk is not None else None
        """The trunk's name; None for calls that do not come over a trunk."""
        self._has_password = trunk is not None and trunk.password is not None
        self._realms = Realms(trunk.realm, trunk.registrar_uri is not None) if trunk is not None else None
        self._answered: list[str] = []
        """The realms answered in the current registration, once for each answer."""
        self.answers = 0
        """How many REGISTER results onRegState has reported."""
        self._connection: int | None = None
        """The TCP connection of the registration: the memory address of PJSIP's transport."""
        self._flow: int | None = None
        """The connection of the last registration that was granted, even if one has failed since; None once lost."""
        self._was_lost = False
        """Whether a connection was lost since: the Contact of the calls since then names a port that is closed."""

    def onIncomingCall(self, prm: pj.OnIncomingCallParam) -> None:
        """PJSIP: an INVITE has arrived and was answered with 100."""
        try:
            self._endpoint.on_incoming(self, prm)
        except Exception as error:  # noqa: BLE001 - the edge of the SIP thread: C++ would end the process
            self._endpoint.on_not_taken(prm.rdata, error)

    def onRegState(self, prm: pj.OnRegStateParam) -> None:
        """PJSIP: a REGISTER was answered, or its transaction has failed."""
        try:
            if self.trunk is not None and self._realms is not None:
                self.answers += 1
                answer = self._registration_answered(self.trunk, self._realms, prm)
                self._connection = _engine.transport_of(int(prm.rdata.pjRxData)) if answer.expires_s > 0 else None
                self._endpoint.tell(answer)
                if self._connection is not None:
                    self._registered_over(self._connection)
        except Exception as error:  # noqa: BLE001 - as above
            self._endpoint.report("onRegState", error)

    def may_answer(self, challenge: Challenge, hosts: Hosts) -> bool:
        """Whether PJSIP may answer a challenge with this account's password."""
        if self.trunk is None or self._realms is None:
            return False
        if not may_answer(challenge, self._realms, self.trunk, hosts):
            if challenge.method != REGISTER:
                self._endpoint.tell(ChallengeIgnored(self.trunk, challenge))
            return False
        if challenge.method == REGISTER:
            too_often = self._answered.count(challenge.realm) >= _MAX_ANSWERS
            if too_often or len(self._answered) >= _MAX_ANSWERS_IN_TOTAL:
                return False
            self._answered.append(challenge.realm)
        return True

    def _registration_answered(self, trunk: str, realms: Realms, prm: pj.OnRegStateParam) -> RegistrationAnswered:
        headers = parse_headers(prm.rdata.wholeMsg)
        success = prm.code // 100 == 2
        expires_s = prm.expiration if success and 0 < prm.expiration < 0xFFFFFFFF else 0
        if expires_s > 0:
            self._realms = realms.registered_with(frozenset(self._answered))
        self._answered.clear()
        return RegistrationAnswered(
            trunk,
            prm.code,
            as_text(prm.reason),
            expires_s,
            retry_after_s=retry_after_s(headers),
            source_ip=host_of(prm.rdata.srcAddress),
            unanswerable=unanswerable(headers, realms, has_password=self._has_password),
        )

    def _registered_over(self, connection: int) -> None:
        if self._was_lost or (self._flow is not None and self._flow != connection):
            self._was_lost = False
            self._endpoint.on_new_contact(self)
        self._flow = connection

    def on_disconnected(self, connection: int) -> None:
        """Report that the registration is lost, if this was its TCP connection."""
        if connection == self._flow:
            self._flow, self._was_lost = None, True
        if self.trunk is not None and connection == self._connection:
            self._connection = None
            self._endpoint.tell(ConnectionLost(self.trunk))


def local_config(address: str, rtp: Rtp) -> pj.AccountConfig:
    """The account for calls without a trunk: from SIPp in a test, or a telephone on the same network."""
    config = pj.AccountConfig()
    config.idUri = f"sip:{address}"
    config.regConfig.registerOnAdd = False
    config.natConfig.contactUseSrcPort = 0  # PJSUA would connect to a caller's Contact as soon as an INVITE comes
    _set_media(config, rtp)
    return config


def trunk_config(trunk: TrunkAccount, rtp: Rtp) -> pj.AccountConfig:
    """The account of a trunk. It registers only on command: registration.py decides when."""
    config = pj.AccountConfig()
    config.idUri = f"sip:{trunk.user}@{trunk.domain}"
    registration = config.regConfig
    registration.registerOnAdd = False
    if trunk.registrar_uri is not None:
        registration.registrarUri = trunk.registrar_uri
        registration.timeoutSec = trunk.expires_s
        registration.retryIntervalSec = 0  # the gateway decides when to try again
        registration.firstRetryIntervalSec = 0
        registration.unregWaitMsec = 0
    # This puts the source port of a TCP connection into the Contact; PJSUA opens the connection for that. Only for an
    # IP address: PJSUA would look up a name first, and all calls would wait.
    config.natConfig.contactUseSrcPort = int(trunk.proxy_uri is None and _has_ip_address(trunk.registrar_uri))
    config.sipConfig.contactUriParams = f";line={trunk.line}"
    if trunk.proxy_uri is not None:
        config.sipConfig.proxies.append(trunk.proxy_uri)
    if trunk.password is not None:
        credential = pj.AuthCredInfo("digest", trunk.realm, trunk.digest_user, 0, trunk.password)
        config.sipConfig.authCreds.append(credential)
    _set_media(config, rtp)
    return config


def _has_ip_address(uri: str | None) -> bool:
    return uri is not None and re.match(r"sip:[0-9.]+[:;]", uri) is not None


def _set_media(config: pj.AccountConfig, rtp: Rtp) -> None:
    media = config.mediaConfig
    pairs = (rtp.last_port - rtp.first_port + 1) // 2
    media.transportConfig.boundAddress = rtp.address
    media.transportConfig.port = rtp.first_port
    media.transportConfig.portRange = pairs * 2 - 1
    # After a restart, a telephone may still send RTP to the port of its old call: the next call should get another one.
    media.transportConfig.randomizePort = True
    if rtp.public_address is not None:
        media.transportConfig.publicAddress = rtp.public_address
    media.streamKaEnabled = False  # silence is sent as RTP, so no keep-alive is needed
    config.natConfig.contactRewriteUse = 1
    config.natConfig.viaRewriteUse = 1
    config.natConfig.sdpNatRewriteUse = 0
