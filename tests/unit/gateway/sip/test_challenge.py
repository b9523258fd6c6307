from dataclasses import replace

import pytest

from gateway.sip.challenge import Challenge, Realms, may_answer, unanswerable
from gateway.sip.headers import parse_headers

CARRIER, STRANGER = "192.0.2.10", "203.0.113.9"
BYE = Challenge("BYE", "carrier", source=CARRIER, sent_to=CARRIER, answered=False, stale=False)
REGISTER = replace(BYE, method="REGISTER")
ANY = Realms("*", registers=True)


class OneHost:
    def is_host(self, trunk: str, ip: str) -> bool:
        return (trunk, ip) == ("carrier", CARRIER)


def answers(challenge: Challenge, realms: Realms) -> bool:
    return may_answer(challenge, realms, "carrier", OneHost())


@pytest.mark.parametrize("method", ["BYE", "INVITE", "UPDATE", "CANCEL"])
@pytest.mark.parametrize(
    ("source", "sent_to", "answered"),
    [
        (CARRIER, CARRIER, True),
        (STRANGER, STRANGER, False),
        (CARRIER, STRANGER, False),  # its source is forged
        (STRANGER, CARRIER, False),
        ("", CARRIER, False),
        (CARRIER, "", False),
    ],
)
def test_in_a_call_only_the_trunks_hosts_get_an_answer(method: str, source: str, sent_to: str, answered: bool) -> None:
    challenge = replace(BYE, method=method, source=source, sent_to=sent_to)
    assert answers(challenge, Realms("carrier", registers=True)) is answered


def test_a_registrar_may_answer_from_another_address() -> None:
    assert answers(replace(REGISTER, source=STRANGER), ANY)


def test_the_realm_that_was_set_is_the_only_one() -> None:
    for challenge in (BYE, REGISTER):
        assert answers(challenge, Realms("Carrier", registers=True))
        assert not answers(challenge, Realms("another", registers=True))


def test_any_realm_becomes_those_of_the_first_registration() -> None:
    assert answers(REGISTER, ANY)
    assert not answers(BYE, ANY), "no registration has told the realm yet"
    learned = ANY.registered_with(frozenset({"carrier", "proxy"}))
    for realm, answered in (("carrier", True), ("proxy", True), ("another", False)):
        assert answers(replace(REGISTER, realm=realm), learned) is answered
        assert answers(replace(BYE, realm=realm), learned) is answered
    assert learned.registered_with(frozenset({"another"})) == learned
    assert ANY.registered_with(frozenset()) == ANY, "a registration without a challenge tells nothing"


def test_a_trunk_that_never_registers_trusts_the_realms_of_its_hosts() -> None:
    assert answers(BYE, Realms("*", registers=False))
    assert not answers(replace(BYE, sent_to=STRANGER), Realms("*", registers=False))


def test_a_refused_answer_is_not_tried_with_a_newer_nonce() -> None:
    assert not answers(replace(REGISTER, answered=True), ANY)
    assert answers(replace(REGISTER, answered=True, stale=True), ANY)


DIGEST = 'WWW-Authenticate: Digest realm="carrier", nonce="n"'


@pytest.mark.parametrize(
    ("challenges", "why"),
    [
        ([DIGEST], ""),
        ([], ""),
        ([f'{DIGEST}, qop="auth-int,auth", algorithm=MD5'], ""),
        ([f"{DIGEST}, algorithm=SHA-256"], ""),
        ([f'{DIGEST}, qop="auth-int"'], "qop 'auth-int'"),
        ([f"{DIGEST}, algorithm=MD5-sess"], "'MD5-sess'"),
        (['WWW-Authenticate: Basic realm="carrier"'], "'Basic'"),
        (['WWW-Authenticate: Basic realm="carrier"', DIGEST], ""),
        (['Proxy-Authenticate: Basic realm="carrier"', f'{DIGEST}, qop="auth-int"'], "qop 'auth-int'"),
        ([f"{DIGEST}, algorithm=MD5-sess", DIGEST], ""),
        (['WWW-Authenticate: Digest realm="another", nonce="n"'], "realm 'another'"),
        (["WWW-Authenticate: " + "x" * 2000], "'xxx"),
    ],
)
def test_why_a_challenge_was_not_answered(challenges: list[str], why: str) -> None:
    headers = parse_headers("\r\n".join(["SIP/2.0 401 Unauthorized", *challenges, "", ""]))
    said = unanswerable(headers, Realms("carrier", registers=True), has_password=True)
    assert said == "" if not why else why in said
    assert len(said) < 300


def test_a_realm_that_was_learned_is_told() -> None:
    headers = parse_headers(f"SIP/2.0 401 Unauthorized\r\n{DIGEST}\r\n\r\n")
    said = unanswerable(headers, Realms("*", True, frozenset({"old"})), has_password=True)
    assert "for realm 'carrier'" in said
    assert "for old" in said


def test_a_missing_password_is_told() -> None:
    headers = parse_headers(f"SIP/2.0 401 Unauthorized\r\n{DIGEST}\r\n\r\n")
    assert "add `password_file`" in unanswerable(headers, ANY, has_password=False)
    assert unanswerable(parse_headers("SIP/2.0 200 OK\r\n\r\n"), ANY, has_password=False) == ""
