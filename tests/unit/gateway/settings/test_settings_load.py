# ruff: noqa: E501 - messages are compared as they are printed, on one line
"""gateway.yaml: defaults, every kind of fault, secrets, warnings."""

from __future__ import annotations

import ipaddress
import logging
import os
import re
from pathlib import Path

import pytest

from gateway.settings import Settings, SettingsError, control_socket, load_settings, service_socket, settings_path
from gateway.settings.context import FileContext
from gateway.settings.load import load_text
from gateway.settings.shipped import DIALPLANS
from gateway.settings.values import HostPort, PortRange

ROOT = Path(__file__).resolve().parents[4]
SAMPLE = ROOT / "systemd" / "gateway.yaml"
SECRET = "ge heim:0"


def load(text: str, base: Path = Path("/nonexistent"), **environment: str) -> Settings:
    return load_text(text, "g.yaml", FileContext(base, environment)).settings


def faults(text: str, base: Path = Path("/nonexistent"), **environment: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(text, base, **environment)
    return str(caught.value).splitlines()


def test_the_embedded_default_listens_on_loopback_and_needs_no_key() -> None:
    loaded = load_settings(None)
    settings = loaded.settings
    assert [str(one) for one in settings.sip.listen] == ["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060"]
    assert settings.sip.codecs == ("G722", "PCMU", "PCMA", "opus")
    assert set(settings.agents) == {"echo", "tone", "welcome"}
    assert settings.dialplans == (DIALPLANS / "default.yaml",)
    assert settings.trunks == {}
    assert settings.limits.max_duration_s == 4 * 3600
    assert loaded.warnings == ()
    assert loaded.source is None
    assert settings == Settings.model_validate({})


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "sip:\nmedia:\nlimits:\n  calls:\ntrunks:\nagents:\ndialplans:\nlog:\n"]
)
def test_what_is_left_empty_is_default(text: str) -> None:
    assert load(text) == Settings.model_validate({})


def test_every_option_arrives(tmp_path: Path) -> None:
    (tmp_path / "d.yaml").touch()
    settings = load(
        """
        sip: {listen: ["udp:0.0.0.0:5080", {transport: tcp, address: 127.0.0.1}], public_address: 203.0.113.7, codecs: [pcmu, OPUS]}
        media: {rtp_ports: 30000-30999, rtp_address: 192.0.2.1, no_media_timeout: 0s, reorder: 60ms, clock_threads: 2,
                first_packet_wait: 50ms}
        limits: {calls: 10, max_duration: 30m, setup_timeout: 5s, drain_timeout: 0s, retry_after: 1s}
        trunks:
          a:
            registrar: sip.example.com:5070
            user: 4930
            password: no
            expires: 1h
            retry: {first: 1s, max: 1m}
            sources: [198.51.100.0/24, sbc.example.com]
            transport: tcp
          b: {register: false, sources: [192.0.2.9], called_number: to, trust_identity: no}
        agents:
          mine: {kind: python, class: "pkg.mod:Class", options: {n: 5, deep: [true, "5"]}, max_calls: 3, isolation: none}
          beep: {kind: tone, frequency: 1000, level: -6, barge_in: {mode: off, min_speech: 60ms}}
          echo: {kind: echo, max_calls: 7}
        dialplans: [d.yaml]
        control: {socket: run/c.sock}
        log: {level: debug, format: json}
        """,
        tmp_path,
    )
    assert [str(one) for one in settings.sip.listen] == ["udp:0.0.0.0:5080", "tcp:127.0.0.1:5060"]
    assert settings.sip.codecs == ("PCMU", "opus")
    assert settings.media.rtp_ports == PortRange(30000, 30999)
    assert (settings.media.no_media_timeout_s, settings.media.reorder_ms) == (0.0, 60)
    assert settings.media.first_packet_wait_s == pytest.approx(0.05)
    trunk = settings.trunks["a"]
    assert trunk.registrar == HostPort("sip.example.com", 5070)
    assert (trunk.user, trunk.digest_user, trunk.account_domain) == ("4930", "4930", "sip.example.com")
    assert trunk.password is not None
    assert trunk.password.get_secret_value() == "no"
    assert (trunk.expires_s, trunk.retry.first_s, trunk.retry.max_s) == (3600.0, 1.0, 60.0)
    assert trunk.sources == (ipaddress.ip_network("198.51.100.0/24"), "sbc.example.com")
    assert (settings.trunks["b"].register_, settings.trunks["b"].trust_identity) == (False, False)
    assert settings.agents.keys() == {"mine", "beep", "echo", "tone", "welcome"}
    assert settings.dialplans == (tmp_path / "d.yaml",)
    assert settings.control.socket == tmp_path / "run/c.sock"


def test_all_faults_are_told_together_each_at_its_place() -> None:
    text = """\
sip:
  codex: [PCMU]
  listen: [udp:0.0.0.0:5060, tcp:x:1]
  codecs: [pcmu, g729]
limits: {calls: abc, max_duration: 5 minutes}
trunks:
  a: {registrar: "sip.example.com:70000", user: bob}
  b: {registrar: sip.example.com, usr: bob}
  c: {}
agents:
  x: [tone]
  a b: {kind: echo}
dialplans: [nope.yaml]
media: {rtp_ports: 9-5, reorder: 2s, clock_threads: 99}
log: {level: loud}
log: {}
trunk: 5
"""
    assert faults(text) == [
        'g.yaml:2:3: sip.codex: there is no such key; did you mean "codecs"?',
        'g.yaml:3:30: sip.listen[1].address: not an IP address, got "x"; write an IPv4 address, such as 192.0.2.10',
        'g.yaml:4:18: sip.codecs[1]: not one of the words allowed here, got "g729"; did you mean "G722"? use one of opus, G722, PCMU, PCMA, speex',
        'g.yaml:5:17: limits.calls: not a whole number, got "abc"; write digits only',
        'g.yaml:5:36: limits.max_duration: not a duration, got "5 minutes"; write a number and a unit: 120ms, 5s, 30m or 4h',
        'g.yaml:7:18: trunks.a.registrar: not a port between 1 and 65535, got "sip.example.com:70000"; write a port such as 5060',
        'g.yaml:8:35: trunks.b.usr: there is no such key; did you mean "user"?',
        "g.yaml:9:6: trunks.c: a trunk that registers needs a registrar; add registrar: host, or register: false",
        "g.yaml:11:6: agents.x: not a mapping, got a list; write keys with values, such as key: value",
        ('g.yaml:12:3: agents.a b: not a name, got "a b"; use letters, digits, dot, dash and underscore, at most 64, '
        "a letter or digit first"),
        ('g.yaml:13:13: dialplans[0]: cannot read /nonexistent/nope.yaml: No such file or directory, got "nope.yaml"; '
        "create it, or correct the path; it is relative to the directory of this file"),
        'g.yaml:14:20: media.rtp_ports: the range is empty, got "9-5"; write the lower port first, such as 20000-39999',
        'g.yaml:14:34: media.reorder: longer than a second, got "2s"; write at most 1s; 40ms suits most networks',
        'g.yaml:14:53: media.clock_threads: more than 16, got "99"; write 16 or less',
        'g.yaml:15:14: log.level: not one of the words allowed here, got "loud"; use one of debug, info, warning, error',
        "g.yaml:16:1: log: the key is already used on line 15; remove one of them",
        'g.yaml:17:1: trunk: there is no such key; did you mean "trunks"?',
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("5", 'g.yaml:1:1: not a mapping, got "5"; write keys with values, such as key: value'),
        ("sip: [a]", "g.yaml:1:6: sip: not a mapping, got a list; write keys with values, such as key: value"),
        ("sip: {listen: []}", "g.yaml:1:15: sip.listen: it is empty, got an empty list; write at least one"),
        ("sip: {listen: [udp:1.2.3.4, 'udp:1.2.3.4:5060']}", "g.yaml:1:15: sip.listen: udp:1.2.3.4:5060 is listed twice; remove one of them"),
        ("sip: {codecs: [PCMU, pcmu]}", "g.yaml:1:15: sip.codecs: PCMU is listed twice; remove one of them"),
        ('sip: {user_agent: "a\\r\\nX: y"}', 'g.yaml:1:19: sip.user_agent: it contains a control character or a line break, got "a\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}X: y"; write printable characters on one line'),
        ("limits: {calls: 4001}", 'g.yaml:1:17: limits.calls: more than 4000, got "4001"; write 4000 or less'),
        ("sip: {listen: ['127.0.0.1:5060']}", 'g.yaml:1:16: sip.listen[0]: the transport is missing, got "127.0.0.1:5060"; write it as udp:127.0.0.1:5060 and, for TCP, tcp:127.0.0.1:5060'),
        ("trunks: {a: {registrar: 'https://h.example', user: u}}", 'g.yaml:1:25: trunks.a.registrar: it contains more than a host and a port, got "https://h.example"; write only these, such as sip.example.com or 192.0.2.1:5060'),
        ("trunks: {a: {registrar: h, user: u, proxy: 'sip:h;lr'}}", 'g.yaml:1:44: trunks.a.proxy: it contains more than a host and a port, got "sip:h;lr"; write only these, such as sip.example.com or 192.0.2.1:5060'),
        (f"control: {{socket: /{'x' * 107}}}", f'g.yaml:1:19: control.socket: the path is longer than 107 bytes, got "/{"x" * 56}..."; choose a shorter one, such as /run/offhook/control.sock'),
        ("limits: {retry_after: 0s}", 'g.yaml:1:23: limits.retry_after: must be longer than zero, got "0s"; write a longer duration, such as 5s'),
        ("trunks: {a: {registrar: h}}", "g.yaml:1:13: trunks.a: a trunk that registers needs a user; add user: the account's name"),
        ("trunks: {a: {register: false}}", "g.yaml:1:13: trunks.a: nothing says which calls belong to this trunk; add sources: with the carrier's addresses"),
        ("trunks: {a: {register: maybe, sources: [h]}}", 'g.yaml:1:24: trunks.a.register: neither true nor false, got "maybe"; write true or false'),
        ("trunks: {a: {registrar: h, user: u, retry: {first: 9s, max: 5s}}}", "g.yaml:1:44: trunks.a.retry: first is longer than max; make max at least as long as first"),
        ("trunks: {a: {registrar: h, user: bob@h.example}}", 'g.yaml:1:34: trunks.a.user: it contains a domain, got "bob@h.example"; write user: bob and domain: h.example, and the whole text as auth_user'),
        ("trunks: {a: {registrar: h, user: b ob}}", 'g.yaml:1:34: trunks.a.user: not the user of a SIP address, got "b ob"; write only letters, digits and +-_.!~*\'()&=$,;?/, and escape others, such as %20 for a space'),
        ("trunks: {a: {registrar: h, user: u, domain: a b}}", 'g.yaml:1:45: trunks.a.domain: not a host name, got "a b"; write a name or address, such as sip.example.com or 192.0.2.1'),
        ("trunks: {a: {registrar: '[2001:db8::1]', user: u}}", 'g.yaml:1:25: trunks.a.registrar: IPv6 is not supported yet, got "[2001:db8::1]"; use the peer\'s name, or its IPv4 address'),
        ("trunks: {a: {registrar: h, user: u, proxy: '2001:db8::1'}}", 'g.yaml:1:44: trunks.a.proxy: IPv6 is not supported yet, got "2001:db8::1"; use the peer\'s name, or its IPv4 address'),
        ("sip: {listen: [udp:127.0.0.1, udp:0.0.0.0, tcp:127.0.0.1]}", "g.yaml:1:16: sip.listen[0]: udp:0.0.0.0:5060 already includes this address; remove one of them"),
        ("sip: {listen: [udp:0.0.0.0]}\ntrunks: {a: {registrar: h, user: u, transport: tcp}}", "g.yaml:2:48: trunks.a.transport: tcp is not available, sip.listen has no address for it; add tcp:0.0.0.0:5060 to sip.listen, or change the trunk's transport"),
        ("sip: {listen: [tcp:0.0.0.0]}\ntrunks: {a: {registrar: h, user: u}}", "g.yaml:2:13: trunks.a.transport: udp is not available, sip.listen has no address for it; add udp:0.0.0.0:5060 to sip.listen, or change the trunk's transport"),
        ("trunks: {" + ", ".join(f"t{number}: {{register: false, sources: [h]}}" for number in range(64)) + "}", "g.yaml:1:9: trunks: 64 trunks are more than 63; move some of them to another gateway"),
        ("limits:{calls: 5}", "g.yaml:1:1: limits:{calls: there is no space after the colon of limits; write limits: with a space before the value"),
        ("limits:\n  calls:5", "g.yaml:2:3: limits: there is no space after the colon of calls; write calls: with a space before the value"),
        ("agents: {a: 5}", 'g.yaml:1:13: agents.a: not a mapping, got "5"; write keys with values, such as key: value'),
    ],
)  # fmt: skip
def test_fault(text: str, fault: str) -> None:
    assert faults(text) == [fault]


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/dev/null", "/dev/null is not a file"),
        (".", "{base} is not a file"),
        ('"a\\0b"', "cannot read {base}/a\N{REPLACEMENT CHARACTER}b: embedded null byte"),
        ("~nobody-at-all/x", "cannot read {base}/~nobody-at-all/x: No such file or directory"),
        ("x" * 300, "cannot read {base}/" + "x" * 300 + ": File name too long"),
    ],
)
def test_a_path_may_be_anything(path: str, why: str, tmp_path: Path) -> None:
    assert f"dialplans[0]: {why.format(base=tmp_path)}, got" in faults(f"dialplans: [{path}]", tmp_path)[0]


def test_a_file_that_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(tmp_path / "nope.yaml")
    assert str(caught.value) == (
        f"{tmp_path}/nope.yaml: cannot read the file: No such file or directory; create it, or name another file with --config"
    )
    (tmp_path / "bad.yaml").write_bytes(b"\xff")
    with pytest.raises(SettingsError, match="not UTF-8 at byte 1; save it as UTF-8"):
        load_settings(tmp_path / "bad.yaml")


class TestSecrets:
    TRUNK = "trunks: {a: {registrar: h, user: u, %s}}"

    def secret(self, extra: str, base: Path = Path("/nonexistent"), **environment: str) -> str:
        password = load(self.TRUNK % extra, base, **environment).trunks["a"].password
        assert password is not None
        return password.get_secret_value()

    def test_inline(self) -> None:
        assert self.secret(f'password: "{SECRET}"') == SECRET
        assert self.secret("password: 007") == "007"

    def test_file(self, tmp_path: Path) -> None:
        (tmp_path / "p").write_text(SECRET + "\n")
        assert self.secret("password_file: p", tmp_path) == SECRET

    def test_environment(self) -> None:
        assert self.secret("password_env: TRUNK_PASSWORD", TRUNK_PASSWORD=SECRET) == SECRET

    def test_credential(self, tmp_path: Path) -> None:
        (tmp_path / "carrier").write_text(SECRET)
        assert self.secret("password_credential: carrier", CREDENTIALS_DIRECTORY=str(tmp_path)) == SECRET

    def test_credential_cannot_climb_out_of_its_directory(self, tmp_path: Path) -> None:
        (tmp_path / "outside").write_text(SECRET)
        (tmp_path / "inside").mkdir()
        found = faults(self.TRUNK % "password_credential: ../outside", CREDENTIALS_DIRECTORY=str(tmp_path / "inside"))
        assert "cannot read" in found[0]

    @pytest.mark.parametrize(
        ("extra", "fault"),
        [
            ("password: x, password_env: Y", "password and password_env are given; keep one of them"),
            (
                "password_env: Y",
                "password_env: Y is not set; set Y for the gateway, for example with EnvironmentFile= in its unit",
            ),
            (
                "password_env: $Y",
                "password_env: not the name of an environment variable; write its name as in TRUNK_PASSWORD: without $, of letters, digits and underscores",
            ),
            (
                "password_credential: y",
                "password_credential: systemd gave the gateway no credentials; add LoadCredential=y:/path/of/the/secret to the unit",
            ),
            (
                "password_file: gone",
                (
                    "password_file: cannot read /nonexistent/gone: No such file or directory; "
                    "create it with the secret in it, readable only by the gateway's user"
                ),
            ),
        ],
    )
    def test_faults(self, extra: str, fault: str) -> None:
        assert faults(self.TRUNK % extra) == [f"g.yaml:1:13: trunks.a: {fault}"]

    @pytest.mark.parametrize("content", [b"", b"\n", b"two\nlines", b"\xff", b"x" * 5000])
    def test_a_secret_is_one_line_of_text(self, content: bytes, tmp_path: Path) -> None:
        (tmp_path / "p").write_bytes(content)
        assert "password_file: " in faults(self.TRUNK % "password_file: p", tmp_path)[0]

    def test_a_pipe_is_not_waited_for(self, tmp_path: Path) -> None:
        """Whether as a trunk's password or as an agent's key: nobody may ever write into it."""
        os.mkfifo(tmp_path / "p")
        (found,) = faults(self.TRUNK % "password_file: p", tmp_path)
        assert f"password_file: cannot read {tmp_path}/p: it is a pipe, not a file" in found

    def test_it_never_shows(self, capsys: pytest.CaptureFixture[str]) -> None:
        settings = load(self.TRUNK % f'password: "{SECRET}"')
        logging.getLogger().warning("%s", settings)
        shown = f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()} {capsys.readouterr()}"
        assert SECRET not in shown

    @pytest.mark.parametrize(
        "text",
        [
            f'trunks: {{a: {{registrar: h, user: u, expires: x, password: "{SECRET}"}}}}',
            f'trunks: {{a: {{registrar: h, user: u, pasword: "{SECRET}"}}}}',
            f'trunks: {{a: {{registrar: h, user: u, password: ["{SECRET}"]}}}}',
            f'trunks: {{a: {{registrar: h, user: u, password: {{x: "{SECRET}"}}}}}}',
            f'trunks: {{a: {{registrar: h, user: u, password: "{SECRET}", password_env: X}}}}',
            f'trunks: {{a: {{registrar: h, password: "{SECRET}"}}}}',
            f'trunks: {{a: {{password: "{SECRET}", password: "{SECRET}"}}}}',
            f'trunks: {{a: {{password: "{SECRET}", x: *y}}}}',
            f'trunks: {{a: {{password: "{SECRET}", x: [}}}}',
            f"trunks: {{a: {{registrar: h, user: u, password:{SECRET}}}}}",
            f"trunks:\n  a: password:{SECRET}",
            f"trunks:\n  a:\n    password:{SECRET}\n    user: u",
        ],
    )
    def test_it_never_shows_in_a_fault(self, text: str) -> None:
        with pytest.raises(SettingsError) as caught:
            load(text)
        assert SECRET not in f"{caught.value} {caught.value!r} {caught.value.problems!r}"
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None or caught.value.__suppress_context__


class TestWarnings:
    def warnings(self, path: Path, **environment: str) -> list[str]:
        loaded = load_settings(path, environment=environment, offline=True)
        return [str(warning).removeprefix(f"{path}:") for warning in loaded.warnings]

    @pytest.mark.parametrize(
        ("listen", "fault"),
        [
            ("[udp:127.0.0.1]", "sip.listen has loopback addresses only; add listen: [udp:0.0.0.0:5060] to sip"),
            ("[udp:127.0.0.1, udp:192.0.2.1]", "the first udp address of sip.listen is udp:127.0.0.1:5060; put an address first that the registrar can reach"),
            ("[udp:192.0.2.1, udp:127.0.0.1]", None),
        ],
    )  # fmt: skip
    def test_a_registrar_that_is_told_a_loopback_address(self, listen: str, fault: str | None, tmp_path: Path) -> None:
        path = tmp_path / "g.yaml"
        path.write_text(
            f"sip: {{listen: {listen}}}\ntrunks: {{a: {{registrar: h.example, user: u, password_file: p}}}}"
        )
        (tmp_path / "p").write_text("x")
        (tmp_path / "p").chmod(0o600)
        told = f"2:25: trunks.a.registrar: warning: h.example cannot reach us, {fault}"
        assert self.warnings(path) == ([told] if fault else [])

    @pytest.mark.parametrize(
        ("trunk", "told"),
        [
            ("register: false, sources: [127.0.0.0/8, localhost, 198.51.100.0/24]", "40: trunks.a.sources: warning: 198.51.100.0/24"),
            ("register: false, sources: [sbc.example]", "40: trunks.a.sources: warning: sbc.example"),
            ("register: false, proxy: sbc.example", "38: trunks.a.proxy: warning: sbc.example"),
            ("register: false, registrar: sbc.example", "42: trunks.a.registrar: warning: sbc.example"),
            ("register: false, sources: [127.0.0.0/8, localhost], proxy: localhost", None),
        ],
    )  # fmt: skip
    def test_a_trunk_that_cannot_reach_loopback(self, trunk: str, told: str | None, tmp_path: Path) -> None:
        path = tmp_path / "g.yaml"
        path.write_text(f"sip: {{listen: [udp:127.0.0.1]}}\ntrunks: {{a: {{{trunk}}}}}")
        why = "cannot reach us, sip.listen has loopback addresses only; add listen: [udp:0.0.0.0:5060] to sip"
        assert [warning.removeprefix("2:") for warning in self.warnings(path)] == ([f"{told} {why}"] if told else [])

    @pytest.mark.parametrize(
        ("media", "told"),
        [
            ("{}", None),
            ("{rtp_address: 127.0.0.2}", "2:22: media.rtp_address: warning: callers over a cannot be heard, RTP is received on 127.0.0.2; write 0.0.0.0"),
            ("{rtp_address: 192.0.2.1}", None),
        ],
    )  # fmt: skip
    def test_sound_on_loopback_for_a_trunk_beyond_it(self, media: str, told: str | None, tmp_path: Path) -> None:
        path = tmp_path / "g.yaml"
        path.write_text(
            f"sip: {{listen: [tcp:127.0.0.1, udp:192.0.2.1]}}\nmedia: {media}\n"
            "trunks: {a: {register: false, sources: [198.51.100.1]}}"
        )
        assert self.warnings(path) == ([told] if told else [])

    def test_secrets_that_only_the_service_sees(self, tmp_path: Path) -> None:
        path = tmp_path / "g.yaml"
        path.write_text(
            "trunks:\n"
            "  a: {registrar: localhost, user: u, password_env: P}\n"
            "  b: {registrar: localhost, user: v, password_credential: p}\n"
            "  c: {registrar: localhost, user: w}\n"
        )
        assert self.warnings(path) == [
            "2:52: trunks.a.password_env: warning: P is not set here; make sure the service has it",
            (
                "3:59: trunks.b.password_credential: warning: only the service can see p; "
                "make sure the unit has LoadCredential=p:/path/of/the/secret"
            ),
            "4:6: trunks.c: warning: it has no password; add password_file:, unless the registrar asks for none",
        ]
        assert len(self.warnings(path, P="x")) == 2

    def test_a_shells_variable_is_no_password(self, tmp_path: Path) -> None:
        path = tmp_path / "g.yaml"
        path.write_text(
            "trunks:\n"
            "  a: {registrar: localhost, user: $USER, password: $SECRET}\n"
            '  b: {registrar: localhost, user: v, password: "${SECRET}"}\n'
            "  c: {registrar: localhost, user: w, password: $3cret}\n"
            "  d: {registrar: localhost, user: x, password: a$SECRET}\n"
        )
        path.chmod(0o600)
        taken = "warning: it looks like a shell's variable, but is taken as it is written"
        assert self.warnings(path) == [
            f"2:35: trunks.a.user: {taken}; write the value itself",
            f"2:52: trunks.a.password: {taken}; write password_env: and the variable's name without $",
            f"3:48: trunks.b.password: {taken}; write password_env: and the variable's name without $",
        ]

    def test_two_trunks_of_one_account(self, tmp_path: Path) -> None:
        path = tmp_path / "g.yaml"
        path.write_text(
            "trunks:\n"
            "  a: {registrar: localhost, user: u, password_file: p}\n"
            "  b: {registrar: localhost, user: v, password_file: p}\n"
            "  c: {registrar: localhost, user: u, domain: other.example, password_file: p}\n"
            "  d: {registrar: localhost, user: u, register: false, password_file: p}\n"
            "  e: {registrar: LocalHost, user: u, transport: tcp, password_file: p}\n"
        )
        (tmp_path / "p").write_text("secret")
        (tmp_path / "p").chmod(0o600)
        assert self.warnings(path) == [
            (
                "6:35: trunks.e.user: warning: a registers the same account, "
                "and a call to it may come over either of them; remove one of the trunks, or correct its user"
            )
        ]

    def test_a_registrar_that_cannot_reach_us_and_too_few_ports(self, tmp_path: Path) -> None:
        path = tmp_path / "g.yaml"
        path.write_text(
            "trunks: {a: {registrar: sip.example.com, user: u, password: p}}\nmedia: {rtp_ports: 20000-20099}\n"
        )
        path.chmod(0o600)
        assert self.warnings(path) == [
            (
                "2:20: media.rtp_ports: warning: 20000-20099 is enough for 50 calls, limits.calls is 500; "
                "widen the range, or lower limits.calls"
            ),
            (
                "1:25: trunks.a.registrar: warning: sip.example.com cannot reach us, sip.listen has loopback addresses only; "
                "add listen: [udp:0.0.0.0:5060] to sip"
            ),
        ]


@pytest.mark.parametrize(
    ("listen", "media", "warned"),
    [
        ("udp:0.0.0.0:5060", "rtp_ports: 5000-9999", True),
        ("udp:192.0.2.1:5060", "{rtp_address: 0.0.0.0, rtp_ports: 5060-9999}", True),
        ("udp:192.0.2.1:5060", "{rtp_address: 192.0.2.2, rtp_ports: 5000-9999}", False),
        ("tcp:0.0.0.0:5060", "rtp_ports: 5000-9999", False),
        ("udp:0.0.0.0:5060", "rtp_ports: 5062-9999", False),
    ],
)
def test_ports_for_rtp_where_sip_is_taken(listen: str, media: str, warned: bool) -> None:
    media = media if media.startswith("{") else f"{{{media}}}"
    loaded = load_text(f"sip: {{listen: [{listen}]}}\nmedia: {media}", "g.yaml", FileContext())
    warnings = [str(one) for one in loaded.warnings if "which SIP uses" in str(one)]
    assert len(warnings) == warned
    assert all("media.rtp_ports: warning: " in one for one in warnings)


class TestSample:
    """systemd/gateway.yaml says what is default, and says it of every option."""

    def test_as_shipped_it_is_the_default_but_for_where_it_listens(self) -> None:
        settings = load_settings(SAMPLE).settings
        default = Settings.model_validate({})
        assert {str(one) for one in settings.sip.listen} == {"udp:0.0.0.0:5060", "tcp:0.0.0.0:5060"}
        assert settings.sip.model_copy(update={"listen": default.sip.listen}) == default.sip
        assert settings.control.socket == Path("/run/offhook/control.sock")
        for part in ("media", "limits", "trunks", "agents", "dialplans", "log"):
            assert getattr(settings, part) == getattr(default, part)

    def uncommented(self, tmp_path: Path) -> Settings:
        text = re.sub(r"^( *)# ( *[a-z_]+:( |$)| +#)", r"\1\2", SAMPLE.read_text(), flags=re.MULTILINE)
        (tmp_path / "carrier.password").write_text("x")
        (tmp_path / "sounds").symlink_to(DIALPLANS / "sounds")
        text = text.replace("opening-hours.wav", "welcome.wav").replace(
            "dialplans/default.yaml", str(DIALPLANS / "default.yaml")
        )
        return load(text, tmp_path)

    def test_uncommented_it_still_says_the_defaults(self, tmp_path: Path) -> None:
        settings = self.uncommented(tmp_path)
        bare = load("trunks: {carrier: {registrar: sip.carrier.example, user: 4930555000, password: x}}\n")
        shown = {"auth_user", "domain", "proxy", "sources", "password_file"}
        assert settings.trunks["carrier"].model_dump(exclude=shown) == bare.trunks["carrier"].model_dump(exclude=shown)

    def test_it_has_every_option(self, tmp_path: Path) -> None:
        settings = self.uncommented(tmp_path)
        parts = [
            settings.sip,
            settings.media,
            settings.limits,
            settings.control,
            settings.log,
            settings.trunks["carrier"],
        ]
        # The other ways to give a password exclude each other, so the sample can only mention them.
        mentioned = {"password", "password_env", "password_credential"}
        missing = {
            f"{type(part).__name__}.{name}"
            for part in parts
            for name in type(part).model_fields
            if name not in part.model_fields_set | mentioned
        }
        assert missing == set()
        assert all(f"{name}:" in SAMPLE.read_text() for name in mentioned)


class TestWhere:
    def test_the_settings_file(self, tmp_path: Path) -> None:
        system = tmp_path / "gateway.yaml"
        chosen = Path("x.yaml")
        assert settings_path(None, {}, system) is None
        system.touch()
        assert settings_path(None, {}, system) == system
        assert settings_path(None, {"OFFHOOK_CONFIG": "y.yaml"}, system) == Path("y.yaml")
        assert settings_path(chosen, {"OFFHOOK_CONFIG": "y.yaml"}, system) == chosen

    def test_whoever_asks_for_the_service_finds_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        default, chosen = Settings.model_validate({}).control, load("control: {socket: /x/y}").control
        monkeypatch.setattr("os.geteuid", lambda: 1000)
        monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
        monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1000")
        own = Path("/run/user/1000/offhook/control.sock")
        assert service_socket(Path("/etc/offhook/gateway.yaml"), default) == Path("/run/offhook/control.sock")
        assert service_socket(Path("/etc/offhook/gateway.yaml"), chosen) == Path("/x/y")
        assert service_socket(Path("gateway.yaml"), default) == own
        assert service_socket(None, default) == own

    def test_the_control_socket(self, monkeypatch: pytest.MonkeyPatch) -> None:
        default = Settings.model_validate({})
        monkeypatch.setattr("os.geteuid", lambda: 1000)
        assert control_socket(default.control, {"RUNTIME_DIRECTORY": "/run/offhook"}) == Path(
            "/run/offhook/control.sock"
        )
        assert control_socket(default.control, {"XDG_RUNTIME_DIR": "/run/user/1000"}) == Path(
            "/run/user/1000/offhook/control.sock"
        )
        assert control_socket(default.control, {}) == Path("/tmp/offhook-1000/control.sock")
        monkeypatch.setattr("os.geteuid", lambda: 0)
        assert control_socket(default.control, {}) == Path("/run/offhook/control.sock")
        chosen = load("control: {socket: /x/y}")
        assert control_socket(chosen.control, {"RUNTIME_DIRECTORY": "/run/offhook"}) == Path("/x/y")
