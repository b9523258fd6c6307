"""What `offhook check` says of a bot's settings."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from pydantic import ValidationError

from gateway.agents import AgentSetupError, AgentSpec, MediaStreamsSettings
from gateway.agents.network.parameters import filled
from gateway.settings.context import FileContext
from media.conversation.events import CallInfo
from media.conversation.floor import BargeIn

URL = "wss://bot.example.com:8443/stream?a=b"


def refused(**written: object) -> str:
    with pytest.raises(ValidationError) as error:
        MediaStreamsSettings.model_validate({"url": URL, **written})
    return str(error.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://bot.example.com/", "not the URL of a WebSocket"),
        ("wss:///path", "not a URL"),
        ("wss://bot.example.com:99999/", "not a URL"),
        ("wss://user:secret@bot.example.com/", "it contains a password"),
        ("wss://bot.example.com/#part", "it contains a fragment"),
        ("wss://bot..example.com/", "is not the name of a host"),
    ],
)
def test_a_wrong_url(url: str, said: str) -> None:
    message = refused(url=url)
    assert said in message
    assert "secret" not in message


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"parameters": {"a": "{caller}"}}, "{caller} is not a fact of a call"),
        ({"parameters": {"a": "{header}"}}, "{header} lacks the name of a header"),
        ({"parameters": {"a": "{from:x}"}}, "{from:x} is not a fact of a call"),
        ({"headers": {"A B": "x"}}, "headers"),
        ({"headers": {"A": "x\ny"}}, "not the value of an HTTP header"),
        ({"auth_token": "12345"}, "a secret must not be written here"),
        ({"auth_token": {"file": "a", "env": "b"}}, "it must name exactly one place of the secret"),
        ({"auth_token": {"env": "OFFHOOK_NOT_SET"}}, "OFFHOOK_NOT_SET is not set"),
        ({"dialect": "vonage"}, "dialect"),
        ({"ca": "/nonexistent/ca.pem"}, "cannot read /nonexistent/ca.pem"),
    ],
)
def test_a_wrong_option(written: dict[str, object], said: str) -> None:
    message = refused(**written)
    assert said in message
    assert "12345" not in message


def test_secrets_come_from_their_places(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from file\n")
    (tmp_path / "key").write_text("from credential")
    context = FileContext(tmp_path, {"KEY": "from environment", "CREDENTIALS_DIRECTORY": str(tmp_path)})
    written = {
        "url": URL,
        "headers": {"A": {"env": "KEY"}, "B": {"credential": "key"}},
        "auth_token": {"file": "token"},
    }
    found = MediaStreamsSettings.model_validate(written, context=context)
    assert found.auth_token is not None
    assert found.auth_token.get_secret_value() == "from file"
    assert [value.get_secret_value() for value in found.headers.values()] == ["from environment", "from credential"]
    assert "from" not in repr(found.headers)


def test_a_check_outside_the_service_does_not_miss_what_only_the_service_sees() -> None:
    written = {"url": URL, "auth_token": {"credential": "token"}}
    MediaStreamsSettings.model_validate(written, context=FileContext(environment={}, offline=True))


def test_barge_in_is_the_bots_own_unless_it_is_written() -> None:
    assert MediaStreamsSettings(url=URL).effective_barge_in.mode is BargeIn.OFF
    written = MediaStreamsSettings.model_validate({"url": URL, "barge_in": {}})
    assert written.effective_barge_in.mode is BargeIn.PAUSE


def test_a_missing_library_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "picows" else object())
    with pytest.raises(AgentSetupError, match=r"needs picows: sudo make install EXTRAS=network"):
        AgentSpec("bot", MediaStreamsSettings(url=URL))


def test_a_file_without_certificates(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(AgentSetupError, match="contains no certificates"):
        AgentSpec("bot", MediaStreamsSettings(url=URL, ca=tmp_path / "ca.pem"))


def test_facts_of_the_call() -> None:
    info = CallInfo(to="600", from_="+49", headers={"subject": ("one", "two")}, results={"a": "b"})
    assert filled("{from} {to} {header:s} {header:X-No} {result:a}{result:c} %", info) == "+49 600 one  b %"
