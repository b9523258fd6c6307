"""What PJSIP says reaches the log, whatever strangers made it say, and however often."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pjsua2
import pytest
import structlog

from gateway.sip.pjlog import PjLog
from media import _engine
from tests.virtual_time import run_virtual

if TYPE_CHECKING:
    from collections.abc import Iterator

Line = dict[str, object]


@pytest.fixture(autouse=True)
def _captured() -> Iterator[None]:
    endpoint = pjsua2.Endpoint()  # without it nothing can be said
    endpoint.libCreate()
    _engine.capture_pjlog()
    _engine.take_pjlog()
    yield
    endpoint.libDestroy()


def say(sender: str, text: str, level: int = 1) -> None:
    pjsua2.Endpoint.instance().utilLogWrite(level, sender, text)


async def heard(during_s: float = 0.0) -> list[Line]:
    log = PjLog(asyncio.get_running_loop())
    with structlog.testing.capture_logs() as lines:
        log.start()
        await asyncio.sleep(during_s)
        log.stop()
    return [dict(line) for line in lines]


def test_bytes_that_are_no_utf_8_are_shown_and_hide_no_other_line() -> None:
    say("bytes.c", "before")
    say("bytes.c", "\N{PILE OF POO}" * 900)  # of four bytes each; the line is cut within one
    say("bytes.c", "xxx" + "\N{PILE OF POO}" * 900)
    say("bytes.c", "after")
    texts = [str(line["text"]) for line in run_virtual(heard()) if line.get("sender") == "bytes.c"]
    assert len(texts) == 4
    assert (texts[0], texts[3]) == ("before", "after")
    assert any("\\xf0" in text for text in texts)


def test_a_sender_that_floods_is_counted_and_hides_no_other() -> None:
    for number in range(3000):
        say("flood0x7f00.c", f"packet {number}")
        if number == 2000:
            say("quiet.c", "one word")
    lines = run_virtual(heard(10))
    kept = sum(str(line.get("sender", "")).startswith("flood") for line in lines)
    assert 50 <= kept < 1000
    assert [line["text"] for line in lines if line.get("sender") == "quiet.c"] == ["one word"]
    overflow = [line for line in lines if line["event"] == "pjsip.log_overflow"]
    assert sum(int(str(line["dropped"])) for line in overflow) == 3000 - kept


def test_objects_named_by_their_address_are_one_sender() -> None:
    for number in range(3000):
        say(f"tdta0x{number:06x}", "failed")
    assert len([line for line in run_virtual(heard()) if line["event"] == "pjsip.said"]) < 1000


def test_senders_without_end_take_no_memory_without_end() -> None:
    for number in range(20_000):
        say("".join(chr(97 + int(digit)) for digit in f"{number:05}"), "text")
    assert len(run_virtual(heard())) <= 1001


def test_a_long_line_is_cut() -> None:
    say("long.c", "x" * 3500)
    (line,) = [line for line in run_virtual(heard()) if line.get("sender") == "long.c"]
    assert len(str(line["text"])) < 2000


def test_a_failed_registration_is_no_error_beside_its_own_event() -> None:
    say("pjsua_acc.c", "SIP registration error: No challenge is found (PJSIP_EAUTHNOCHAL) [status=171114]")
    say("pjsua_acc.c", "Unable to create/send REGISTER: Object is busy (PJSIP_EBUSY) [status=171001]")
    say("account.cpp", "pjsua_acc_set_registration(id, renew) error: Object is busy")
    say("pjsua_acc.c", "Error adding the account")
    say("other.c", "registration")
    lines = [line for line in run_virtual(heard()) if line["event"] == "pjsip.said"]
    assert [line["log_level"] for line in lines] == ["debug", "debug", "debug", "error", "error"]


def test_a_refused_offer_is_no_error_beside_its_own_event() -> None:
    say("pjsua_call.c", "Request verification failed: Not Acceptable Here [status=170488]")
    say("pjsua_call.c", "Unable to create call: Too many objects [status=70010]")
    lines = [line for line in run_virtual(heard()) if line["event"] == "pjsip.said"]
    assert [line["log_level"] for line in lines] == ["debug", "error"]
