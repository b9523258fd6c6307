"""The PJSIP that the recipe built: its limits, its wheel, and the faults that our patches fix.

Each fault has a program in `pjsip_faults/`. It must run clean on what was built, and it must fail on the same sources
with the one patch taken out, so that neither a patch nor its proof goes stale unnoticed.
"""

from __future__ import annotations

import csv
import hashlib
import itertools
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]
BUILD = ROOT / "media/pjsip/build.py"
PATCHES = ROOT / "media/pjsip/patches"
FAULTS = Path(__file__).parent / "pjsip_faults"

CALLS = 4000
PLACES = 6064  # half as many again, and 64, for calls that wait for an answer to their BYE
HANDLES_PER_CALL = 3


@pytest.fixture(scope="session")
def build() -> Path:
    """The result directory. Building takes minutes, so it is not done here."""
    result = Path(_build("--print-path").stdout.strip())
    if not result.exists():
        pytest.fail(f"PJSIP is not built; run {sys.executable} {BUILD}")
    return result


def _build(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(BUILD), *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


# The result


def test_a_second_run_prints_the_path_alone_and_at_once(build: Path) -> None:
    began = time.monotonic()
    done = _build()
    assert done.stdout == f"{build}\n"
    assert time.monotonic() - began < 5


def test_limits_are_those_that_were_compiled_in(build: Path) -> None:
    limits = json.loads((build / "BUILD.json").read_text())["limits"]
    assert limits["PJSUA_MAX_CALLS"] == PLACES
    assert limits["PJSUA_MAX_ACC"] >= 64
    assert limits["PJSUA_MAX_CONF_PORTS"] > CALLS + 72
    assert limits["PJ_IOQUEUE_MAX_HANDLES"] >= HANDLES_PER_CALL * CALLS + 100
    assert limits["PJSIP_MAX_DIALOG_COUNT"] >= 2 * CALLS
    assert limits["PJMEDIA_HAS_SRTP"] == 1
    assert limits["PJMEDIA_HAS_RTCP_XR"] == 1
    assert limits["PJMEDIA_HAS_VIDEO"] == 0
    assert limits["PJMEDIA_MAX_SDP_ATTR"] <= 60
    for table in ("PJSIP_MAX_TSX_COUNT", "PJSIP_MAX_DIALOG_COUNT"):
        assert (limits[table] + 1).bit_count() == 1, f"{table} is not 2^n - 1"


@pytest.fixture(scope="session")
def site(build: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, unpacked as an installer would."""
    place = tmp_path_factory.mktemp("site")
    [wheel] = (build / "wheel").glob("pjsua2-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place)
    return place


ASK = """
import ctypes, json, sys
sys.path.insert(0, ".")
import pjsua2
endpoint = pjsua2.Endpoint()
endpoint.libCreate()
config = pjsua2.EpConfig()
config.uaConfig.maxCalls = int(sys.argv[1])
config.uaConfig.threadCnt = 0
config.logConfig.level = config.logConfig.consoleLevel = 0
endpoint.libInit(config)
pj, pjsua = (ctypes.CDLL(f"pjsua2.libs/lib{name}.so.2") for name in ("pj", "pjsua"))
pj.pj_ioqueue_name.restype = ctypes.c_char_p
facts = {
    "calls": pjsua.pjsua_call_get_max_count(),
    "ioqueue": pj.pj_ioqueue_name().decode(),
    "codecs": [codec.codecId for codec in endpoint.codecEnum2()],
    "libraries": [line.split()[-1] for line in open("/proc/self/maps") if "/libpj" in line],
}
endpoint.libDestroy()
json.dump(facts, open(sys.argv[2], "w"))
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a process that started the library says of it."""

    calls: int
    ioqueue: str
    codecs: list[str]
    libraries: list[str]


@pytest.fixture
def ask(site: Path, tmp_path: Path) -> Callable[[int], Answer]:
    """Starts the library with so many calls. What it says goes through a file: PJSIP prints on standard output too."""

    def start(calls: int) -> Answer:
        told = tmp_path / "answer.json"
        subprocess.run([sys.executable, "-c", ASK, str(calls), str(told)], cwd=site, capture_output=True, check=True)
        return Answer(**json.loads(told.read_text()))

    return start


def test_the_running_library_has_the_limits(site: Path, ask: Callable[[int], Answer]) -> None:
    answer = ask(PLACES)
    assert answer.calls == PLACES
    assert answer.ioqueue.startswith("epoll")
    assert {Path(path).parent for path in answer.libraries} == {site / "pjsua2.libs"}


def test_calls_beyond_the_limit_are_clipped(ask: Callable[[int], Answer]) -> None:
    assert ask(PLACES + 1).calls == PLACES


WAIT = """
import sys, threading, time
sys.path.insert(0, ".")
import pjsua2
endpoint = pjsua2.Endpoint()
endpoint.libCreate()
config = pjsua2.EpConfig()
config.uaConfig.threadCnt = 0
config.logConfig.level = config.logConfig.consoleLevel = 0
endpoint.libInit(config)
endpoint.libStart()
ticks = []
def tick():
    while len(ticks) < 20:
        time.sleep(0.001)
        ticks.append(time.monotonic())
other = threading.Thread(target=tick)
other.start()
began = time.monotonic()
while time.monotonic() - began < 1:
    endpoint.libHandleEvents(1000)
other.join()
open(sys.argv[1], "w").write(str(ticks[-1] - began))
endpoint.libDestroy()
"""


def test_waiting_for_events_lets_other_threads_run(site: Path, tmp_path: Path) -> None:
    told = tmp_path / "seconds"
    subprocess.run([sys.executable, "-c", WAIT, str(told)], cwd=site, capture_output=True, check=True)
    assert float(told.read_text()) < 0.5


def test_the_recipe_tries_the_wheel_in_anybodys_environment(
    build: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(BUILD.parent))
    result, layout = import_module("recipe.result"), import_module("recipe.layout")
    monkeypatch.setattr(os, "environ", {"PATH": os.environ["PATH"]})
    [wheel] = (build / "wheel").glob("pjsua2-*.whl")
    facts = result._try(layout.Layout(cache=tmp_path, key="key"), wheel)
    assert facts["ioqueue"].startswith("epoll")


@pytest.mark.parametrize("codec", ["opus/48000/2", "G722/16000/1", "PCMU/8000/1", "PCMA/8000/1", "speex/8000/1"])
def test_codecs(build: Path, codec: str) -> None:
    assert codec in json.loads((build / "BUILD.json").read_text())["codecs"]


def test_the_wheel_records_every_file(build: Path) -> None:
    [wheel] = (build / "wheel").glob("pjsua2-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        [record] = (name for name in archive.namelist() if name.endswith(".dist-info/RECORD"))
        rows = {name: digest for name, digest, _ in csv.reader(archive.read(record).decode().splitlines())}
        assert rows.keys() == set(archive.namelist())
        for name in rows.keys() - {record}:
            digest = urlsafe_b64encode(hashlib.sha256(archive.read(name)).digest()).rstrip(b"=").decode()
            assert rows[name] == f"sha256={digest}"


def test_pkg_config_compiles_a_program_against_the_result(build: Path, tmp_path: Path) -> None:
    source = tmp_path / "version.c"
    source.write_text("#include <pjlib.h>\n#include <stdio.h>\nint main(void) { return puts(pj_get_version()) < 0; }\n")
    program = tmp_path / "version"
    subprocess.run(["gcc", str(source), "-o", str(program), *_flags(build)], check=True)
    printed = subprocess.run([str(program)], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == json.loads((build / "BUILD.json").read_text())["pjproject"]


def test_swig_runtime_header_is_there(build: Path) -> None:
    assert "SWIG_NewPointerObj" in (build / "include/swigpyrun.h").read_text()


# The faults


@dataclass(frozen=True, slots=True)
class Fault:
    """A patch, the program that shows what it fixes, and the sources to rebuild when the patch is taken out.

    A program that includes the faulty source itself, to reach what is static in it, names none.
    """

    patch: str
    program: str
    rebuild: tuple[str, ...] = ()


FAULTY = (
    Fault("01-sdes-crypto-count", "sdes_crypto_count"),
    Fault("02-sdp-payload-type-range", "sdp_payload_type_range"),
    Fault("03-sdp-answer-formats", "sdp_answer_formats", ("pjmedia/src/pjmedia/sdp_neg.c",)),
    Fault("04-sdp-media-count", "sdp_media_count", ("pjmedia/src/pjmedia/sdp_neg.c",)),
    Fault("07-local-sdp-capacity", "local_sdp_capacity"),
    Fault("08-service-route-count", "service_route_count"),
    Fault(
        "09-message-print-bounds",
        "message_print_bounds",
        ("pjsip/src/pjsip/sip_msg.c", "pjsip/src/pjsip/sip_multipart.c"),
    ),
    Fault("10-transaction-reference", "transaction_reference"),
    Fault("35-lenient-sdp", "sdp_lenient_parser", ("pjmedia/src/pjmedia/sdp.c",)),
    Fault("36-needed-attributes", "sdp_attribute_rank", ("pjmedia/src/pjmedia/sdp.c",)),
    Fault(
        "37-static-codec-by-name",
        "sdp_static_codec",
        ("pjmedia/src/pjmedia/sdp_neg.c", "pjmedia/src/pjmedia/stream_info.c"),
    ),
    Fault("38-maxptime", "sdp_maxptime", ("pjmedia/src/pjmedia/stream_info.c",)),
    Fault("43-needed-formats", "sdp_format_rank", ("pjmedia/src/pjmedia/sdp.c",)),
    Fault("44-needless-rtcp", "sdp_needless_rtcp", ("pjmedia/src/pjmedia/stream_common.c",)),
    Fault("55-star-contact", "star_contact"),
    Fault("59-dns-answer-source", "dns_answer_source"),
)

SANITIZE = ("-fsanitize=address,bounds,null", "-fno-sanitize-recover=all")
SOURCE_DIRS = (
    "pjmedia/src/pjmedia",
    "pjsip/src/pjsip",
    "pjsip/src/pjsip-ua",
    "pjsip/src/pjsua-lib",
    "pjlib-util/src/pjlib-util",
)


def _flags(build: Path) -> list[str]:
    pc = build / "lib/pkgconfig/libpjproject.pc"
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", str(pc)], capture_output=True, text=True, check=True)
    return [*flags.stdout.split(), f"-Wl,-rpath,{build / 'lib'}"]


def _compile(build: Path, sources: Path, program: str, rebuild: tuple[str, ...], place: Path) -> Path:
    """`program`, with `rebuild` from `sources` in place of what the libraries hold."""
    out = place / program
    subprocess.run(
        ["gcc", "-w", "-g", *SANITIZE, "-DPJMEDIA_EXTERNAL_SRTP=2", f"-I{FAULTS}",
         *(f"-I{sources / name}" for name in SOURCE_DIRS), str(FAULTS / f"{program}.c"),
         *(str(sources / name) for name in rebuild), "-o", str(out),
         *_flags(build), "-lsrtp2", "-lssl", "-lcrypto", "-lm"],
        check=True,
    )  # fmt: skip
    return out


def _without(build: Path, patch: str, place: Path) -> Path:
    """The sources that were built, with one patch taken out."""
    sources = place / "src"
    for name in SOURCE_DIRS:
        shutil.copytree(build / "src" / name, sources / name)
    subprocess.run(["patch", "-p1", "-R", "-s", "-f", "-i", str(PATCHES / f"{patch}.patch")], cwd=sources, check=True)
    return sources


def _run(program: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(program)], capture_output=True, text=True, check=False, timeout=20)


@pytest.mark.parametrize("fault", FAULTY, ids=lambda fault: fault.program)
def test_fault_is_fixed(build: Path, tmp_path: Path, fault: Fault) -> None:
    done = _run(_compile(build, build / "src", fault.program, (), tmp_path))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("fault", FAULTY, ids=lambda fault: fault.program)
def test_fault_shows_without_its_patch(build: Path, tmp_path: Path, fault: Fault) -> None:
    sources = _without(build, fault.patch, tmp_path)
    done = _run(_compile(build, sources, fault.program, fault.rebuild, tmp_path))
    assert done.returncode != 0


# Messages that end an unpatched phone


AUDIO = "m=audio 4000 RTP/AVP 0"
TEXT = ("m=text 5000 RTP/AVP 98", "a=rtpmap:98 t140/1000")
APPLICATION = ("m=application 5000 RTP/AVP 98", "a=rtpmap:98 x/1000")
CONNECTION = "c=IN IP4 127.0.0.1"
NO_CONNECTION = ("m=audio 0 RTP/AVP 0", AUDIO, CONNECTION)


def _sdp(*lines: str) -> str:
    return "\r\n".join(("v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", *lines, ""))


@dataclass(frozen=True, slots=True)
class Attack:
    """Requests in one dialog, and the source that is rebuilt without the patch."""

    name: str
    patch: str
    rebuild: str
    requests: tuple[tuple[str, str], ...]


ATTACKS = (
    Attack(
        "text_only_full",
        "05-call-media-count",
        "pjsip/src/pjsua-lib/pjsua_media.c",
        (
            ("INVITE", _sdp(CONNECTION, "t=0 0", *TEXT, *(APPLICATION * 15))),
            ("INVITE", ""),
        ),
    ),
    Attack(
        "no_connection_reinvite",
        "06-media-without-connection",
        "pjsip/src/pjsip-ua/sip_inv.c",
        (("INVITE", _sdp(CONNECTION, "t=0 0", AUDIO)), ("INVITE", _sdp("t=0 0", *NO_CONNECTION))),
    ),
    Attack(
        "no_connection_update",
        "06-media-without-connection",
        "pjsip/src/pjsip-ua/sip_inv.c",
        (("INVITE", _sdp(CONNECTION, "t=0 0", AUDIO)), ("UPDATE", _sdp("t=0 0", *NO_CONNECTION))),
    ),
    Attack(
        "type_changed",
        "13-media-type-change",
        "pjsip/src/pjsua-lib/pjsua_media.c",
        (
            ("INVITE", _sdp(CONNECTION, "t=0 0", AUDIO)),
            ("UPDATE", _sdp("c=IN IP6 ::1", "t=0 0", *TEXT, AUDIO)),
            ("UPDATE", _sdp(CONNECTION, "t=0 0", AUDIO)),
        ),
    ),
)  # fmt: skip


class Caller:
    """A SIP peer that says what it likes."""

    def __init__(self, port: int, is_alive: Callable[[], bool]) -> None:
        self._is_alive = is_alive
        self._phone = f"127.0.0.1:{port}"
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.connect(("127.0.0.1", port))
        self._socket.settimeout(0.05)
        self._me = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._to = f"<sip:phone@{self._phone}>"
        self._cseq = 0

    def request(self, method: str, body: str = "", *extra: str) -> int | None:
        """The final status of a request in our one dialog; None if there is none. `extra`: more header lines."""
        self._cseq += 1
        self._send(method, body, extra)
        status = self._final()
        if method == "INVITE" and status:
            self._send("ACK", "")
        return status

    def refuse(self, *answer: str) -> tuple[str, float] | None:
        """Method of the phone's next request, and when it came; it is answered by a status line and header lines."""
        deadline = time.monotonic() + 8
        while time.monotonic() < deadline:
            try:
                text = self._socket.recv(65535).decode()
            except TimeoutError:
                continue
            method = text.split(" ", 1)[0]
            if method in {"SIP/2.0", "ACK"}:
                continue
            echoed = re.findall(r"^(?:Via|From|To|Call-ID|CSeq): .+?$", text, re.MULTILINE)
            head = (f"SIP/2.0 {answer[0]}", *(line.strip() for line in echoed), *answer[1:], "Content-Length: 0")
            self._socket.send("\r\n".join((*head, "", "")).encode())
            return method, time.monotonic()
        return None

    def close(self) -> None:
        self._socket.close()

    def _send(self, method: str, body: str, extra: tuple[str, ...] = ()) -> None:
        head = (
            f"{method} sip:phone@{self._phone} SIP/2.0",
            f"Via: SIP/2.0/UDP {self._me};rport;branch=z9hG4bK{method}{self._cseq}",
            "Max-Forwards: 70",
            f"From: <sip:caller@{self._me}>;tag=caller",
            f"To: {self._to}",
            f"Call-ID: {self._me}",
            f"CSeq: {self._cseq} {method}",
            f"Contact: <sip:caller@{self._me}>",
            *extra,
            *(("Content-Type: application/sdp",) if body else ()),
            f"Content-Length: {len(body)}",
        )
        self._socket.send("\r\n".join((*head, "", body)).encode())

    def _final(self) -> int | None:
        deadline = time.monotonic() + 5
        while self._is_alive() and time.monotonic() < deadline:
            try:
                text = self._socket.recv(65535).decode()
            except TimeoutError:
                continue
            status = int(text.split(" ", 2)[1]) if text.startswith("SIP/2.0 ") else 0
            cseq = re.search(r"^CSeq: (\d+)", text, re.MULTILINE)
            if status >= 200 and cseq and int(cseq[1]) == self._cseq:
                if to := re.search(r"^To: (.+?)\r?$", text, re.MULTILINE):
                    self._to = to[1]
                return status
        return None


@contextmanager
def _phone(program: Path) -> Iterator[tuple[subprocess.Popen[str], Caller]]:
    """A phone that answers, and somebody who calls it."""
    with subprocess.Popen([str(program)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as phone:
        assert phone.stdout is not None
        caller = Caller(int(phone.stdout.readline()), lambda: phone.poll() is None)
        try:
            yield phone, caller
        finally:
            caller.close()
            phone.kill()


@pytest.fixture(scope="session")
def answering_phone(build: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The phone on the libraries as they were built."""
    return _compile(build, build / "src", "answering_phone", (), tmp_path_factory.mktemp("phone"))


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_a_phone_survives(answering_phone: Path, attack: Attack) -> None:
    with _phone(answering_phone) as (phone, caller):
        assert [caller.request(*request) for request in attack.requests] == [200] * len(attack.requests)
        assert caller.request("BYE") == 200
        assert phone.poll() is None


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_a_phone_dies_without_the_patch(build: Path, tmp_path: Path, attack: Attack) -> None:
    sources = _without(build, attack.patch, tmp_path)
    with _phone(_compile(build, sources, "answering_phone", (attack.rebuild,), tmp_path)) as (phone, caller):
        statuses = [caller.request(*request) for request in attack.requests]
        assert statuses[-1] is None
        assert phone.wait(timeout=5) != 0


NAMED = (("c=IN IP4 localhost", AUDIO), (CONNECTION, AUDIO, "a=rtcp:4001 IN IP4 localhost"))


def test_a_named_media_address_is_refused(build: Path, answering_phone: Path, tmp_path: Path) -> None:
    offers = [_sdp(lines[0], "t=0 0", *lines[1:]) for lines in NAMED]
    for offer in offers:
        with _phone(answering_phone) as (_, caller):
            assert caller.request("INVITE", offer) == 400
    sources = _without(build, "14-numeric-media-addresses", tmp_path)
    unpatched = _compile(build, sources, "answering_phone", ("pjsip/src/pjsip-ua/sip_inv.c",), tmp_path)
    for offer in offers:
        with _phone(unpatched) as (_, caller):
            assert caller.request("INVITE", offer) == 200


# Refreshes that are refused


@dataclass(frozen=True, slots=True)
class Refusal:
    """How a peer answers a refresh, and what must follow when."""

    name: str
    allow: str
    answer: tuple[str, ...]
    methods: tuple[str, ...]
    at_most_s: float


REFUSALS = (
    Refusal("update_pending", "INVITE, ACK, BYE, UPDATE", ("491 Request Pending",), ("UPDATE", "UPDATE", "UPDATE"), 2),
    Refusal("invite_pending", "INVITE, ACK, BYE", ("491 Request Pending",), ("INVITE", "INVITE"), 2),
    Refusal("no_update", "INVITE, ACK, BYE, UPDATE", ("405 Method Not Allowed",), ("UPDATE", "INVITE"), 0),
    Refusal("busy", "INVITE, ACK, BYE", ("500 Server Error", "Retry-After: 1"), ("INVITE", "INVITE"), 1),
)
SLACK_S = 4.0
"""What a loaded machine may add; without the patch nothing comes for 45 s."""


def _refreshes(phone: Path, refusal: Refusal) -> tuple[list[str], float]:
    """The requests for a refresh when each is refused, and the longest time between two."""
    methods, times = [], []
    with _phone(phone) as (_, caller):
        timer = ("Supported: timer", "Session-Expires: 90;refresher=uas", f"Allow: {refusal.allow}")
        assert caller.request("INVITE", _sdp(CONNECTION, "t=0 0", AUDIO), *timer) == 200
        for _ in refusal.methods:
            came = caller.refuse(*refusal.answer)
            if came is None:
                break
            methods.append(came[0])
            times.append(came[1])
    return methods, max((later - earlier for earlier, later in itertools.pairwise(times)), default=0)


@pytest.fixture(scope="session")
def refreshing_phone(build: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The phone on the libraries as they were built."""
    return _compile(build, build / "src", "refreshing_phone", (), tmp_path_factory.mktemp("phone"))


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.name)
def test_a_refused_refresh_is_tried_again(refreshing_phone: Path, refusal: Refusal) -> None:
    methods, longest_s = _refreshes(refreshing_phone, refusal)
    assert methods == list(refusal.methods)
    assert longest_s < refusal.at_most_s + SLACK_S


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.name)
def test_a_refused_refresh_is_the_last_without_the_patch(build: Path, tmp_path: Path, refusal: Refusal) -> None:
    sources = _without(build, "39-refresh-again", tmp_path)
    phone = _compile(build, sources, "refreshing_phone", ("pjsip/src/pjsip-ua/sip_inv.c",), tmp_path)
    methods, _ = _refreshes(phone, refusal)
    assert methods != list(refusal.methods)


def _refreshes_in_spite(phone: Path) -> list[str]:
    """The requests for a refresh when an UPDATE without Session-Expires crosses the first, and each is refused."""
    offer = _sdp(CONNECTION, "t=0 0", AUDIO)
    timer = ("Supported: timer", "Session-Expires: 90;refresher=uas", "Allow: INVITE, ACK, BYE")
    with _phone(phone) as (_, caller):
        assert caller.request("INVITE", offer, *timer) == 200
        assert caller.request("UPDATE", offer, "Supported: timer") == 491
        came = [
            caller.refuse("491 Request Pending") for _ in range(2)
        ]  # the first one was not answered, so comes again
    return [one[0] for one in came if one is not None]


def test_a_request_that_is_refused_leaves_the_session_timer(refreshing_phone: Path) -> None:
    assert _refreshes_in_spite(refreshing_phone) == ["INVITE", "INVITE"]


def test_a_request_that_is_refused_ends_the_session_timer_without_the_patch(build: Path, tmp_path: Path) -> None:
    sources = _without(build, "46-timer-of-refused-request", tmp_path)
    phone = _compile(build, sources, "refreshing_phone", (), tmp_path)
    assert _refreshes_in_spite(phone) == ["INVITE"]
